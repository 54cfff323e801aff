"""Maximum mean discrepancy of embeddings: any difference of distribution, not only a linear one.

Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html: unbiased MMD² with an RBF kernel whose width is the
median distance. The kernel is quadratic in tickets, so each window is sampled down first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.detectors.permutation import PERMUTATIONS, permutation_p
from monitoring.detectors.sample import LEAST, seen, too_small
from tickets.monitor_log import DetectorResult

NAME = "embeddings.mmd"
SAMPLE = 500  # tickets of each window: 1,000 x 1,000 kernel values


def mmd(
    reference: NDArray[Any],
    current: NDArray[Any],
    *,
    seed: int = 0,
    permutations: int = PERMUTATIONS,
    least: int = LEAST,
    sample: int = SAMPLE,
) -> DetectorResult:
    """(n, d) and (m, d) embeddings -> unbiased MMD², about 0 (and possibly below) when nothing moved."""
    if small := too_small(NAME, len(reference), len(current), least):
        return small
    rng = np.random.default_rng(seed)
    left, right = (rows[rng.permutation(len(rows))[:sample]].astype(np.float64) for rows in (reference, current))
    kernel = _kernel(np.concatenate([left, right]))
    is_current = np.r_[np.zeros(len(left)), np.ones(len(right))]
    observed = float(_mmd2(kernel, is_current[:, None])[0])

    def draw(count: int) -> NDArray[np.float64]:
        return _mmd2(kernel, rng.permuted(np.tile(is_current[:, None], (1, count)), axis=0))

    p_value, done = permutation_p(observed, draw, permutations)
    return seen(NAME, observed, p_value, {"reference": len(left), "current": len(right), "permutations": done})


def _kernel(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """RBF kernel (n, n) with a zero diagonal, which the unbiased estimate leaves out."""
    squares = np.sum(rows**2, axis=1)
    distances = np.maximum(squares[:, None] + squares[None, :] - 2 * rows @ rows.T, 0)
    median = float(np.median(distances[np.triu_indices(len(rows), 1)]))
    kernel: NDArray[np.float64] = np.exp(-distances / (median or 1.0))
    np.fill_diagonal(kernel, 0)
    return kernel


def _mmd2(kernel: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """kernel (n, n), labels (n, k) in {0, 1}, one column a labelling -> (k,)"""
    ones = labels.sum(axis=0)
    zeros = len(labels) - ones
    towards_ones = kernel @ labels
    within_ones = (labels * towards_ones).sum(axis=0)
    across = ((1 - labels) * towards_ones).sum(axis=0)
    within_zeros = kernel.sum() - within_ones - 2 * across
    result: NDArray[np.float64] = (
        within_ones / (ones * (ones - 1)) + within_zeros / (zeros * (zeros - 1)) - 2 * across / (ones * zeros)
    )
    return result
