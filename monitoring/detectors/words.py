"""Do many more tickets, or far fewer, use a word? A new product, an outage, another way of saying things are a few
words that come together: where they are a tenth of all tickets, other measures of a text hardly move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from monitoring.detectors.sample import LEAST, seen, too_small, unknown
from monitoring.detectors.text import words_of
from tickets.monitor_log import DetectorResult

NAME = "text.words"
_OFTEN = 5  # tickets of both windows together that use a word; rarer ones cannot be told from chance
_TESTED = 20  # words whose shares moved most: the surest of all is among them
_SHOWN = 5


def word_shares(reference: Sequence[str], current: Sequence[str], *, least: int = LEAST) -> DetectorResult:
    """Texts -> Cohen's h of the word whose share of tickets moved most: the difference of the arcsines of the two
    shares, which chance moves equally far for rare and for common words (Anscombe 1948, with his correction for small
    counts). p by Fisher's exact test, times the number of words (Bonferroni).
    """
    if small := too_small(NAME, len(reference), len(current), least):
        return small
    before, after = _tickets_using(reference), _tickets_using(current)
    words = sorted(word for word in before.keys() | after.keys() if before[word] + after[word] >= _OFTEN)
    details: dict[str, object] = {"reference": len(reference), "current": len(current), "words": len(words)}
    if not words:
        return unknown(NAME, "no word stands in several tickets", details)
    used = np.array([[before[word], after[word]] for word in words], dtype=np.float64)
    sizes = np.array([len(reference), len(current)], dtype=np.float64)
    moved = np.abs(np.diff(2 * np.arcsin(np.sqrt((used + 0.375) / (sizes + 0.75))), axis=1)[:, 0])
    order = np.argsort(-moved, kind="stable")[:_TESTED]
    p_value = float(_fisher(used[order], sizes).min()) * len(words)
    shares = used / sizes
    details["moved"] = [
        {"name": words[place], "reference": float(shares[place, 0]), "current": float(shares[place, 1])}
        for place in order[:_SHOWN].tolist()
    ]
    return seen(NAME, float(moved[order[0]]), min(1.0, p_value), details)


def _tickets_using(texts: Sequence[str]) -> Counter[str]:
    """Words with the number of tickets that use them: a ticket counts a word once, however often it says it."""
    return Counter(word for text in texts for word in set(words_of(text)))


def _fisher(used: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, 2) tickets that use each word, (2,) tickets -> (k,) p-values, either way: twice the smaller tail."""
    drawn = (sizes.sum(), used.sum(axis=1), sizes[1])
    tails = np.minimum(hypergeom.sf(used[:, 1] - 1, *drawn), hypergeom.cdf(used[:, 1], *drawn))
    doubled: NDArray[np.float64] = np.minimum(2 * tails, 1.0)
    return doubled
