"""How often is the model right now, told from its confidence alone? An interval, or `unknown` and why.

Two published estimates, which err differently: the difference of mean confidence (Guillory et al. 2021,
https://arxiv.org/abs/2107.03315), steady and too hopeful where tickets change, and the share above the confidence that
as many reference tickets reach as are right (average thresholded confidence, Garg et al. 2022,
https://arxiv.org/abs/2201.04234), which follows such changes and is noisier. Their mean is the estimate.

Both trust that confidence means what it meant. A new mix of contact types leaves that so; tickets that read otherwise
may not. So the reference is weighted to the new mix, and where the current tickets still differ far, or many lie
outside of what the model learned, there is no estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from models.confidence.scope import LIMIT
from monitoring.detectors.balance import Signs, signs_of, unbalanced
from monitoring.detectors.label_shift import mix_weights
from monitoring.detectors.sample import seen, unknown
from monitoring.performance import Estimate
from monitoring.windows import Window
from tickets.monitor_log import DetectorResult

NAME = "accuracy.estimate"
FAR = 0.3  # standard deviations; measured (docs/experiments.md): errors beyond are several points
OUTSIDE = 0.05  # more tickets out of scope than in the reference, as a share of all
_CONFIDENCE = 0.95

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class AccuracyEstimate:
    """`estimate` or, where it is None, `unknown`: why there is none. `reference` is the accuracy on the reference."""

    estimate: Estimate | None
    unknown: str | None = None
    reference: float | None = None
    p_value: float | None = None  # of accuracy being no lower than on the reference
    details: dict[str, Any] = field(default_factory=dict)


def estimate_accuracy(reference: Window, current: Window, *, least: int) -> AccuracyEstimate:
    """Accuracy of the first contact type in the current window, estimated without a single label of it."""
    known = np.array([true is not None for true in reference.contact_types], dtype=np.bool_)
    right = reference.correct.astype(np.float64)
    sizes = {"reference": len(right), "current": len(current)}
    if min(len(right), len(current)) < least:
        return AccuracyEstimate(None, f"needs {least} tickets in both windows", details=sizes)
    before = float(right.mean())
    if why := _doubt(reference, current):
        return AccuracyEstimate(None, why, before, details=sizes)
    sure, sure_now = reference.probability[known], current.probability
    estimates = {
        "difference of confidence": before + float(sure_now.mean() - sure.mean()),
        "confidence above a threshold": _above_threshold(sure, before, sure_now),
    }
    share = float(np.clip(np.mean(list(estimates.values())), 0, 1))
    error = _standard_error(right, sure, sure_now)
    reach = float(norm.ppf(0.5 + _CONFIDENCE / 2)) * error + float(np.ptp(list(estimates.values()))) / 2
    # Of what new contact types cost, confidence sees about a third, and tickets out of scope are seldom right.
    unseen = 2 * max(0.0, before - share) + max(0.0, _outside(reference, current))
    low, high = max(0.0, share - reach - unseen), min(1.0, share + reach)
    return AccuracyEstimate(
        Estimate(share, low, high, len(current)),
        reference=before,
        p_value=float(norm.sf((before - share) / max(error, 1e-12))),
        details={**sizes, "estimates": estimates},
    )


def accuracy_result(told: AccuracyEstimate) -> DetectorResult:
    """As a detector's: the statistic is the accuracy lost since the reference, as a share (negative: it rose)."""
    if told.estimate is None or told.reference is None or told.p_value is None:
        return unknown(NAME, told.unknown or "there is no estimate", dict(told.details))
    shares = {"reference": told.reference, "current": told.estimate.share}
    interval = {"low": told.estimate.low, "high": told.estimate.high}
    return seen(NAME, told.reference - told.estimate.share, told.p_value, {**told.details, "share": shares, **interval})


def estimated(results: Sequence[DetectorResult]) -> tuple[Estimate | None, str | None]:
    """The estimate among a night's results, or why there is none."""
    for result in results:
        if result.detector == NAME and result.statistic is not None:
            kept = result.details
            return Estimate(kept["share"]["current"], kept["low"], kept["high"], kept["current"]), None
        if result.detector == NAME:
            return None, str(result.details["why"])
    return None, "it was not estimated"


def window_signs(reference: Window, current: Window) -> Signs:
    """What two windows are held against each other by: confidence, strangeness, the main axes of the embeddings."""
    return signs_of(
        {
            "confidence": (reference.probability, current.probability),
            "the out-of-scope score": (reference.out_of_scope, current.out_of_scope),
        },
        (reference.embeddings, current.embeddings),
    )


def _doubt(reference: Window, current: Window) -> str:
    """Why confidence cannot be trusted, or nothing."""
    outside = _outside(reference, current)
    if outside > OUTSIDE:
        return f"{outside:.0%} more tickets than before lie outside what the model learned"
    weights = mix_weights(reference.predicted, current.predicted, truth=reference.contact_types)
    moved = unbalanced(window_signs(reference, current), weights, matters=FAR)
    return f"tickets differ too far from those it was checked on: {moved}" if moved else ""


def _outside(reference: Window, current: Window) -> float:
    """How much larger the share of tickets out of scope is now."""
    return float(np.mean(current.out_of_scope > LIMIT) - np.mean(reference.out_of_scope > LIMIT))


def _above_threshold(sure: Doubles, right: float, sure_now: Doubles) -> float:
    """The share of `sure_now` at or above the confidence that a share `right` of `sure` reaches; ties count in part."""
    threshold = float(np.quantile(sure, 1 - right, method="inverted_cdf"))
    above, tied = float(np.mean(sure > threshold)), float(np.mean(sure == threshold))
    part = float(np.clip((right - above) / tied, 0, 1)) if tied else 0.0
    return float(np.mean(sure_now > threshold)) + part * float(np.mean(sure_now == threshold))


def _standard_error(right: Doubles, sure: Doubles, sure_now: Doubles) -> float:
    """The larger of the two estimates' own: of means of confidence, and of counts above a threshold."""
    gap, share = right - sure, float(np.clip(right.mean(), 0.01, 0.99))
    of_means = gap.var(ddof=1) / len(gap) + sure_now.var(ddof=1) / len(sure_now)
    of_counts = share * (1 - share) * (1 / len(right) + 1 / len(sure_now))
    return float(np.sqrt(max(of_means, of_counts)))
