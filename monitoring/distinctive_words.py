"""The words that tell some tickets from others, for people to read: those that carry an alarm, those of a theme.

Masks of personal data and words that carry no meaning are left out.
"""

from __future__ import annotations

from models.diagnosis.telling_words import WordCounts, telling_words


def distinctive_words(own: WordCounts, others: WordCounts, background: WordCounts) -> tuple[str, ...]:
    """The words that surely more of some tickets use than of the others, most telling first; () where none surely
    does. The background holds both."""
    words, _ = telling_words(own, others, background)
    return tuple(one.word for one in words)
