"""Do people write about other things? The mix of predicted contact types, champion against itself."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.detectors.sample import LEAST, seen, too_small
from monitoring.detectors.shares import compare_shares
from tickets.monitor_log import DetectorResult

NAME = "predictions.types"


def predicted_types(reference: Sequence[str], current: Sequence[str], *, least: int = LEAST) -> DetectorResult:
    """Predicted contact types of both windows, by the same model -> Cramér's V and its chi-square test.

    Testing a classifier's outputs for shift: Rabanser et al. 2019, https://arxiv.org/abs/1810.11953.
    """
    if small := too_small(NAME, len(reference), len(current), least):
        return small
    test = compare_shares(reference, current)
    return seen(
        NAME,
        test.effect,
        test.p_value,
        {"reference": len(reference), "current": len(current), "moved": test.moved, "new": test.new},
    )
