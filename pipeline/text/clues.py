"""A cheap look at a text before the costly patterns: which words are in it, and whether many digits are.

Most tickets hold no password and no day of birth. One look at their words tells so, where a search for each of a
hundred phrases would cost as much as all else that cleaning does.
"""

from __future__ import annotations

import re
from functools import lru_cache

SEVEN_DIGITS = re.compile(r"\d(?:[ \n().\-/]{0,3}\d){6}")  # cards, accounts and telephones have more; most tickets not
# Bytes of UTF-8: ASCII letters become small, what stands between words becomes a space, all beyond ASCII stays.
_IN_WORDS = bytes(
    ord(chr(byte).lower()) if chr(byte).isalnum() or chr(byte) in "'-" else ord(" ") for byte in range(128)
) + bytes(range(128, 256))


@lru_cache(maxsize=2)  # one stage after the other asks for the same text
def words_of(text: str) -> frozenset[str]:
    """The words of the text in small letters, without the punctuation around them. Masks count as words too."""
    if text.isascii():
        return frozenset(text.encode("ascii").translate(_IN_WORDS).decode("ascii").split())
    written = lowercase(text).replace("’", "'").encode("utf-8", "surrogatepass")
    return frozenset(written.translate(_IN_WORDS).decode("utf-8", "surrogatepass").split())


def lowercase(text: str) -> str:
    """The text in small letters, of the same length: a few letters would grow (`İ`)."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(map(_lower_letter, text))


def _lower_letter(letter: str) -> str:
    lowered = letter.lower()
    return lowered if len(lowered) == 1 else letter
