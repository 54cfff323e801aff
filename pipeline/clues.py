"""A cheap look at a text before the costly patterns: which words are in it.

Most tickets hold no password and no day of birth. One look at their words tells so, where a search for each of a
hundred phrases would cost as much as all else that cleaning does.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

_NO_WORD = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) in "'-")} | {ord("’"): "'"}


class Clues(NamedTuple):
    """The text in small letters, letter for letter, and the words in it, without the punctuation around them."""

    lowered: str
    words: frozenset[str]


@lru_cache(maxsize=2)  # one stage after the other asks for the same text
def clues(text: str) -> Clues:
    """What is in the text. Masks count as words too."""
    lowered = lowercase(text)
    return Clues(lowered, frozenset(lowered.translate(_NO_WORD).split()))


def lowercase(text: str) -> str:
    """The text in small letters, of the same length: a few letters would grow (`İ`)."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(map(_lower_letter, text))


def _lower_letter(letter: str) -> str:
    lowered = letter.lower()
    return lowered if len(lowered) == 1 else letter
