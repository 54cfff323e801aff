"""Have the shares of categories changed? The chi-square test that several detectors use, and its effect size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from monitoring.detectors.sample import LEAST, seen, too_small, unknown
from tickets.monitor_log import DetectorResult

_LEAST_EXPECTED = 5  # the usual condition of the chi-square approximation (Cochran 1954)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class SharesTest:
    """`effect` is Cramér's V, corrected for its upward bias, 0 to 1; `moved` the categories that changed most.

    `comparable` is False when there are several categories and each alone is too rare for the test: then nothing was
    tested, and an effect of 0 means nothing. `rare` is the share, of both samples, in categories that were too rare
    alone: they were counted together, so nothing tells whether they are still the same ones.
    """

    comparable: bool
    effect: float
    p_value: float
    moved: list[dict[str, object]]
    new: list[str]  # categories that only the current window has
    rare: float


def compare_categories(
    name: str, reference: Sequence[str], current: Sequence[str], *, least: int = LEAST
) -> DetectorResult:
    """n and m categories -> Cramér's V, with what moved; `unknown` when the test's assumptions fail."""
    sizes: dict[str, object] = {"reference": len(reference), "current": len(current)}
    if small := too_small(name, len(reference), len(current), least):
        return small
    test = compare_shares(reference, current)
    if not test.comparable:
        return unknown(name, "every category is too rare to compare", sizes)
    return seen(name, test.effect, test.p_value, {**sizes, "moved": test.moved, "new": test.new})


def compare_shares(reference: Sequence[str], current: Sequence[str]) -> SharesTest:
    """Two non-empty samples of categories. Categories too rare for the test are counted together."""
    names, coded = np.unique(np.array([*reference, *current], dtype=object).astype(str), return_inverse=True)
    before = np.bincount(coded[: len(reference)], minlength=len(names))
    after = np.bincount(coded[len(reference) :], minlength=len(names))
    share_before, share_after = before / before.sum(), after / after.sum()
    order = np.argsort(-np.abs(share_after - share_before))[:_SHOWN]
    moved: list[dict[str, object]] = [
        {"name": str(names[i]), "reference": float(share_before[i]), "current": float(share_after[i])} for i in order
    ]
    table = np.stack([before, after]).astype(np.float64)
    smaller = float(table.sum(axis=1).min() / table.sum())
    rare = table.sum(axis=0) * smaller < _LEAST_EXPECTED
    effect, p_value = _cramers_v(_pool(table, rare, smaller))
    new = [str(name) for name in names[(before == 0) & (after > 0)]]
    together = float(table[:, rare].sum() / table.sum()) if len(names) > 1 else 0.0
    return SharesTest(len(names) == 1 or not rare.all(), effect, p_value, moved, new, together)


def can_compare(before: Sequence[bool], after: Sequence[bool]) -> bool:
    """Whether a share can be tested at all: those that have it, and those that do not, are enough in both samples."""
    having, tickets = sum(before) + sum(after), len(before) + len(after)
    smaller = min(len(before), len(after)) / tickets
    return min(having, tickets - having) * smaller >= _LEAST_EXPECTED


def _pool(table: NDArray[np.float64], rare: NDArray[np.bool_], smaller: float) -> NDArray[np.float64]:
    """(2, k) counts -> (2, k') with the rare columns summed into one; `smaller` is the smaller window's share."""
    if not rare.any():
        return table
    pooled = np.concatenate([table[:, ~rare], table[:, rare].sum(axis=1, keepdims=True)], axis=1)
    if pooled[:, -1].sum() * smaller < _LEAST_EXPECTED and pooled.shape[1] > 1:
        # Still too few together: they join the smallest category that stands alone.
        last = pooled[:, -1]
        pooled = pooled[:, :-1]
        pooled[:, int(np.argmin(pooled.sum(axis=0)))] += last
    return pooled


def _cramers_v(table: NDArray[np.float64]) -> tuple[float, float]:
    """Bias-corrected V of a (2, k) table (Bergsma 2013) and the chi-square p-value; (0, 1) for one category."""
    columns, total = table.shape[1], table.sum()
    if columns < 2:
        return 0.0, 1.0
    chi2, p_value, _, _ = chi2_contingency(table, correction=False)
    phi2 = max(0.0, chi2 / total - (columns - 1) / (total - 1))
    # Two rows, so the smaller side of the corrected table is the one of the rows.
    rows = 2 - 1 / (total - 1)
    corrected_columns = columns - (columns - 1) ** 2 / (total - 1)
    return float(np.sqrt(phi2 / max(min(rows, corrected_columns) - 1, 1e-9))), float(p_value)
