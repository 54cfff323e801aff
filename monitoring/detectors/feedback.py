"""Do agents accept less of what is suggested than they did?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from monitoring.detectors.sample import LEAST, seen, unknown
from tickets.monitor_log import DetectorResult

NAME = "feedback.acceptance"
# Accepted less often than right: agents err and differ, also about a model that is as good as ever.
AGENTS_DISAGREE = 0.05
_NONE = np.zeros(0, np.bool_)


def acceptance(
    earlier: NDArray[np.bool_], current: NDArray[np.bool_], *, right: NDArray[np.bool_] = _NONE, least: int = LEAST
) -> DetectorResult:
    """Whether each judged suggestion was accepted -> how far the share fell (negative: it rose).

    Fisher's exact test, one-sided, against `earlier`, an earlier period of the same model. While that is too short,
    `right` stands in: whether the model was right on each reference ticket, less what agents disagree anyway.
    """
    details: dict[str, Any] = {"earlier": len(earlier), "current": len(current)}
    if len(current) < least:
        return unknown(NAME, f"needs {least} judged suggestions in the window", details)
    now = float(np.mean(current))
    accepted = int(np.sum(current))
    if len(earlier) >= least:
        before, judged = float(np.mean(earlier)), len(earlier)
        details["against"] = "an earlier period of this model"
    elif len(right) >= least:
        before, judged = max(0.0, float(np.mean(right)) - AGENTS_DISAGREE), len(right)
        details["against"] = "its accuracy on the reference period"
    else:
        return unknown(NAME, "there is no earlier period to compare with", details)
    yes = round(before * judged)
    table = np.array([[accepted, len(current) - accepted], [yes, judged - yes]])
    p_value = float(fisher_exact(table, alternative="less").pvalue)
    details["share"] = {"reference": before, "current": now}
    return seen(NAME, before - now, p_value, details)
