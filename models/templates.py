"""Putting reply templates in order for a ticket. Pure numpy: suggesting and evaluating call the same function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tickets.records import ReplyTemplate


def rank_templates(
    templates: Sequence[ReplyTemplate],
    vectors: NDArray[np.float32],
    queries: NDArray[np.float32],
    languages: Sequence[str | None],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Template columns best first (n, T), and scores (n, T) in template order.

    `vectors` (T, width) and `queries` (n, width) have length 1.

    Active templates in the ticket's language stand first, then active ones in others, then inactive ones: an answer
    that the customer cannot read is no answer, yet nothing is hidden. The contact types a template names bind nobody.
    """
    scores = (queries @ vectors.T).astype(np.float32)
    written_in = np.array([template.language for template in templates], dtype=object)
    inactive = np.array([not template.active for template in templates], dtype=bool)
    order = np.zeros(scores.shape, np.int64)
    for row, language in enumerate(languages):
        order[row] = np.lexsort((-scores[row], written_in != language, inactive))
    return order, scores
