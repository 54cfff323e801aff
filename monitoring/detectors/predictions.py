"""Do people write about other things? The mix of predicted contact types, champion against itself: as a whole, and the
one type that moved most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from monitoring.detectors.largest_move import largest_move
from monitoring.detectors.sample import LEAST
from monitoring.detectors.shares import compare_categories
from tickets.monitor_log import DetectorResult

NAME = "predictions.types"
ONE = "predictions.one_type"


def predicted_types(reference: Sequence[str], current: Sequence[str], *, least: int = LEAST) -> DetectorResult:
    """Predicted contact types of both windows, by the same model -> Cramér's V and its chi-square test.

    Testing a classifier's outputs for shift: Rabanser et al. 2019, https://arxiv.org/abs/1810.11953.
    """
    return compare_categories(NAME, reference, current, least=least)


def one_type(reference: Sequence[str], current: Sequence[str], *, least: int = LEAST) -> DetectorResult:
    """The same -> Cohen's h of the type whose share moved most. Among eighty types chi-square hardly sees one that
    grows from one ticket in a hundred to five."""
    return largest_move(ONE, Counter(reference), Counter(current), (len(reference), len(current)), least=least)
