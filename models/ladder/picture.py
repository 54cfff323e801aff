"""The ladder in one picture: quality against seconds of training, milliseconds a ticket and megabytes.

Three panels share the quality axis; costs are logarithmic. Rungs that no other beats in both quality and that panel's
cost (the Pareto front) are filled and joined.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.ladder.record import LadderRun, RungResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS = {"train_seconds": "seconds to train", "ms_per_ticket": "milliseconds a ticket", "megabytes": "megabytes"}
_LEAST = 0.01  # a cost below this is drawn here: a logarithm knows no zero
_FRONT, _REST, _INK = "#0b6e99", "#8a8f98", "#22262b"
_MARK = 6.0  # pixels that a point takes on each side
_GAP = 4.0  # pixels between a label and what is around it
_STYLE: dict[Any, Any] = {"svg.hashsalt": "ladder", "font.size": 9, "font.family": "DejaVu Sans"}


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    bottom: float
    width: float
    height: float

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.left + other.width
            and other.left < self.left + self.width
            and self.bottom < other.bottom + other.height
            and other.bottom < self.bottom + self.height
        )

    def inside(self, other: Box) -> bool:
        return (
            self.left >= other.left
            and self.bottom >= other.bottom
            and self.left + self.width <= other.left + other.width
            and self.bottom + self.height <= other.bottom + other.height
        )


def pareto_front(quality: Sequence[float], cost: Sequence[float]) -> list[int]:
    """Those that no other matches or beats in both and beats in one, cheapest first."""
    front = []
    for one in range(len(cost)):
        beaten = any(
            quality[other] >= quality[one]
            and cost[other] <= cost[one]
            and (quality[other] > quality[one] or cost[other] < cost[one])
            for other in range(len(cost))
        )
        if not beaten:
            front.append(one)
    return sorted(front, key=lambda one: cost[one])


def place_labels(
    points: NDArray[np.float64], sizes: NDArray[np.float64], panel: Box, *, lines: Sequence[Box] = ()
) -> list[Box]:
    """Where each label (width, height) may stand near its point (x, y), all (n, 2) in pixels: on no point, no other
    label and none of the `lines`, and inside the panel, as long as there is room.

    Each label tries rings of places around its point, the nearest first; the most crowded point chooses first.
    """
    marks = [Box(x - _MARK, y - _MARK, 2 * _MARK, 2 * _MARK) for x, y in points]
    apart = np.abs(points[:, None] - points[None, :]).sum(axis=2)
    placed: dict[int, Box] = {}
    for one in np.argsort(np.sort(apart, axis=1)[:, :3].sum(axis=1), kind="stable").tolist():
        there = [*marks, *placed.values()]
        around = [box for box in _around(points[one], sizes[one]) if box.inside(panel)]
        free = [box for box in around if not any(box.meets(other) for other in there)]
        clear = [box for box in free if not any(box.meets(line) for line in lines)]
        placed[one] = (clear or free or around or _around(points[one], sizes[one]))[0]
    return [placed[one] for one in range(len(points))]


def draw(run: LadderRun) -> str | None:
    """The picture as SVG text, the same bytes for the same figures; None when no rung was measured."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rungs = run.measured
    if not rungs:
        return None
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(15.5, 6.4), layout="constrained")
        FigureCanvasAgg(figure)  # it can measure texts, which the SVG one cannot
        panels = figure.subplots(1, len(_PANELS), sharey=True)
        for axes, (cost, title) in zip(panels, _PANELS.items(), strict=True):
            _points(axes, rungs, cost)
            axes.set_xlabel(f"{title} (logarithmic)")
        panels[0].set_ylabel(f"right at once, % of {run.split} tickets")
        figure.suptitle("What it costs to be how good: filled and joined, no other rung is both better and cheaper")
        _room(panels[0], rungs)
        figure.canvas.draw()
        figure.set_layout_engine("none")  # settled: what is placed now must not move
        for axes, cost in zip(panels, _PANELS, strict=True):
            _labels(figure, axes, rungs, cost)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None, "Title": "The ladder", "Creator": None})
    return written.getvalue()


def _at(rung: RungResult, cost: str) -> tuple[float, float]:
    return max(rung.cost(cost), _LEAST), 100 * rung.right


def _front(rungs: Sequence[RungResult], cost: str) -> list[int]:
    return pareto_front([rung.right for rung in rungs], [rung.cost(cost) for rung in rungs])


def _points(axes: Axes, rungs: Sequence[RungResult], cost: str) -> None:
    x, y = np.array([_at(rung, cost) for rung in rungs]).T
    front = _front(rungs, cost)
    axes.set_xlim(x.min() / 4, x.max() * 12)  # room, so that labels find a place
    axes.set_xscale("log")
    axes.grid(visible=True, which="major", color="#e4e6e9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.step(x[front], y[front], where="post", color=_FRONT, linewidth=1.2, zorder=2)
    for number, rung in enumerate(rungs):
        colour = _FRONT if number in front else _REST
        reach = [[y[number] - 100 * rung.accuracy.low], [100 * rung.accuracy.high - y[number]]]
        axes.errorbar(x[number], y[number], yerr=np.maximum(reach, 0), color=colour, linewidth=1, capsize=2, zorder=3)
        face = _FRONT if number in front else "white"
        axes.plot(x[number], y[number], "o", markersize=7, color=colour, markerfacecolor=face, zorder=4)


def _room(axes: Axes, rungs: Sequence[RungResult]) -> None:
    """Quality on the shared axis, with room above and below for labels."""
    low, high = min(rung.accuracy.low for rung in rungs), max(rung.accuracy.high for rung in rungs)
    margin = 8 * max(high - low, 0.1)
    axes.set_ylim(100 * low - margin, 100 * high + margin)


def _labels(figure: Any, axes: Axes, rungs: Sequence[RungResult], cost: str) -> None:
    renderer = figure.canvas.get_renderer()
    points = axes.transData.transform([_at(rung, cost) for rung in rungs])
    texts = [axes.annotate(rung.title, (0, 0), xycoords="figure pixels", color=_INK, zorder=5) for rung in rungs]
    extents = [text.get_window_extent(renderer) for text in texts]
    sizes = np.array([(extent.width + _GAP, extent.height + _GAP) for extent in extents])
    window = axes.get_window_extent(renderer)
    panel = Box(window.x0, window.y0, window.width, window.height)
    places = place_labels(points, sizes, panel, lines=_steps(points[_front(rungs, cost)]))
    for text, box, point in zip(texts, places, points, strict=True):
        text.remove()
        arrow = {"arrowstyle": "-", "color": _REST, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
        middle = np.array([box.left + box.width / 2, box.bottom + box.height / 2])
        far = np.abs(middle - point) - np.array([box.width, box.height]) / 2
        axes.annotate(
            text.get_text(),
            _xy(axes, point[0], point[1]),
            xytext=_xy(axes, box.left + _GAP / 2, box.bottom + _GAP / 2),
            color=_INK,
            ha="left",
            va="bottom",
            zorder=5,
            arrowprops=arrow if far.max() > 12 else None,
        )


def _xy(axes: Axes, x: float, y: float) -> tuple[float, float]:
    """Pixels to the axes' own numbers."""
    across, up = axes.transData.inverted().transform((x, y))
    return float(across), float(up)


def _steps(front: NDArray[np.float64]) -> list[Box]:
    """The line through the front, (n, 2) in pixels: along, then up."""
    boxes = []
    for (x, y), (next_x, next_y) in pairwise(front.tolist()):
        boxes += [Box(x, y - 1, next_x - x, 2), Box(next_x - 1, min(y, next_y), 2, abs(next_y - y))]
    return boxes


def _around(point: NDArray[np.float64], size: NDArray[np.float64]) -> list[Box]:
    """Places for a label: right of its point, left, above, below, then further away on wider rings."""
    (x, y), (width, height) = point, size
    boxes = []
    for ring in range(20):
        reach = _MARK + ring * height * 0.5
        aside = (y - height / 2, y - height / 2 + reach, y - height / 2 - reach)
        for left in (x + reach, x - reach - width):
            boxes += [Box(left, bottom, width, height) for bottom in (aside[:1] if ring == 0 else aside)]
        for bottom in (y + reach, y - reach - height):
            boxes += [Box(left, bottom, width, height) for left in (x - width / 2, x, x - width)]
    return boxes
