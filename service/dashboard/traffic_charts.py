"""Charts from rows of the database, so that language and channel can be told apart: what comes in, what agents
accept, labels and their cost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from models.intervals import share_of
from service.dashboard.chart import BLUE, Chart, days, drawn, named, shares
from service.dashboard.filters import Period
from service.pages import words
from tickets.traffic import DayOfJudgements, GivenLabel, TypeCount

SHOWN_TYPES = 8
OTHERS, NOTHING = "all others", "none suggested"


def volumes(counts: Sequence[TypeCount], period: Period, path: Callable[[str], str]) -> Chart:
    """Tickets by the contact type suggested first: the commonest by name, the others together. The table and the CSV
    have them all. `path` writes a contact type."""
    cells: Counter[tuple[str, str]] = Counter()
    for count in counts:
        cells[period.step_of(count.day), path(count.contact_type) if count.contact_type else NOTHING] += count.tickets
    totals: Counter[str] = Counter()
    for (_, name), tickets in cells.items():
        totals[name] += tickets
    largest = [name for name, _ in totals.most_common(SHOWN_TYPES)]
    rows = [{"date": step, "contact_type": name, "tickets": cells[step, name]} for step, name in sorted(cells)]
    shown: Counter[tuple[str, str]] = Counter()
    for (step, name), tickets in cells.items():
        shown[step, name if name in largest else OTHERS] += tickets
    values = [{"date": step, "contact_type": name, "tickets": tickets} for (step, name), tickets in shown.items()]
    order = [*largest, *([OTHERS] if len(totals) > len(largest) else [])]
    spec = drawn(
        f"Tickets a {_step(period)} by contact type",
        height=240,
        data={"values": values},
        mark={"type": "bar"},
        encoding={
            "x": {**days(), "timeUnit": "utcyearmonthdate", "bandPosition": 0},
            "y": {"field": "tickets", "type": "quantitative", "title": f"tickets a {_step(period)}", "stack": True},
            "color": named("contact_type", order=order),
        },
    )
    return Chart(("date", "contact_type", "tickets"), rows, spec, note=_begins(period))


def acceptance(judged: Sequence[DayOfJudgements], period: Period) -> Chart:
    """The share of suggestions that agents took as they were, of those they judged, with Wilson's interval."""
    accepted: Counter[str] = Counter()
    tickets: Counter[str] = Counter()
    for day in judged:
        accepted[period.step_of(day.day)] += day.accepted
        tickets[period.step_of(day.day)] += day.accepted + day.corrected
    rows = []
    for step in sorted(tickets):
        share = share_of(accepted[step], tickets[step])
        rows.append(
            {"date": step, "accepted": share.value, "low": share.low, "high": share.high, "judged": share.tickets}
        )
    share_axis, x = shares("accepted"), days()
    spec = drawn(
        "Share of suggestions that agents accepted",
        height=200,
        data={"values": rows},
        layer=[
            {
                "mark": {"type": "area", "opacity": 0.18, "color": BLUE},
                "encoding": {"x": x, "y": {"field": "low", **share_axis}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "line", "point": True, "color": BLUE},
                "encoding": {"x": x, "y": {"field": "accepted", **share_axis}},
            },
        ],
    )
    return Chart(("date", "accepted", "low", "high", "judged"), rows, spec, note=_begins(period))


def labels(given: Sequence[GivenLabel]) -> Chart:
    """Labels a week by why they were asked, with the minutes they took where those are known."""
    number: Counter[tuple[str, str]] = Counter()
    seconds: dict[tuple[str, str], list[float]] = {}
    for label in given:
        cell = _monday(label.at.date()), words.share(label.share)
        number[cell] += 1
        if label.seconds is not None:
            seconds.setdefault(cell, []).append(label.seconds)
    rows = [
        {
            "week": week,
            "asked_because": share,
            "labels": number[week, share],
            "minutes": round(sum(seconds[week, share]) / 60, 1) if (week, share) in seconds else None,
        }
        for week, share in sorted(number)
    ]
    spec = drawn(
        "Labels a week by why they were asked",
        height=160,
        data={"values": rows},
        mark={"type": "bar"},
        encoding={
            "x": {"field": "week", "type": "ordinal", "title": "week from", "axis": {"labelAngle": -40}},
            "y": {"field": "labels", "type": "quantitative", "title": "labels", "axis": {"tickMinStep": 1}},
            "color": named("asked_because"),
        },
    )
    return Chart(("week", "asked_because", "labels", "minutes"), rows, spec)


def label_cost(given: Sequence[GivenLabel]) -> str:
    """What labelling took, in a sentence; "" without labels."""
    if not given:
        return ""
    known = [label.seconds for label in given if label.seconds is not None]
    told = f"{len(given)} {'label' if len(given) == 1 else 'labels'} in this period"
    if not known:
        return f"{told}; how long they took is not known."
    some = "" if len(known) == len(given) else f" (known for {len(known)} of them)"
    return f"{told}, {sum(known) / 60:.0f} minutes of work{some}, {sum(known) / len(known):.0f} seconds each."


def _step(period: Period) -> str:
    return "week" if period.by_week else "day"


def _begins(period: Period) -> str:
    return "Drawn by week, each from its Monday." if period.by_week else ""


def _monday(day: date) -> str:
    return (day - timedelta(days=day.weekday())).isoformat()
