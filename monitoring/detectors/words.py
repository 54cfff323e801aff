"""Do many more tickets, or far fewer, use a word? A new product, an outage, another way of saying things are a few
words that come together: where they are a tenth of all tickets, other measures of a text hardly move.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitoring.detectors.largest_move import largest_move
from monitoring.detectors.sample import LEAST
from monitoring.detectors.text import tickets_using
from tickets.monitor_log import DetectorResult

NAME = "text.words"


def word_shares(reference: Sequence[str], current: Sequence[str], *, least: int = LEAST) -> DetectorResult:
    """Texts -> Cohen's h of the word whose share of tickets moved most."""
    sizes = (len(reference), len(current))
    return largest_move(NAME, tickets_using(reference), tickets_using(current), sizes, least=least)
