"""Charts from what the nights found: quality over time, and what moved beside what is normal.

A night looks at all tickets together, so these charts cannot be split by language or channel, and say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.dashboard.chart import BLUE, GREY, RED, Chart, Panel, Spec, days, drawn, named, shares
from service.pages import words
from tickets.monitor_log import DetectorResult, ModelEvent, MonitorRun

_QUALITY = {
    "acceptance": "accepted by agents",
    "accuracy_labels": "right, by random labels",
    "accuracy_feedback": "right, by agents",
    "accuracy_unaided": "right, by agents who saw no suggestion",
    "hits_at_3_labels": "among the first three, by random labels",
    "estimated_accuracy": "right, estimated",
}
NOT_SPLIT = "A night looks at all tickets together: language and channel make no difference here."
_MARKED = ("promoted", "rolled back")
LABEL_SHIFT = "label_shift"  # has no limit; what it found has a chart of its own
_TALLEST = 4.0  # times the limit; what lies higher is drawn at the edge, and told in the table


def quality(runs: Sequence[MonitorRun], events: Sequence[ModelEvent] = (), *, split: bool = False) -> Chart:
    """Shares over time with their intervals: what agents accept, what labels say, what confidence foretells. Where the
    estimate was unknown, the row says why. Upright lines stand where another model was put into service."""
    rows = [
        {
            "date": run.as_of,
            "model": run.model_version,
            "figure": name,
            "share": run.summary.get(key),
            "low": run.summary.get(f"{key}_low"),
            "high": run.summary.get(f"{key}_high"),
            "tickets": run.summary.get(f"{key}_tickets"),
            "note": unknown_because(run) if key == "estimated_accuracy" else "",
        }
        for run in reversed(runs)
        for key, name in _QUALITY.items()
        if run.summary.get(key) is not None or (key == "estimated_accuracy" and unknown_because(run))
    ]
    columns = ("date", "model", "figure", "share", "low", "high", "tickets", "note")
    return Chart(columns, rows, _quality_spec(rows, _changes(runs, events)), note=NOT_SPLIT if split else "")


def unknown_because(run: MonitorRun) -> str:
    """Why a night could not estimate accuracy; "" where it could, or said nothing."""
    return str(run.summary.get("estimated_accuracy_unknown") or "")


def drift(runs: Sequence[MonitorRun], results: Mapping[str, Sequence[DetectorResult]], *, split: bool = False) -> Chart:
    """What each detector saw, in units of its limit: 1 is the least change that matters. A small chart a detector,
    those that changed on the newest night first, last those that it could tell nothing of or did not ask. Nights that
    could tell nothing are marked."""
    rows: list[dict[str, Any]] = [
        {
            "date": run.as_of,
            "detector": result.detector,
            "over_limit": over_limit(result),
            "statistic": result.statistic,
            "limit": result.limit,
            "status": result.status,
            "note": str(result.details.get("why") or ""),
        }
        for run in reversed(runs)
        for result in results.get(run.run_id, ())
        if result.detector != LABEL_SHIFT and (result.status == "unknown" or over_limit(result) is not None)
    ]
    newest = {result.detector: result for run in runs[:1] for result in results.get(run.run_id, ())}
    detectors = sorted(
        dict.fromkeys(row["detector"] for row in rows), key=lambda name: _changed_first(newest.get(name))
    )
    panels = [
        Panel(
            words.detector(name),
            newest[name].status if name in newest else "",
            _panel_spec([row for row in rows if row["detector"] == name]),
        )
        for name in detectors
    ]
    columns = ("date", "detector", "over_limit", "statistic", "limit", "status", "note")
    return Chart(columns, rows, panels=panels, note=NOT_SPLIT if split else "")


def _changed_first(result: DetectorResult | None) -> tuple[int, float]:
    """Where the panel of a detector stands, by what it found on the newest night."""
    if result is None or result.status == "unknown":
        return 2, 0.0
    return ("drifted", "ok").index(result.status), -(over_limit(result) or 0.0)


def over_limit(result: DetectorResult) -> float | None:
    """The statistic in units of its limit, both counted from chance level where the detector has one; at least 0."""
    if result.statistic is None or not result.limit:
        return None
    chance = float(result.details.get("chance", 0.0))
    return max(0.0, (result.statistic - chance) / (result.limit - chance)) if result.limit != chance else None


def _quality_spec(rows: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, str]]) -> Spec:
    known = {"filter": {"field": "share", "valid": True}}
    banded = {"filter": {"and": [{"field": "low", "valid": True}, {"field": "high", "valid": True}]}}
    share, x = shares(), days()
    layers: list[dict[str, Any]] = [
        {
            "transform": [known, banded],
            "mark": {"type": "area", "opacity": 0.18},
            "encoding": {"x": x, "y": {"field": "low", **share}, "y2": {"field": "high"}, "color": named("figure")},
        },
        {
            "transform": [known],
            "mark": {"type": "line", "point": True},
            "encoding": {"x": x, "y": {"field": "share", **share}, "color": named("figure")},
        },
    ]
    if changes:
        told = {"type": "text", "align": "left", "dx": 3, "dy": 8, "baseline": "top", "fontSize": 10, "color": GREY}
        layers += [
            {
                "data": {"values": list(changes)},
                "mark": {"type": "rule", "strokeDash": [4, 4], "color": GREY},
                "encoding": {"x": x},
            },
            {
                "data": {"values": list(changes)},
                "mark": told,
                "encoding": {"x": x, "y": {"value": 0}, "text": {"field": "what"}},
            },
        ]
    return drawn("Quality over time", height=240, data={"values": rows}, layer=layers)


def _changes(runs: Sequence[MonitorRun], events: Sequence[ModelEvent]) -> list[dict[str, str]]:
    """Changes of model between the first and the last night that are drawn."""
    nights = sorted(run.as_of for run in runs)
    return [
        {"date": day, "what": "new model" if event.kind == "promoted" else "model before"}
        for event in reversed(events)
        if event.kind in _MARKED and nights and nights[0] <= (day := f"{event.at:%Y-%m-%d}") <= nights[-1]
    ]


def _panel_spec(rows: Sequence[Mapping[str, Any]]) -> Spec:
    known = {"filter": {"field": "over_limit", "valid": True}}
    shown = [
        {**row, "over_limit": None if row["over_limit"] is None else min(row["over_limit"], _TALLEST)} for row in rows
    ]
    top = max(1.5, *(row["over_limit"] or 0.0 for row in shown))
    y = {
        "field": "over_limit",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [0, top]},
        "axis": {"values": [0, 1], "format": "d"},
    }
    colour = {"domain": ["ok", "drifted"], "range": [BLUE, RED]}
    x = days(ticks=3)
    point = {"field": "status", "type": "nominal", "legend": None, "scale": colour}
    return drawn(
        f"{words.detector(rows[0]['detector'])}, in units of its limit; a cross is a night of which nothing is known",
        height=80,
        data={"values": shown},
        layer=[
            {"mark": {"type": "rule", "strokeDash": [4, 4], "color": RED}, "encoding": {"y": {"datum": 1}}},
            {
                "transform": [known],
                "mark": {"type": "line", "color": GREY, "strokeWidth": 1},
                "encoding": {"x": x, "y": y},
            },
            {
                "transform": [known],
                "mark": {"type": "point", "filled": True, "size": 36},
                "encoding": {"x": x, "y": y, "color": point},
            },
            {
                "transform": [{"filter": {"field": "status", "equal": "unknown"}}],
                "mark": {"type": "point", "shape": "cross", "filled": True, "size": 36, "color": GREY},
                "encoding": {"x": x, "y": {"datum": 0}},
            },
        ],
    )
