"""Do agents still agree with what is suggested? Each against an earlier period of the same model, one-sided: what gets
better is no alarm.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact, mannwhitneyu

from monitoring.detectors.sample import LEAST, seen, unknown
from tickets.monitor_log import DetectorResult

NAME = "feedback.acceptance"
OVERRIDE = "feedback.override"
HITS = "feedback.hits_at_3"
EDITING = "feedback.edit_distance"
# Accepted less often than right: agents err and differ, also about a model that is as good as ever.
AGENTS_DISAGREE = 0.05
_NONE = np.zeros(0, np.bool_)

Flags = NDArray[np.bool_]


def acceptance(earlier: Flags, current: Flags, *, right: Flags = _NONE, least: int = LEAST) -> DetectorResult:
    """Whether each judged suggestion was accepted -> how far the share fell (negative: it rose).

    Fisher's exact test, one-sided, against `earlier`. While that is too short, `right` stands in: whether the model was
    right on each reference ticket, less what agents disagree anyway.
    """
    details: dict[str, Any] = {"earlier": len(earlier), "current": len(current)}
    if len(current) < least:
        return unknown(NAME, f"needs {least} judged suggestions in the window", details)
    if len(earlier) >= least:
        before, judged = float(np.mean(earlier)), len(earlier)
        details["against"] = "an earlier period of this model"
    elif len(right) >= least:
        before, judged = max(0.0, float(np.mean(right)) - AGENTS_DISAGREE), len(right)
        details["against"] = "its accuracy on the reference period"
    else:
        return unknown(NAME, "there is no earlier period to compare with", details)
    return _fell(NAME, (before, judged), current, details)


def override(earlier: Flags, current: Flags, *, least: int = LEAST) -> DetectorResult:
    """Whether each suggestion that the model was sure of was corrected -> how far the share rose.

    Agents who correct what is doubtful do their work; when they correct what was certain, probabilities no longer mean
    what they meant.
    """
    sizes: dict[str, Any] = {"earlier": len(earlier), "current": len(current)}
    if not _enough(earlier, current, least):
        return unknown(OVERRIDE, f"needs {least} judged suggestions that the model was sure of, then and now", sizes)
    kept = _fell(OVERRIDE, (float(np.mean(~earlier)), len(earlier)), ~current, sizes)
    shares = {"reference": float(np.mean(earlier)), "current": float(np.mean(current))}
    return replace(kept, details={**sizes, "share": shares})


def hits_at_3(earlier: Flags, current: Flags, *, least: int = LEAST) -> DetectorResult:
    """Whether the label of each randomly chosen ticket was among the first three -> how far the share fell.

    The random labels stand for all tickets, and whoever gives them sees no suggestion: the one figure of quality that
    nobody's habits colour.
    """
    sizes: dict[str, Any] = {"earlier": len(earlier), "current": len(current)}
    if not _enough(earlier, current, least):
        return unknown(HITS, f"needs {least} labels of random tickets, then and now", sizes)
    return _fell(HITS, (float(np.mean(earlier)), len(earlier)), current, sizes)


def edit_distance(earlier: NDArray[Any], current: NDArray[Any], *, least: int = LEAST) -> DetectorResult:
    """The share of each sent template that agents changed -> how far its mean rose; Mann-Whitney's test, one-sided."""
    sizes: dict[str, Any] = {"earlier": len(earlier), "current": len(current)}
    if not _enough(earlier, current, least):
        return unknown(EDITING, f"needs {least} sent templates, then and now", sizes)
    before, now = (np.asarray(shares, dtype=np.float64) for shares in (earlier, current))
    tied = np.ptp(np.concatenate([before, now])) == 0
    p_value = 1.0 if tied else float(mannwhitneyu(now, before, alternative="greater", method="asymptotic").pvalue)
    means = {"reference": float(before.mean()), "current": float(now.mean())}
    return seen(EDITING, means["current"] - means["reference"], p_value, {**sizes, "mean": means})


def _enough(earlier: NDArray[Any], current: NDArray[Any], least: int) -> bool:
    return min(len(earlier), len(current)) >= least


def _fell(name: str, earlier: tuple[float, int], current: Flags, details: dict[str, Any]) -> DetectorResult:
    """How far a share of flags fell below that of so many earlier ones; Fisher's exact test, one-sided."""
    (before, judged), now = earlier, float(np.mean(current))
    yes, yes_now = round(before * judged), int(np.sum(current))
    table = np.array([[yes_now, len(current) - yes_now], [yes, judged - yes]])
    p_value = float(fisher_exact(table, alternative="less").pvalue)
    details["share"] = {"reference": before, "current": now}
    return seen(name, before - now, p_value, details)
