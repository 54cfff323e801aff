"""How much history is needed: the error against the number of tickets learned from, and where that curve leads.

Subsets grow by a constant factor, drawn at random (several seeds) and newest first; all are judged on the same tickets
of the validation period. A power law is fitted to the random ones and drawn on beyond the history there is. How wrong
that can be is measured: from seeds and judged tickets drawn again, and by predicting the largest sizes from the
smaller ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.batches import TicketArrays
from models.diagnosis.answers import Learn
from models.diagnosis.power_law import PowerLaw, fit_power_law
from models.training.data import TrainingData
from tickets.errors import InputError, TrainingDataError
from tickets.progress import Report, each

Order = Literal["random", "newest"]
RANDOM, NEWEST = "random", "newest"
_SIZES, _SMALLEST = 8, 40
_SPAN = (5, 16)  # times that the largest size is the smallest: at least, at most
_A_TYPE = 3  # tickets of each contact type; with fewer, more tickets help otherwise than they do later on
_LEFT_OUT = 2  # of the largest sizes, when the curve is put to the test
_FURTHER = (2.0, 5.0, 10.0)  # times the history
_JUDGED = 2_000  # validation tickets at most
_DRAWS = 200
FARTHEST = 100.0  # times the history; a guess beyond is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What learning from so many tickets led to."""

    order: str
    tickets: int
    seed: int
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The error to expect with so many tickets; the 95 % interval holds the miss of the test too."""

    times: float  # the history there is
    tickets: int
    error: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """The largest sizes, predicted from the smaller ones. `miss` is the mean distance."""

    sizes: tuple[int, ...]
    predicted: tuple[float, ...]
    found: tuple[float, ...]
    miss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """How many tickets a wanted accuracy takes. `tickets` is None when the curve flattens before; `chance` is the share
    of the curves drawn again that reach it within a hundred times the history."""

    accuracy: float
    tickets: float | None
    low: float
    high: float
    chance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """Everything, in order of reading; `curve_text` says it in words."""

    learner: str
    history: int  # training tickets there are
    judged: int  # tickets
    points: tuple[Point, ...]
    law: PowerLaw
    forecasts: tuple[Forecast, ...]
    backtest: Backtest
    target: Target | None

    def mean_errors(self, order: str) -> dict[int, float]:
        """Size -> error, over the seeds."""
        sizes = sorted({point.tickets for point in self.points if point.order == order})
        return {
            size: float(np.mean([p.error for p in self.points if p.order == order and p.tickets == size]))
            for size in sizes
        }


def learning_curve(
    data: TrainingData,
    learn: Learn,
    *,
    learner: str,
    seeds: Sequence[int],
    target: float | None,
    report: Report,
    most: int | None = None,
) -> LearningCurve:
    """Learn from growing parts of the training tickets, `most` at the most, and judge each on the validation tickets.

    `target` is an accuracy between 0 and 1. Raises InputError for another, TrainingDataError when there are too few
    tickets.
    """
    check_target(target)
    judged = _judged(data)
    history = len(data.train)
    sizes = np.array(growing_sizes(min(history, most or history), types=len(np.unique(data.train.node))), np.int64)
    found = _learn_all(data, learn, judged, sizes, seeds=seeds, report=report)
    return curve_of(sizes, found[RANDOM], found[NEWEST], learner=learner, seeds=seeds, target=target, history=history)


def check_target(target: float | None) -> None:
    """Raises InputError when it is no accuracy between 0 and 1."""
    if target is not None and not 0 < target < 1:
        raise InputError(
            f"the target is {target:g}; it is an accuracy between 0 and 1.", hint="For 85 %: --target 0.85."
        )


def growing_sizes(tickets: int, *, types: int) -> list[int]:
    """Sizes by a constant factor up to all tickets, smallest first, for tickets of so many contact types.

    A power law holds once each contact type has been met a few times (Hestness et al.: below lies the small-data
    region), so the smallest size leaves that behind where history allows. Raises TrainingDataError when it is too
    short.
    """
    if tickets < _SPAN[0] * _SMALLEST:
        raise TrainingDataError(
            f"{tickets:,} training tickets are too few for a learning curve; it takes {_SPAN[0] * _SMALLEST} or more.",
            hint="Import more tickets with outcomes.",
        )
    smallest = min(max(_SMALLEST, tickets / _SPAN[1], _A_TYPE * types), tickets / _SPAN[0])
    return [round(size) for size in np.geomspace(smallest, tickets, _SIZES)]


def curve_of(
    sizes: NDArray[np.int64],
    random: NDArray[np.bool_],
    newest: NDArray[np.bool_],
    *,
    learner: str,
    seeds: Sequence[int],
    target: float | None,
    history: int,
) -> LearningCurve:
    """From mistakes: `random` (seeds, sizes, judged tickets), `newest` (sizes, judged tickets). `history` is all the
    tickets there are, the largest size or more."""
    law = _law(sizes, random.mean(axis=(0, 2)), random)
    drawn = _drawn_again(sizes, random, law)
    backtest = _backtest(sizes, random)
    forecasts = tuple(
        _forecast(law, drawn, history, times, backtest.miss)
        for times in (*([1.0] if history > sizes[-1] else []), *_FURTHER)
    )
    aim = None if target is None else _target(law, drawn, target, history=history, miss=backtest.miss, sizes=sizes)
    points = [
        Point(order=RANDOM, tickets=int(size), seed=seed, error=float(random[s, z].mean()))
        for s, seed in enumerate(seeds)
        for z, size in enumerate(sizes)
    ]
    points += [
        Point(order=NEWEST, tickets=int(size), seed=seeds[0], error=float(newest[z].mean()))
        for z, size in enumerate(sizes)
    ]
    return LearningCurve(
        learner=learner,
        history=history,
        judged=random.shape[2],
        points=tuple(points),
        law=law,
        forecasts=forecasts,
        backtest=backtest,
        target=aim,
    )


def _judged(data: TrainingData) -> TicketArrays:
    later = data.validation if len(data.validation) else data.test
    if not len(later):
        raise TrainingDataError("no later ticket has an outcome to judge on.", hint="Move the split's dates.")
    return later.spread(_JUDGED)


def _learn_all(
    data: TrainingData,
    learn: Learn,
    judged: TicketArrays,
    sizes: NDArray[np.int64],
    *,
    seeds: Sequence[int],
    report: Report,
) -> Mapping[str, NDArray[np.bool_]]:
    """Mistakes of each learner: random (seeds, sizes, judged), newest (sizes, judged). All tickets are one set in any
    order, so they are learned once."""
    random = np.zeros((len(seeds), len(sizes), len(judged)), np.bool_)
    newest = np.zeros((len(sizes), len(judged)), np.bool_)
    count = len(data.train)
    for place, size in each("points of the curve", enumerate(sizes.tolist()), len(sizes)):
        newest[place] = learn(data.train.newest(size), seeds[0])(judged)
        for row, seed in enumerate(seeds):
            if size == count:
                random[row, place] = newest[place]
                continue
            part = np.sort(np.random.default_rng([seed, 5]).permutation(count)[:size])  # each part holds the last one
            random[row, place] = learn(data.train.take(part), seed)(judged)
        errors = random[:, place].mean(), newest[place].mean()
        report(f"{size:,} tickets: error {errors[0]:.1%} drawn at random, {errors[1]:.1%} the newest.")
    return {RANDOM: random, NEWEST: newest}


def _law(
    sizes: NDArray[np.int64], errors: NDArray[np.float64], mistakes: NDArray[np.bool_], start: PowerLaw | None = None
) -> PowerLaw:
    """Fitted to the mean error of each size, each weighed by what seeds and judged tickets leave open."""
    seeds, _, judged = mistakes.shape
    by_tickets = np.clip(errors * (1 - errors), 1e-4, None) / judged
    by_seeds = mistakes.mean(axis=2).var(axis=0, ddof=1) / seeds if seeds > 1 else np.zeros(len(sizes))
    return fit_power_law(sizes, errors, deviations=np.sqrt(by_tickets + by_seeds), start=start)


def _drawn_again(sizes: NDArray[np.int64], mistakes: NDArray[np.bool_], law: PowerLaw) -> list[PowerLaw]:
    """The laws that other seeds and other judged tickets would have led to (bootstrap)."""
    random = np.random.default_rng(17)
    seeds, count, judged = mistakes.shape
    columns = np.arange(count)
    laws = []
    for _ in range(_DRAWS):
        weight = np.bincount(random.integers(0, judged, judged), minlength=judged) / judged
        errors = mistakes @ weight  # (seeds, sizes)
        chosen = random.integers(0, seeds, (seeds, count))
        laws.append(_law(sizes, errors[chosen, columns].mean(axis=0), mistakes, start=law))
    return laws


def _backtest(sizes: NDArray[np.int64], mistakes: NDArray[np.bool_]) -> Backtest:
    kept = len(sizes) - _LEFT_OUT
    law = _law(sizes[:kept], mistakes[:, :kept].mean(axis=(0, 2)), mistakes[:, :kept])
    predicted = [law.error_at(size) for size in sizes[kept:].tolist()]
    found = mistakes[:, kept:].mean(axis=(0, 2)).tolist()
    return Backtest(
        sizes=tuple(sizes[kept:].tolist()),
        predicted=tuple(predicted),
        found=tuple(found),
        miss=float(np.mean(np.abs(np.subtract(predicted, found)))),
    )


def _forecast(law: PowerLaw, drawn: Sequence[PowerLaw], history: int, times: float, miss: float) -> Forecast:
    tickets = round(history * times)
    low, high = np.quantile([one.error_at(tickets) for one in drawn], [0.025, 0.975])
    return Forecast(
        times=times,
        tickets=tickets,
        error=law.error_at(tickets),
        low=max(0.0, float(low) - miss),
        high=min(1.0, float(high) + miss),
    )


def _target(
    law: PowerLaw, drawn: Sequence[PowerLaw], accuracy: float, *, history: int, miss: float, sizes: NDArray[np.int64]
) -> Target:
    """The interval is where that of the forecasts crosses the target; it holds `tickets`, and begins at the largest
    size learned, up to which errors were measured."""
    places = [round(share * (len(drawn) - 1)) for share in (0.025, 0.975)]
    low = sorted(one.tickets_for(1 - accuracy + miss) for one in drawn)[places[0]]
    high = sorted(one.tickets_for(1 - accuracy - miss) for one in drawn)[places[1]]
    learned = float(sizes[-1])
    best = max(learned, law.tickets_for(1 - accuracy))
    return Target(
        accuracy=accuracy,
        tickets=best if best <= FARTHEST * history else None,
        low=max(learned, min(low, best)),
        high=max(high, best),
        chance=float(np.mean([one.tickets_for(1 - accuracy) <= FARTHEST * history for one in drawn])),
    )
