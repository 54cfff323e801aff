"""From probabilities to the words an agent reads: the bands high, medium and low, and when to abstain.

A band promises a precision, and each contact type has limits of its own: some are right more often than their
probabilities say, some less. How much is a logistic regression with one coefficient a node, held to zero by a penalty,
so that a type with few tickets leans on its parent, and the parent on all (partial pooling: Gelman and Hill 2007,
chapter 12); cross-validation says how much types differ at all. What is not known of a type counts against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.confidence.logistic import fit_logistic, log_losses, log_odds, sigmoid, uncertainty
from models.confidence.temperature import LEAST_SUPPORT
from models.tree_index import TreeIndex

Doubles = NDArray[np.float64]

NEVER = 1.01  # a limit that no probability reaches
SLACK = 0.1  # how far below its target precision a band may begin: the last ticket in it must be worth its name too
CAREFUL = 0.84  # standard deviations that are left for what is not known: four times in five it is better than told
_SPREADS = (0.1, 0.2, 0.4, 0.8)  # standard deviations, in log-odds, by which nodes may differ
_FOLDS = 10

TypeLimits = Mapping[str, tuple[float, float]]  # contact type -> where its bands high and medium begin


@dataclass(frozen=True, slots=True)
class Judged:
    """n validation tickets: the leaf predicted, its calibrated probability, whether it was right."""

    leaf: NDArray[np.int64]  # (n,) node
    probability: Doubles
    right: NDArray[np.bool_]


def band_limits(judged: Judged, high: float, medium: float) -> tuple[float, float]:
    """The least probabilities from which on the bands hold what they promise, with some certainty: `high` of the
    tickets above the first are right, `medium` of those between the two. NEVER where too few tickets show it."""
    first = _limit(judged.probability, judged.right, high)
    between = judged.probability < first
    return first, min(first, _limit(judged.probability[between], judged.right[between], medium))


def limit_for_abstaining(probability: Doubles, correct: NDArray[np.bool_], share: float) -> float:
    """The greatest probability below which less than `share` of tickets are right; 0 (never abstain) without one."""
    order = np.argsort(probability, kind="stable")
    ranked, precision, possible = _running_precision(probability, correct, order)
    poor = np.flatnonzero((precision < share) & possible)
    return float(np.nextafter(np.float32(ranked[poor[-1]]), np.float32(2.0))) if len(poor) else 0.0


def limits_by_type(index: TreeIndex, judged: Judged, high: float, medium: float) -> tuple[float, float, TypeLimits]:
    """Limits of a type whose probabilities mean what they say, and each active leaf's own; {} where types are alike."""
    shift, doubt = type_shifts(index, judged)
    cautious = shift - CAREFUL * doubt
    told = sigmoid(log_odds(judged.probability) + cautious[np.searchsorted(index.leaves, judged.leaf)])
    limits = band_limits(Judged(judged.leaf, told, judged.right), high, medium)
    if not cautious.any():
        return *limits, {}
    own = [[_moved(limit, by) for limit in limits] for by in cautious.tolist()]
    return *limits, {index.ids[leaf]: (first, second) for leaf, (first, second) in zip(index.leaves, own, strict=True)}


def type_shifts(index: TreeIndex, judged: Judged) -> tuple[Doubles, Doubles]:
    """(L,) twice: what to add to the log-odds of each leaf's probabilities, and its standard deviation. Zeros where the
    types are alike as far as can be told."""
    odds, leaf = log_odds(judged.probability), np.searchsorted(index.leaves, judged.leaf)
    nodes = index.leaves_under.T.astype(np.float64)  # (L, N): a leaf's shift is a sum over its path
    spread = _spread(nodes, leaf, odds, judged.right) if len(leaf) >= _FOLDS * LEAST_SUPPORT else 0.0
    if not spread:
        return np.zeros(len(nodes)), np.zeros(len(nodes))
    coefficients = _coefficients(nodes, leaf, odds, judged.right, spread)
    shift: Doubles = nodes @ coefficients
    covariance = uncertainty(nodes, sigmoid(odds + shift[leaf]), _penalty(nodes, len(leaf), spread), leaf)
    return shift, np.sqrt(np.einsum("ln,nm,lm->l", nodes, covariance, nodes))


def _spread(nodes: Doubles, leaf: NDArray[np.int64], odds: Doubles, right: NDArray[np.bool_]) -> float:
    """The standard deviation among types that tells best of tickets left out; 0 when one curve for all does."""
    fold = np.random.default_rng(0).permutation(len(leaf)) % _FOLDS
    losses = [float(log_losses(sigmoid(odds), right).sum())]
    for spread in _SPREADS:
        loss = 0.0
        for one in range(_FOLDS):
            kept, out = fold != one, fold == one
            shift = nodes @ _coefficients(nodes, leaf[kept], odds[kept], right[kept], spread)
            loss += float(log_losses(sigmoid(odds[out] + shift[leaf[out]]), right[out]).sum())
        losses.append(loss)
    return (0.0, *_SPREADS)[int(np.argmin(losses))]


def _coefficients(
    nodes: Doubles, leaf: NDArray[np.int64], odds: Doubles, right: NDArray[np.bool_], spread: float
) -> Doubles:
    return fit_logistic(nodes, right, _penalty(nodes, len(leaf), spread), offset=odds, group=leaf)


def _penalty(nodes: Doubles, tickets: int, spread: float) -> Doubles:
    """Of coefficients that are normal around zero with that standard deviation."""
    penalty: Doubles = np.eye(nodes.shape[1]) / (2.0 * spread**2 * tickets)
    return penalty


def _moved(limit: float, by: float) -> float:
    """The probability that has `limit` after `by` is added to its log-odds."""
    return limit if limit >= NEVER else round(float(sigmoid(log_odds(np.array([limit])) - by)[0]), 4)


def _limit(probability: Doubles, right: NDArray[np.bool_], target: float) -> float:
    """The least probability, not far below the target, at or above which the precision is `target` with certainty."""
    order = np.argsort(-probability, kind="stable")
    ranked, precision, possible = _running_precision(probability, right, order)
    certain = precision - CAREFUL * np.sqrt(precision * (1.0 - precision) / np.arange(1, len(ranked) + 1))
    good = np.flatnonzero((certain >= target) & possible)
    return max(float(ranked[good[-1]]), target - SLACK) if len(good) else NEVER


def _running_precision(
    probability: Doubles, correct: NDArray[np.bool_], order: NDArray[np.int64]
) -> tuple[Doubles, Doubles, NDArray[np.bool_]]:
    """Probabilities in the given order, the share right up to each, and whether a limit may lie there: on enough
    tickets, and not between equal probabilities."""
    ranked = probability[order]
    count = np.arange(1, len(ranked) + 1)
    last_of_tie = np.append(ranked[1:] != ranked[:-1], True) if len(ranked) else np.zeros(0, bool)
    return ranked, np.cumsum(correct[order]) / count, (count >= LEAST_SUPPORT) & last_of_tie
