"""A replay on disk: replay.json, replay.svg (accuracy and labels over time) and replay.html, the table with the
picture."""

from __future__ import annotations

import datetime as dt
import html
import io
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickets.workspace import write_text
from triage.replay.policies import ALARM_DRIVEN, ALL_LABELS, FIXED_INTERVAL, NEVER
from triage.replay.record import Lived, ReplayResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEADINGS = ("policy", "right at once", "of the oracle's", "labels", "of fixed interval's", "trained", "promoted")
_COLOURS = {
    NEVER.name: "#8a8f98",
    FIXED_INTERVAL.name: "#b7791f",
    ALARM_DRIVEN.name: "#0b6e99",
    ALL_LABELS.name: "#4c9a5b",
}
_EPOCH = dt.date(1970, 1, 1)
_STYLE: dict[Any, Any] = {"svg.hashsalt": "replay", "font.size": 9, "font.family": "DejaVu Sans"}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Replay of {history}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse}}td,th{{padding:.3rem .8rem;border-bottom:1px solid #ddd;text-align:right}}
td:first-child,th:first-child{{text-align:left}}svg{{max-width:100%;height:auto}}</style>
<h1>Replay of {history}</h1>
{table}
<ul>{told}</ul>
{picture}
</html>
"""


def write_replay(result: ReplayResult, folder: Path) -> Path:
    """Write the three files into `folder`; returns the page's path."""
    picture = draw(result)
    write_text(folder / "replay.json", json.dumps(result.to_json(), indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "replay.svg", picture)
    write_text(folder / "replay.html", _page(result, picture))
    return folder / "replay.html"


def table(result: ReplayResult) -> list[tuple[str, ...]]:
    """A row a policy, in the order of HEADINGS; a share whose yardstick was not replayed is left blank."""
    oracle, fixed = result.lived(ALL_LABELS.name), result.lived(FIXED_INTERVAL.name)
    return [
        (
            one.policy,
            f"{one.accuracy:.1%}",
            _share(one.accuracy, oracle.accuracy if oracle else 0),
            f"{one.labels:,}",
            _share(one.labels, fixed.labels if fixed else 0),
            f"{one.trainings}",
            f"{one.promotions}",
        )
        for one in result.policies
    ]


def draw(result: ReplayResult) -> str:
    """The picture as SVG text, the same bytes for the same figures."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 7), layout="constrained")
        right, labels = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        for one in result.policies:
            _accuracy(right, one)
            days = [_number(day.day) for day in one.days]
            labels.plot(days, [day.labels for day in one.days], color=_COLOURS.get(one.policy), linewidth=1.6)
        right.set_ylabel("right at once, % of a week's tickets")
        right.legend(loc="lower left", frameon=False)
        labels.set_ylabel("labels answered so far")
        labels.xaxis_date(tz="UTC")
        for axes in (right, labels):
            axes.grid(visible=True, color="#e4e6e9", linewidth=0.8)
            axes.set_axisbelow(True)
            for day, _ in result.events:
                axes.axvline(_number(day), color="#22262b", linewidth=0.8, linestyle=":")
        for day, what in result.events:
            right.annotate(
                what, (_number(day), 1), xycoords=("data", "axes fraction"), xytext=(3, -10), textcoords="offset points"
            )
        figure.suptitle(f"{result.history}, replayed: points are new champions, dotted lines are changes")
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Title": "Replay", "Creator": None})
    return written.getvalue()


def _accuracy(axes: Axes, lived: Lived) -> None:
    """A line through the middles of the weeks; a point where a new champion answered its first ticket."""
    colour = _COLOURS.get(lived.policy)
    weeks = [week for week in lived.weeks() if week.accuracy is not None]
    middles = [_number(week.start + dt.timedelta(days=3)) for week in weeks]
    shares = [100 * (week.accuracy or 0) for week in weeks]
    axes.plot(middles, shares, color=colour, linewidth=1.6, label=f"{lived.policy} ({lived.accuracy:.1%})")
    if not weeks:
        return
    for before, day in pairwise(lived.days):
        if before.model_version != day.model_version:
            apart = [abs(middle - _number(day.day)) for middle in middles]
            nearest = apart.index(min(apart))
            axes.plot(middles[nearest], shares[nearest], "o", color=colour, markersize=5)


def _number(day: dt.date) -> float:
    """A day as matplotlib counts them: since 1970."""
    return float((day - _EPOCH).days)


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else ""


def _page(result: ReplayResult, picture: str) -> str:
    told = "".join(f"<li>{html.escape(one.policy)}: {html.escape(one.told)}</li>" for one in result.policies)
    return _PAGE.format(
        history=html.escape(result.history),
        table=_html_table(HEADINGS, table(result)),
        told=told,
        picture=picture[picture.index("<svg") :],
    )


def _html_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(heading)}</th>' for heading in headings)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
