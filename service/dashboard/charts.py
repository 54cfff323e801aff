"""Charts as Vega-Lite specifications with the numbers inside; the same numbers stand beside each chart as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.dashboard.experiments import FIGURES, Row, Shown
from tickets.monitor_log import DetectorResult, MonitorRun

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_QUALITY = {
    "acceptance": "accepted by agents",
    "accuracy_labels": "right, by random labels",
    "estimated_accuracy": "right, estimated",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A specification, and its rows (column -> value) as the table shows them. Without rows there is nothing to
    draw.
    """

    spec: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]


def quality(runs: Sequence[MonitorRun]) -> Chart:
    """Shares over time with their intervals: what agents accept, what labels say, what confidence foretells."""
    rows = [
        {
            "date": run.as_of,
            "model": run.model_version,
            "figure": name,
            "share": run.summary[key],
            "low": run.summary.get(f"{key}_low"),
            "high": run.summary.get(f"{key}_high"),
        }
        for run in reversed(runs)
        for key, name in _QUALITY.items()
        if run.summary.get(key) is not None
    ]
    # A day without a time is midnight in UTC; drawn in a reader's own zone it could be the day before.
    date = {
        "field": "date",
        "type": "temporal",
        "title": None,
        "axis": {"format": "%d %b", "tickCount": 6},
        "scale": {"type": "utc"},
    }
    color = {"field": "figure", "type": "nominal", "title": None, "legend": {"orient": "bottom", "columns": 1}}
    share = {
        "type": "quantitative",
        "axis": {"format": ".0%"},
        "title": "share of tickets",
        "scale": {"domain": [0, 1]},
    }
    spec = {
        "$schema": _SCHEMA,
        "description": "Quality over time",
        "width": "container",
        "height": 220,
        "data": {"values": rows},
        "encoding": {"x": date, "color": color},
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.18},
                "encoding": {"y": {"field": "low", **share}, "y2": {"field": "high"}},
            },
            {"mark": {"type": "line", "point": True}, "encoding": {"y": {"field": "share", **share}}},
        ],
    }
    return Chart(spec, rows)


def drift(runs: Sequence[MonitorRun], results: Mapping[str, Sequence[DetectorResult]]) -> Chart:
    """How large each detector's statistic is beside its limit: 1 is the least effect that matters."""
    rows = [
        {
            "date": run.as_of,
            "detector": result.detector,
            "over_limit": over_limit(result),
            "statistic": result.statistic,
            "limit": result.limit,
            "status": result.status,
        }
        for run in reversed(runs)
        for result in results[run.run_id]
        if over_limit(result) is not None
    ]
    spec = {
        "$schema": _SCHEMA,
        "description": "Drift statistics beside their limits",
        "width": "container",
        "height": 260,
        "data": {"values": rows},
        "layer": [
            {
                "mark": {"type": "point", "filled": True, "size": 70},
                "encoding": {
                    "x": {"field": "over_limit", "type": "quantitative", "title": "statistic over its limit"},
                    "y": {"field": "detector", "type": "nominal", "title": None},
                    "color": {
                        "field": "status",
                        "type": "nominal",
                        "title": None,
                        "scale": {"domain": ["ok", "drifted"], "range": ["#5b8def", "#d4572f"]},
                        "legend": {"orient": "bottom"},
                    },
                    "opacity": {"field": "date", "type": "temporal", "legend": None, "scale": {"range": [0.25, 1]}},
                },
            },
            {
                "data": {"values": [{"limit": 1}]},
                "mark": {"type": "rule", "strokeDash": [4, 4], "color": "#8a94a3"},
                "encoding": {"x": {"field": "limit", "type": "quantitative"}},
            },
        ],
    }
    return Chart(spec, rows)


def quality_beside_cost(shown: Shown) -> Chart:
    """How good each run became, beside the seconds it took. Where all were judged on the same tickets, a line joins the
    runs that nothing beats at their cost.
    """
    costed = [row for row in shown.rows if row.quality is not None and row.run.figures.get("train_seconds", 0) > 0]
    costed.sort(key=lambda row: row.run.figures["train_seconds"])
    rows = [_cost_row(row) for row in costed]
    best = [_cost_row(row) for row in costed if row.best]
    wide = bool(rows) and rows[-1]["seconds"] > 20 * rows[0]["seconds"]
    scale = {"zero": False, "padding": 12}
    spec = {
        "$schema": _SCHEMA,
        "description": "Quality beside the seconds of training",
        "width": "container",
        "height": 260,
        "encoding": {
            "x": {
                "field": "seconds",
                "type": "quantitative",
                "title": FIGURES["train_seconds"],
                "scale": {**scale, "type": "log" if wide else "linear"},
                "axis": {"tickCount": 6},
            },
            "y": {
                "field": "quality",
                "type": "quantitative",
                "title": FIGURES[shown.quality],
                "scale": scale,
                "axis": {"tickCount": 6},
            },
        },
        "layer": _cost_layers(rows, _front(rows) if shown.one_group else [], best),
    }
    return Chart(spec, rows)


def _cost_row(row: Row) -> dict[str, Any]:
    return {
        "run": row.run.name,
        "kind": row.run.kind,
        "seconds": row.run.figures["train_seconds"],
        "quality": row.quality,
        "status": row.run.status,
    }


def _front(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of runs by rising cost, those that are better than every cheaper one."""
    front: list[Mapping[str, Any]] = []
    for row in rows:
        if row["status"] == "finished" and (not front or row["quality"] > front[-1]["quality"]):
            front.append(row)
    return front


def _cost_layers(
    rows: Sequence[Mapping[str, Any]], front: Sequence[Mapping[str, Any]], best: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    color = {
        "field": "kind",
        "type": "nominal",
        "title": None,
        "scale": {"domain": ["training", "trial"], "range": ["#d4572f", "#5b8def"]},
        "legend": {"orient": "bottom"},
    }
    opacity = {
        "field": "status",
        "type": "ordinal",
        "scale": {"domain": ["finished", "pruned", "failed"], "range": [0.95, 0.35, 0.2]},
        "legend": None,
    }
    return [
        {
            "data": {"values": front},
            "mark": {"type": "line", "interpolate": "step-after", "color": "#8a94a3", "strokeDash": [4, 4]},
        },
        {
            "data": {"values": rows},
            "mark": {"type": "point", "filled": True, "size": 70},
            "encoding": {"color": color, "opacity": opacity},
        },
        {
            "data": {"values": best},
            "mark": {"type": "text", "align": "right", "dx": -9, "dy": -9, "text": "best", "color": "#8a94a3"},
        },
    ]


def over_limit(result: DetectorResult) -> float | None:
    """The statistic in units of its limit, both counted from chance level where the detector has one; at least 0."""
    if result.statistic is None or not result.limit:
        return None
    chance = float(result.details.get("chance", 0.0))
    return max(0.0, (result.statistic - chance) / (result.limit - chance)) if result.limit != chance else None
