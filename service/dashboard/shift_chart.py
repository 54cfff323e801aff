"""Which contact types grew and which shrank, corrected for the model's mistakes: what `label_shift` found each night.

A night's row tells a type whose share surely changed: its share before, its share now, and the interval of the
difference, in shares, which holds for all types together on 95 % of nights. `(rare types)` are those too rare in the
reference to be told apart, counted together. The newest of these nights is drawn, and the note names it; table and CSV
have every night of the period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from service.dashboard.chart import BLUE, GREY, RED, Chart, Rows, Spec, drawn
from service.dashboard.nights import LABEL_SHIFT, NOT_SPLIT
from tickets.monitor_log import DetectorResult, MonitorRun

COLUMNS = ("date", "contact_type", "moved", "before", "now", "change_low", "change_high", "status", "note")
_NONE_MOVED = "no contact type surely grew or shrank"


def label_shift(
    runs: Sequence[MonitorRun],
    results: Mapping[str, Sequence[DetectorResult]],
    path: Callable[[str], str],
    *,
    split: bool = False,
) -> Chart:
    """`runs` newest first; `path` writes a contact type. A night that could not tell has one row that says why, as has
    one in which nothing moved."""
    found = [(run, result) for run in reversed(runs) for result in results.get(run.run_id, ())]
    nights = [list(_rows(run, result, path)) for run, result in found if result.detector == LABEL_SHIFT]
    newest: Rows = nights[-1] if nights else ()
    moved = [row for row in newest if row["moved"]]
    notes = [_told(newest), NOT_SPLIT if split else ""]
    return Chart(
        COLUMNS,
        [row for night in nights for row in night],
        _spec(moved) if moved else None,
        note=" ".join(note for note in notes if note),
    )


def _rows(run: MonitorRun, result: DetectorResult, path: Callable[[str], str]) -> Iterator[dict[str, Any]]:
    night = {"date": run.as_of, "status": result.status, "note": str(result.details.get("why") or "")}
    moved = [(word, one) for word in ("grew", "shrank") for one in result.details.get(word) or ()]
    if not moved:
        nothing = dict.fromkeys(COLUMNS)
        yield nothing | night | {"moved": "", "note": night["note"] or _NONE_MOVED}
    for word, one in moved:
        low, high = one["change"]
        yield {
            **night,
            "contact_type": path(one["name"]),
            "moved": word,
            "before": one["reference"],
            "now": one["current"],
            "change_low": low,
            "change_high": high,
        }


def _told(newest: Rows) -> str:
    """What the newest night says, in a sentence; "" without one."""
    if not newest:
        return ""
    date, note = newest[0]["date"], newest[0]["note"]
    if newest[0]["status"] == "unknown":
        return f"On the night of {date} this is unknown: {note}."
    return f"The night of {date}: {note or 'grey was before; the bar is the range of the change, drawn from before'}."


def _spec(rows: Rows) -> Spec:
    values = [
        {
            **row,
            "low": max(0.0, row["before"] + row["change_low"]),
            "high": min(1.0, row["before"] + row["change_high"]),
        }
        for row in rows
    ]
    title = {"title": "share of tickets", "axis": {"format": ".0%", "tickCount": 5}, "type": "quantitative"}
    y = {"field": "contact_type", "type": "nominal", "title": None, "sort": None, "axis": {"labelLimit": 170}}
    colour = {
        "field": "moved",
        "type": "nominal",
        "title": None,
        "scale": {"domain": ["grew", "shrank"], "range": [BLUE, RED]},
        "legend": {"orient": "bottom", "symbolOpacity": 1},
    }
    return drawn(
        "Contact types that grew or shrank: their share of tickets before and now",
        height=40 + 26 * len(rows),
        data={"values": values},
        layer=[
            {
                "mark": {"type": "rule", "strokeWidth": 3, "opacity": 0.5},
                "encoding": {"y": y, "x": {"field": "low", **title}, "x2": {"field": "high"}, "color": colour},
            },
            {
                "mark": {"type": "tick", "color": GREY, "thickness": 3},
                "encoding": {"y": y, "x": {"field": "before", **title}},
            },
            {
                "mark": {"type": "point", "filled": True, "opacity": 1, "size": 60},
                "encoding": {"y": y, "x": {"field": "now", **title}, "color": colour},
            },
        ],
    )
