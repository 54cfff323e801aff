"""Do people write about other things? The mix of predicted contact types, champion against itself."""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.detectors.sample import LEAST
from monitoring.detectors.shares import compare_categories
from tickets.monitor_log import DetectorResult

NAME = "predictions.types"


def predicted_types(reference: Sequence[str], current: Sequence[str], *, least: int = LEAST) -> DetectorResult:
    """Predicted contact types of both windows, by the same model -> Cramér's V and its chi-square test.

    Testing a classifier's outputs for shift: Rabanser et al. 2019, https://arxiv.org/abs/1810.11953.
    """
    return compare_categories(NAME, reference, current, least=least)
