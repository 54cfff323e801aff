"""The two pictures of a diagnosis, as SVG: where errors come from, and where more history leads."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from models.diagnosis.bias_variance import Decomposition
from models.diagnosis.learning_curve import NEWEST, RANDOM, LearningCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_UP, _DOWN, _TOTAL = "#b4443c", "#3c7d5a", "#5b6770"  # adds to the error, takes from it, what is wrong in all
_LINE, _OTHER, _AIM = "#1f5f8b", "#c17d11", "#6b4a8c"


def waterfall(found: Decomposition) -> str:
    """Each cause on top of those before it, up to the error on the last period, with 95 % intervals."""
    figure, axes = _figure(7.5, 4.2)
    bottom = 0.0
    for place, gap in enumerate(found.gaps):
        axes.bar(place, 100 * gap.size, bottom=100 * bottom, color=_UP if gap.size >= 0 else _DOWN, width=0.6)
        top = bottom + gap.size
        axes.errorbar(
            place,
            100 * top,
            yerr=[[100 * max(0.0, gap.size - gap.low)], [100 * max(0.0, gap.high - gap.size)]],
            color="#222222",
            capsize=3,
            linewidth=1,
        )
        axes.annotate(
            f"{100 * gap.size:+.1f}",
            (place, 100 * max(top, bottom, bottom + gap.high)),
            (0, 4),
            textcoords="offset points",
            ha="center",
        )
        bottom = top
    last = found.levels[-1]
    axes.bar(len(found.gaps), 100 * last.error, color=_TOTAL, width=0.6)
    axes.annotate(
        f"{100 * last.error:.1f}",
        (len(found.gaps), 100 * last.error),
        (0, 4),
        textcoords="offset points",
        ha="center",
    )
    names = [f"{gap.cause}\n({gap.after})" for gap in found.gaps]
    axes.set_xticks(range(len(names) + 1), [*names, f"wrong on\n{last.name}"], fontsize=8)
    axes.set_ylabel("points of error")
    axes.set_title(f"Where errors come from: {found.judged}", fontsize=10, loc="left")
    axes.axhline(0, color="#222222", linewidth=0.8)
    axes.margins(y=0.18)
    return _svg(figure)


def curve_picture(found: LearningCurve) -> str:
    """Errors against tickets on a logarithmic axis: the points, the law, what is ahead with its intervals, the
    target."""
    from matplotlib.ticker import LogLocator, NullLocator

    figure, axes = _figure(7.5, 4.6)
    for order, colour, marker in ((RANDOM, _LINE, "o"), (NEWEST, _OTHER, "^")):
        points = [(point.tickets, 100 * point.error) for point in found.points if point.order == order]
        label = "drawn at random" if order == RANDOM else "the newest"
        axes.scatter(*zip(*points, strict=True), s=16, color=colour, marker=marker, label=label, zorder=3)
    measured = sorted({point.tickets for point in found.points})
    ahead = np.geomspace(measured[0], found.forecasts[-1].tickets, 100)
    law = f"{100 * found.law.a:.1f} + {100 * found.law.b:.3g} n^-{found.law.c:.2f}"
    axes.plot(ahead, [100 * found.law.error_at(n) for n in ahead], color=_LINE, linewidth=1.2, label=law)
    for one in found.forecasts:
        distance = [[100 * max(0.0, one.error - one.low)], [100 * max(0.0, one.high - one.error)]]
        axes.errorbar(one.tickets, 100 * one.error, yerr=distance, fmt="D", color=_LINE, capsize=3, markersize=4)
    axes.axvline(measured[-1], color="#999999", linewidth=0.8, linestyle=":")
    if found.target is not None:
        aim = 100 * (1 - found.target.accuracy)
        axes.axhline(aim, color=_AIM, linewidth=1, linestyle="--", label=f"target {found.target.accuracy:.0%} right")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda n, _place: f"{n:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("training tickets")
    axes.set_ylabel("wrong on validation tickets, %")
    axes.set_title(f"How much history is needed: {found.learner}", fontsize=10, loc="left")
    axes.legend(fontsize=8, frameon=False)
    return _svg(figure)


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _svg(figure: Figure) -> str:
    """The same bytes for the same picture; words stay text."""
    import matplotlib

    written = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "triage", "svg.fonttype": "none"}):
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()
