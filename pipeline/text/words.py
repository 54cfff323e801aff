"""The words of a text in any script, as detectors, the words and snippets of themes, explanations and the error report
count them. Topics, COTA, the keyword rules and the networks of words count otherwise (pipeline/topics/words.py).

Thai, Lao, Khmer, Japanese and Chinese put no spaces between words; a sentence would be one word that nobody else ever
writes. Their runs are read by pairs of neighbouring letters, as search engines do where no dictionary is at hand.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_]{2,}")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{2,}")


def words_in(text: str) -> list[str]:
    """Words of two letters or more, in order and as they are written; numbers, which are new every day, are none."""
    found: list[str] = _WORD.findall(_UNSPACED.sub(_pairs, text))
    return found


def _pairs(run: re.Match[str]) -> str:
    letters = "".join(filter(str.isalpha, run[0]))  # marks over and under Thai letters are none
    return f" {' '.join(letters[place : place + 2] for place in range(len(letters) - 1))} "
