"""Making probabilities honest after quantisation, and the limits that follow from them. Pure numpy.

One temperature a tree level (Guo et al. 2017, "On Calibration of Modern Neural Networks"), because a level with four
children is overconfident in another way than one with forty. Then the limits of the bands and of abstaining, found on
the same validation tickets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickets.records import Band

NEVER = 1.01  # a limit that no probability reaches
LEAST_SUPPORT = 20  # tickets on which a limit must rest
SLACK = 0.2  # how far below its target precision a band may begin: the last ticket in it must be worth its name too
SCOPE_LIMIT = 0.5  # out-of-scope scores above this abstain; the score is scaled so that the limit is always here


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What the limits are set for, as shares of tickets.

    Tickets whose band is high are right at least `high` of the time; medium likewise. A ticket is abstained on when
    its likes are right less than `abstain` of the time. `in_scope` of the validation tickets count as in scope.
    """

    high: float = 0.9
    medium: float = 0.7
    abstain: float = 0.25
    in_scope: float = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Turns raw outputs into what an agent reads: temperatures top level first, limits, the out-of-scope curve."""

    temperatures: tuple[float, ...]
    high: float
    medium: float
    abstain_below: float
    scope_center: float
    scope_scale: float

    def band(self, probability: float) -> Band:
        if probability >= self.high:
            return "high"
        return "medium" if probability >= self.medium else "low"

    def out_of_scope(self, distance: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n,) distances to the nearest training tickets -> scores 0 to 1; above SCOPE_LIMIT is out of scope."""
        steepness = np.clip((distance - self.scope_center) / self.scope_scale, -30.0, 30.0)
        scores: NDArray[np.float32] = (1.0 / (1.0 + np.exp(-steepness))).astype(np.float32)
        return scores


def calibration_from_json(data: Mapping[str, object]) -> Calibration:
    """Read `dataclasses.asdict(calibration)`. Raises KeyError, TypeError or ValueError when it is something else."""
    temperatures = data["temperatures"]
    if not isinstance(temperatures, Sequence):
        raise TypeError("temperatures is no list")
    limits = {
        name: float(str(data[name])) for name in ("high", "medium", "abstain_below", "scope_center", "scope_scale")
    }
    return Calibration(temperatures=tuple(float(value) for value in temperatures), **limits)


def fit_temperature(logits: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """The T that makes softmax(logits / T) likeliest, by golden section over log T between 1/20 and 20.

    logits (n, m), -inf where a column is no candidate. 1.0 where there is nothing to learn from.
    """
    chosen = np.isfinite(logits).sum(axis=1) > 1
    if chosen.sum() < LEAST_SUPPORT:
        return 1.0
    scores, target = logits[chosen].astype(np.float64), truth[chosen]

    def loss(log_temperature: float) -> float:
        return float(np.mean(_row_losses(scores / math.exp(log_temperature), target)))

    return math.exp(_golden_section(loss, math.log(1 / 20), math.log(20.0)))


def fit_temperatures(
    node_logits: NDArray[np.float32], paths: NDArray[np.int64], siblings: NDArray[np.int64]
) -> tuple[float, ...]:
    """One temperature a level, each over the choice among siblings under the true parent.

    node_logits (n, N); paths (n, levels) true node at each level, -1 below the end; siblings (N,) equal for nodes
    with one parent.
    """
    temperatures = []
    for level in range(paths.shape[1]):
        rows = np.flatnonzero(paths[:, level] >= 0)
        temperatures.append(fit_temperature(*_choices(node_logits, rows, paths[rows, level], siblings)))
    return tuple(temperatures)


def expected_calibration_error(
    probability: NDArray[np.float32], correct: NDArray[np.bool_], *, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by tickets; nan without tickets."""
    if not len(probability):
        return math.nan
    index = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=correct.astype(float) - probability, minlength=bins)
    return float(np.abs(gaps).sum() / len(probability))


def limit_for_precision(probability: NDArray[np.float32], correct: NDArray[np.bool_], target: float) -> float:
    """The least probability at or above which at least `target` of tickets are right; NEVER when none is.

    At least LEAST_SUPPORT tickets must stand above it.
    """
    order = np.argsort(-probability, kind="stable")
    ranked, precision, possible = _running_precision(probability, correct, order)
    good = np.flatnonzero((precision >= target) & possible)
    return float(ranked[good[-1]]) if len(good) else NEVER


def limit_for_abstaining(probability: NDArray[np.float32], correct: NDArray[np.bool_], share: float) -> float:
    """The greatest probability below which less than `share` of tickets are right; 0 (never abstain) without one."""
    order = np.argsort(probability, kind="stable")
    ranked, precision, possible = _running_precision(probability, correct, order)
    poor = np.flatnonzero((precision < share) & possible)
    return float(np.nextafter(ranked[poor[-1]], np.float32(2.0))) if len(poor) else 0.0


def fit_calibration(
    temperatures: Sequence[float],
    probability: NDArray[np.float32],
    correct: NDArray[np.bool_],
    distance: NDArray[np.float32],
    targets: Targets,
) -> Calibration:
    """Limits from validation: calibrated top-1 probability (n,), whether it was right, distance to training."""
    high = max(limit_for_precision(probability, correct, targets.high), targets.high - SLACK)
    medium = max(limit_for_precision(probability, correct, targets.medium), targets.medium - SLACK)
    medium = min(medium, high)
    middle, edge = np.quantile(distance, [0.5, targets.in_scope]) if len(distance) else (0.5, 1.0)
    return Calibration(
        temperatures=tuple(temperatures),
        high=high,
        medium=medium,
        abstain_below=min(limit_for_abstaining(probability, correct, targets.abstain), medium),
        scope_center=float(edge),
        # The median ticket scores sigmoid(-4) = 0.02; the floor keeps the curve finite when all distances agree.
        scope_scale=max(float(edge - middle) / 4.0, 1e-3),
    )


def _choices(
    node_logits: NDArray[np.float32], rows: NDArray[np.int64], truth: NDArray[np.int64], siblings: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The rows' logits of the true node and its siblings alone, (r, most siblings) -inf padded, and the true columns.

    The tree may have hundreds of nodes and validation a hundred thousand tickets; a choice is among a few.
    """
    group = siblings[truth]
    scores = np.full((len(rows), int(np.bincount(siblings).max(initial=1))), -np.inf, np.float32)
    place = np.zeros(len(rows), np.int64)
    for one in np.unique(group):
        mine, columns = np.flatnonzero(group == one), np.flatnonzero(siblings == one)
        scores[mine, : len(columns)] = node_logits[rows[mine]][:, columns]
        place[mine] = np.searchsorted(columns, truth[mine])
    return scores, place


def _running_precision(
    probability: NDArray[np.float32], correct: NDArray[np.bool_], order: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_]]:
    """Probabilities in the given order, the share right up to each, and whether a limit may lie there: on enough
    tickets, and not between equal probabilities."""
    ranked = probability[order]
    count = np.arange(1, len(ranked) + 1)
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True) if len(ranked) else np.zeros(0, bool)
    return ranked, np.cumsum(correct[order]) / count, (count >= LEAST_SUPPORT) & last_of_tie


def _row_losses(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    peak = logits.max(axis=1)
    total = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    losses: NDArray[np.float64] = total - logits[np.arange(len(logits)), truth]
    return losses


def _golden_section(loss: Callable[[float], float], low: float, high: float, steps: int = 40) -> float:
    ratio = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    for _ in range(steps):
        if loss_left < loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - ratio * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + ratio * (high - low)
            loss_right = loss(right)
    return (low + high) / 2.0
