"""Is the model as sure of itself as it was? Its probabilities, its out-of-scope scores, how often it abstains."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from monitoring.detectors.numbers import compare_numbers
from monitoring.detectors.sample import LEAST, seen, too_small
from tickets.monitor_log import DetectorResult

PROBABILITY = "confidence.probability"
OUT_OF_SCOPE = "confidence.out_of_scope"
ABSTAINED = "confidence.abstained"


def probability(reference: NDArray[Any], current: NDArray[Any], *, least: int = LEAST) -> DetectorResult:
    """Probabilities of the first contact type, (n,) and (m,) -> KS distance."""
    return compare_numbers(PROBABILITY, reference, current, least=least)


def out_of_scope(reference: NDArray[Any], current: NDArray[Any], *, least: int = LEAST) -> DetectorResult:
    """Out-of-scope scores, (n,) and (m,) -> KS distance."""
    return compare_numbers(OUT_OF_SCOPE, reference, current, least=least)


def abstained(reference: NDArray[np.bool_], current: NDArray[np.bool_], *, least: int = LEAST) -> DetectorResult:
    """Whether the model abstained, (n,) and (m,) bool -> change of the share, either way; Fisher's exact test."""
    if small := too_small(ABSTAINED, len(reference), len(current), least):
        return small
    before, after = int(np.sum(reference)), int(np.sum(current))
    test = fisher_exact(np.array([[before, len(reference) - before], [after, len(current) - after]]))
    shares = {"reference": before / len(reference), "current": after / len(current)}
    return seen(
        ABSTAINED,
        abs(shares["current"] - shares["reference"]),
        float(test.pvalue),
        {"reference": len(reference), "current": len(current), "share": shares},
    )
