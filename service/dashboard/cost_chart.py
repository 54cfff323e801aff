"""Quality of trainings and trials beside what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.dashboard.chart import BLUE, GREY, RED, Chart, drawn
from service.dashboard.experiments import FIGURES, Row, Shown


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
    spec = drawn(
        "Quality beside the seconds of training",
        height=260,
        encoding={
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
        layer=_cost_layers(rows, _front(rows) if shown.one_group else [], best),
    )
    return Chart(("run", "kind", "seconds", "quality", "status"), rows, spec)


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
        "scale": {"domain": ["training", "trial"], "range": [RED, BLUE]},
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
            "mark": {"type": "line", "interpolate": "step-after", "color": GREY, "strokeDash": [4, 4]},
        },
        {
            "data": {"values": rows},
            "mark": {"type": "point", "filled": True, "size": 70},
            "encoding": {"color": color, "opacity": opacity},
        },
        {
            "data": {"values": best},
            "mark": {"type": "text", "align": "right", "dx": -9, "dy": -9, "text": "best", "color": GREY},
        },
    ]
