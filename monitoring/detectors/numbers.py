"""Has a number's distribution changed? Kolmogorov-Smirnov, with the medians to read beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from monitoring.detectors.sample import LEAST, seen, too_small
from tickets.monitor_log import DetectorResult


def compare_numbers(name: str, reference: NDArray[Any], current: NDArray[Any], *, least: int = LEAST) -> DetectorResult:
    """(n,) and (m,) numbers -> the KS distance (0 to 1) and its p-value. Values that are not finite are left out."""
    before = np.asarray(reference, dtype=np.float64)
    after = np.asarray(current, dtype=np.float64)
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if small := too_small(name, len(before), len(after), least):
        return small
    statistic, p_value = ks_distance(before, after)
    details: dict[str, object] = {
        "reference": len(before),
        "current": len(after),
        "median": {"reference": float(np.median(before)), "current": float(np.median(after))},
        "mean": {"reference": float(np.mean(before)), "current": float(np.mean(after))},
    }
    return seen(name, statistic, p_value, details)


def ks_distance(reference: NDArray[np.float64], current: NDArray[np.float64]) -> tuple[float, float]:
    """The distance and its asymptotic p-value, which ties make too large rather than too small."""
    test = ks_2samp(reference, current, method="asymp")
    return float(test.statistic), float(test.pvalue)
