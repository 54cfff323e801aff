"""The words of a text in any script, as detectors, the words and snippets of themes, explanations and the error report
count them. Topics, COTA, the keyword rules and the networks of words count otherwise (pipeline/topics/words.py).

Thai, Lao, Khmer, Burmese, Japanese and Chinese put no spaces between words; a sentence would be one word that nobody
else ever writes. Their runs are read by pairs of neighbouring letters, as search engines do where no dictionary is at
hand. Scripts that write vowels as marks on letters, as those of India do, keep them: they are most of a word.
"""

from __future__ import annotations

import re
import unicodedata

from pipeline.text.redact import MASKS

_MASK = re.compile("|".join([*map(re.escape, MASKS), r"\bX{2,}\b"]))  # personal data, a publisher's redactions
_LETTERS = r"[^\W\d_]"
_MARKS = "".join(letter for letter in map(chr, range(0x300, 0x10000)) if unicodedata.category(letter).startswith("M"))
_WORD = re.compile(f"{_LETTERS}+(?:[{_MARKS}]+{_LETTERS}*)*")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{2,}")


def words_in(text: str) -> list[str]:
    """Words of two letters or more, in order and in small letters. Numbers, which are new every day, are none, nor are
    the masks that cleaning puts in place of personal data."""
    plain = unicodedata.normalize("NFC", _MASK.sub(" ", text)).lower().replace("i\u0307", "i")  # of a Turkish capital
    found: list[str] = _WORD.findall(_UNSPACED.sub(_pairs, plain))
    return [word for word in found if len(word) > 1]


def _pairs(run: re.Match[str]) -> str:
    letters = "".join(filter(str.isalpha, run[0]))  # marks over and under Thai letters are none
    return f" {' '.join(letters[place : place + 2] for place in range(len(letters) - 1))} "
