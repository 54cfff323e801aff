"""The words that tell one set of tickets from another: log-odds with an informative prior (Monroe, Colaresi and Quinn
2008, "Fightin' Words", https://doi.org/10.1093/pan/mpn018).

Ratios of counts put what one person typed on top, differences put "the" there. Here the words of both sets together
are the prior, and a word's difference is counted in its own standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from monitoring.detectors.text import tickets_using

PRIOR = 500.0  # tickets' worth of prior, spread over words as both sets together use them
SURE = 3.0  # standard deviations
OFTEN = 3  # tickets; a word that one person typed wrongly says nothing


def distinctive_words(texts: Sequence[str], others: Sequence[str], *, count: int = 10) -> list[str]:
    """Up to `count` words that surely more of `texts` use than of `others`, the most telling first."""
    here, tickets = tickets_using(texts), len(texts)
    there, others_tickets = tickets_using(others), len(others)
    vocabulary = sorted(word for word, used in here.items() if used >= OFTEN)
    if not vocabulary or not others_tickets:
        return []
    used = np.array([here[word] for word in vocabulary], dtype=np.float64)
    used_there = np.array([there[word] for word in vocabulary], dtype=np.float64)
    share = (used + used_there) / (tickets + others_tickets)
    # Each side is drawn towards what both together use; small sets less, or the prior would drown them.
    strength = min(PRIOR, tickets, others_tickets)
    a, b = used + strength * share, used_there + strength * share
    without_a, without_b = tickets + strength - a, others_tickets + strength - b
    odds = np.log(a / without_a) - np.log(b / without_b)
    sure = odds / np.sqrt(1 / a + 1 / without_a + 1 / b + 1 / without_b)
    order = np.argsort(-sure, kind="stable")[:count]
    return [vocabulary[place] for place in order if sure[place] >= SURE]
