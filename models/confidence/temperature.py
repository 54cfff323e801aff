"""One temperature a tree level (Guo et al. 2017, "On Calibration of Modern Neural Networks").

A level with four children is overconfident in another way than one with forty. It is the first step of calibration and
the coarsest: votes.py and reliability.py go on from here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

LEAST_SUPPORT = 20  # tickets on which anything that is fitted must rest


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

    return math.exp(golden_section(loss, math.log(1 / 20), math.log(20.0)))


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


def golden_section(loss: Callable[[float], float], low: float, high: float, steps: int = 40) -> float:
    """Where a function with one valley between `low` and `high` is lowest."""
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


def _row_losses(logits: NDArray[np.float64], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    peak = logits.max(axis=1)
    total = peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1))
    losses: NDArray[np.float64] = total - logits[np.arange(len(logits)), truth]
    return losses
