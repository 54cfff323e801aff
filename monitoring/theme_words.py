"""What a theme is called: the words that tell its tickets from all others, and short pieces of its tickets.

Works for any language: words that are frequent everywhere tell nothing. Texts come with personal data masked, and a
word must stand in several tickets.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.diagnosis.telling_words import WordCounts, own_words, together, word_counts
from pipeline.text.words import words_in

UNNAMED = "Theme without telling words"
_SNIPPET = 200  # characters
_IN_NAME = 3  # words
_LONGEST_NAME = 80  # characters
_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")


def theme_words(
    current: Sequence[str], reference: Sequence[str], themes: Sequence[NDArray[np.int64]]
) -> list[tuple[str, ...]]:
    """For each theme, given as rows of the current texts, the words that tell it from all other tickets, most telling
    first; () where none surely does."""
    if not themes:
        return []
    whole = together([word_counts(current), word_counts(reference)])
    told = []
    for rows in themes:
        own = word_counts([current[row] for row in rows.tolist()])
        others = WordCounts(whole.texts - own.texts, Counter(whole.words) - Counter(own.words))
        told.append(own_words(own, others, whole))
    return told


def theme_name(words: Sequence[str]) -> str:
    """A name to begin with: `Scooter battery charging`. People give the contact type its real one."""
    name = " ".join(words[:_IN_NAME])[:_LONGEST_NAME]
    return name[:1].upper() + name[1:] if name else UNNAMED


def snippet(text: str, words: Sequence[str] = ()) -> str:
    """A short piece of a text on one line, from the sentence that holds most of the words: greetings tell nothing."""
    sentences = [" ".join(sentence.split()) for sentence in _SENTENCE_ENDS.split(text) if sentence.strip()]
    held = [len(set(words) & set(words_in(sentence))) for sentence in sentences]
    first = held.index(max(held)) if held else 0
    line = ("… " if first else "") + " ".join(sentences[first:])
    return line if len(line) <= _SNIPPET else line[: _SNIPPET - 1].rstrip() + "…"
