"""Can a linear classifier tell current tickets from the reference by their embeddings? A two-sample test.

Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545. The classifier is ridge regression on +1/-1 (regularised
linear discriminant analysis): its leave-one-out scores have a closed form and its hat matrix does not depend on the
labels, so the whole cross-validated procedure is repeated under thousands of permutations at the price of a matrix
product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from monitoring.detectors.permutation import PERMUTATIONS, permutation_p
from monitoring.detectors.sample import LEAST, seen, too_small
from tickets.monitor_log import DetectorResult

NAME = "embeddings.domain"
EXAMPLES = 5


def domain_classifier(
    reference: NDArray[Any],
    current: NDArray[Any],
    *,
    ids: Sequence[str] = (),
    seed: int = 0,
    permutations: int = PERMUTATIONS,
    least: int = LEAST,
) -> DetectorResult:
    """(n, d) and (m, d) embeddings -> leave-one-out AUC, 0.5 when nothing tells them apart.

    `ids` (m) names the current tickets: the ones least like the reference are given as examples.
    """
    if small := too_small(NAME, len(reference), len(current), least):
        return small
    both = np.concatenate([reference, current]).astype(np.float64)
    is_current = np.r_[np.zeros(len(reference)), np.ones(len(current))]
    scores = _LeaveOneOut(both)
    held_out = scores(is_current[:, None])[:, 0]
    observed = float(_auc(held_out[:, None], is_current[:, None])[0])
    rng = np.random.default_rng(seed)

    def draw(count: int) -> NDArray[np.float64]:
        shuffled = rng.permuted(np.tile(is_current[:, None], (1, count)), axis=0)
        return _auc(scores(shuffled), shuffled)

    p_value, done = permutation_p(observed, draw, permutations)
    details: dict[str, object] = {
        "reference": len(reference),
        "current": len(current),
        "permutations": done,
        "chance": 0.5,
    }
    if len(ids):
        farthest = np.argsort(-held_out[len(reference) :])[:EXAMPLES]
        details["examples"] = [ids[row] for row in farthest]
    return seen(NAME, observed, p_value, details)


class _LeaveOneOut:
    """Leave-one-out scores of ridge regression for any labels of the same rows."""

    def __init__(self, rows: NDArray[np.float64]) -> None:
        self._rows = rows - rows.mean(axis=0)
        gram = self._rows.T @ self._rows
        # Three mean eigenvalues as penalty: no scale to set, and firm shrinkage whatever the encoder.
        penalty = max(3 * float(np.trace(gram)) / len(gram), 1e-9)
        inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
        self._weights = self._rows @ inverse
        self._leverage = np.sum(self._weights * self._rows, axis=1) + 1 / len(rows)

    def __call__(self, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """labels (n, k), one column a labelling -> (n, k) score of each row by a model that did not see it."""
        mean = labels.mean(axis=0)
        fitted = mean + self._weights @ (self._rows.T @ (labels - mean))
        leverage = self._leverage[:, None]
        held_out: NDArray[np.float64] = (fitted - leverage * labels) / (1 - leverage)
        return held_out


def _auc(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the ROC curve of each column: scores (n, k), labels (n, k) in {0, 1} -> (k,)."""
    positives = labels.sum(axis=0)
    ranks = rankdata(scores, axis=0)
    area: NDArray[np.float64] = ((ranks * labels).sum(axis=0) - positives * (positives + 1) / 2) / (
        positives * (len(labels) - positives)
    )
    return area
