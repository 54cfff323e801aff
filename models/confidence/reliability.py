"""The last bend: from the first leaf's probability to how often such a first leaf is right.

Temperatures cannot bend a curve that is fair at both ends and too modest in the middle. This map can: a chain of
straight lines in log-odds (splines for calibration: Gupta et al. 2021), held to the identity and to smoothness by a
penalty whose weight cross-validation within the validation tickets chooses, the identity being one of the choices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.confidence.logistic import fit_logistic, log_losses, log_odds, sigmoid
from models.confidence.temperature import LEAST_SUPPORT

Doubles = NDArray[np.float64]

_KNOTS = (-2.0, -0.5, 0.5, 1.5, 3.0, 5.0)  # log-odds; as probabilities 0.12, 0.38, 0.62, 0.82, 0.95, 0.993
_PENALTIES = (0.1, 0.03, 0.01, 0.003, 0.001)  # stiff to pliable
_ROUGHNESS = 3.0  # a change of slope costs this much more than a deviation
_FOLDS, _ROUNDS = 10, 3
_LEAD = 0.1  # share of the first leaf's lead over the second that it keeps: the order of the leaves never changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """What is added to the log-odds of the first probability, at each knot; between them a straight line."""

    knots: tuple[float, ...] = ()
    added: tuple[float, ...] = ()

    def __call__(self, first: Doubles) -> Doubles:
        """(n,) first probabilities -> (n,) how often such tickets are right."""
        if not self.knots:
            return first
        odds = log_odds(first)
        return sigmoid(odds + np.interp(odds, self.knots, self.added))


def bent(probabilities: Doubles, bend: Bend) -> Doubles:
    """(n, L) with the first leaf's probability bent, the others scaled to fill the rest; every order is kept."""
    if not bend.knots or probabilities.shape[1] < 2:
        return probabilities
    rows = np.arange(len(probabilities))
    top = probabilities.argmax(axis=1)
    first = probabilities[rows, top]
    others = np.maximum(probabilities, 1e-12)  # something to scale, even where the first leaf has it all
    others[rows, top] = 0.0
    rest, second = others.sum(axis=1), others.max(axis=1)
    # Where the curve would take the first below the second, it stops at a share of the lead.
    least = (_LEAD * (first - second) + second / rest) / (1.0 + second / rest)
    honest = np.maximum(bend(first), np.minimum(least, first))
    result: Doubles = others * ((1.0 - honest) / rest)[:, None]
    result[rows, top] = honest
    return result


def fit_bend(first: Doubles, right: NDArray[np.bool_]) -> Bend:
    """From the first probabilities (n,) of validation tickets and whether the first leaf was right."""
    if len(first) < _FOLDS * LEAST_SUPPORT:
        return Bend()
    odds = log_odds(first)
    inputs = _between_knots(odds)
    loss = float(log_losses(first, right).mean())
    chosen: float | None = None
    for penalty in _PENALTIES:
        tried = _cross_validated(inputs, odds, right, penalty)
        if tried < loss:
            loss, chosen = tried, penalty
    if chosen is None:
        return Bend()
    added = fit_logistic(inputs, right, _penalty(chosen), offset=odds)
    rising = np.maximum.accumulate(np.array(_KNOTS) + added)  # a likelier first leaf is right at least as often
    return Bend(knots=_KNOTS, added=tuple(float(value) for value in rising - np.array(_KNOTS)))


def expected_calibration_error(
    probability: NDArray[np.float32], correct: NDArray[np.bool_], *, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins, weighted by tickets; nan without tickets."""
    if not len(probability):
        return float("nan")
    index = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = np.bincount(index, weights=correct.astype(float) - probability, minlength=bins)
    return float(np.abs(gaps).sum() / len(probability))


def _cross_validated(inputs: Doubles, odds: Doubles, right: NDArray[np.bool_], penalty: float) -> float:
    """Mean log loss of tickets that the map was not fitted on."""
    random = np.random.default_rng(0)
    total = 0.0
    for _ in range(_ROUNDS):
        fold = random.permutation(len(odds)) % _FOLDS
        for one in range(_FOLDS):
            kept, out = fold != one, fold == one
            added = fit_logistic(inputs[kept], right[kept], _penalty(penalty), offset=odds[kept])
            total += float(log_losses(sigmoid(odds[out] + inputs[out] @ added), right[out]).sum())
    return total / (_ROUNDS * len(odds))


def _between_knots(odds: Doubles) -> Doubles:
    """(n, knots) how much of each knot's value a ticket gets."""
    return np.stack([np.interp(odds, _KNOTS, row) for row in np.eye(len(_KNOTS))], axis=1)


def _penalty(weight: float) -> Doubles:
    bends = np.diff(np.eye(len(_KNOTS)), 2, axis=0)
    matrix: Doubles = weight * (np.eye(len(_KNOTS)) + _ROUGHNESS * bends.T @ bends)
    return matrix
