"""Do many more tickets, or far fewer, use a word? A new product, an outage, another way of saying things are a few
words that come together: where they are a tenth of all tickets, other measures of a text hardly move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from monitoring.detectors.largest_move import largest_move
from monitoring.detectors.sample import LEAST
from monitoring.detectors.text import words_of
from tickets.monitor_log import DetectorResult

NAME = "text.words"


def word_shares(reference: Sequence[str], current: Sequence[str], *, least: int = LEAST) -> DetectorResult:
    """Texts -> Cohen's h of the word whose share of tickets moved most."""
    sizes = (len(reference), len(current))
    return largest_move(NAME, _tickets_using(reference), _tickets_using(current), sizes, least=least)


def _tickets_using(texts: Sequence[str]) -> Counter[str]:
    """Words with the number of tickets that use them: a ticket counts a word once, however often it says it."""
    return Counter(word for text in texts for word in set(words_of(text)))
