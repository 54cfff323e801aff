"""Do agents accept less of what is suggested than they did?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, fisher_exact

from monitoring.detectors.sample import LEAST, seen, unknown
from tickets.monitor_log import DetectorResult

NAME = "feedback.acceptance"


def acceptance(
    earlier: NDArray[np.bool_], current: NDArray[np.bool_], *, expected: float | None = None, least: int = LEAST
) -> DetectorResult:
    """Whether each judged suggestion was accepted -> how far the share fell (negative: it rose); one-sided.

    `earlier` is an earlier period of the same model (Fisher's exact test). While that is too short, `expected` stands
    in, the share right on the reference period (binomial test).
    """
    details: dict[str, Any] = {"earlier": len(earlier), "current": len(current)}
    if len(current) < least:
        return unknown(NAME, f"needs {least} judged suggestions in the window", details)
    now = float(np.mean(current))
    accepted = int(np.sum(current))
    if len(earlier) >= least:
        before, yes = float(np.mean(earlier)), int(np.sum(earlier))
        table = np.array([[accepted, len(current) - accepted], [yes, len(earlier) - yes]])
        p_value = float(fisher_exact(table, alternative="less").pvalue)
        details["against"] = "an earlier period of this model"
    elif expected is not None:
        before = expected
        p_value = float(binomtest(accepted, len(current), expected, alternative="less").pvalue)
        details["against"] = "its accuracy on the reference period"
    else:
        return unknown(NAME, "there is no earlier period to compare with", details)
    details["share"] = {"reference": before, "current": now}
    return seen(NAME, before - now, p_value, details)
