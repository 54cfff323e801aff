"""Which words tell one group of texts from another: log-odds ratios, held back where a word is rare.

After Monroe, Colaresi and Quinn (2008), "Fightin' Words" (https://doi.org/10.1093/pan/mpn018): the prior of a word is
how often it occurs in a background, so that a rare word needs more than one occurrence to stand out. The prior weighs
as much as all words of the smaller group. Where few texts meet many that is next to nothing, and a word that the other
group never used would look less sure than one that it used once; it is as sure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.baselines.keywords import log_odds_z
from models.words import STOP_WORDS
from pipeline.text.words import words_in

MOST = 6  # words of each side
SURE = 2.5  # standard errors from zero
LEAST_TEXTS = 3  # of its group that a word stands in; one that two people share may be a name
LEAST_SHARE = 0.1  # of the texts of its group; a rarer word helps nobody, and of many rare ones some look telling


@dataclass(frozen=True, slots=True)
class TellingWord:
    """A word, the shares of texts of its own group and of the other that it stands in, and how many standard errors its
    log-odds are from zero."""

    word: str
    here: float
    there: float
    z: float


@dataclass(frozen=True, slots=True)
class WordCounts:
    """Of so many texts, in how many each word stands."""

    texts: int
    words: Mapping[str, int]


def word_counts(texts: Sequence[str]) -> WordCounts:
    """A word counts once a text, so that a long one does not shout the others down; words without meaning are none."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(words_in(text)) - STOP_WORDS)
    return WordCounts(len(texts), counts)


def together(groups: Iterable[WordCounts]) -> WordCounts:
    """The counts of several groups as of one."""
    known = list(groups)
    return WordCounts(sum(one.texts for one in known), sum((Counter(one.words) for one in known), Counter[str]()))


def telling_words(
    first: WordCounts, second: WordCounts, background: WordCounts
) -> tuple[tuple[TellingWord, ...], tuple[TellingWord, ...]]:
    """The words that speak for the first group and for the second, most telling first; () where none surely does.

    The background holds the texts of both groups and more.
    """
    if not first.words or not second.words:
        return (), ()
    words = sorted(first.words.keys() | second.words.keys())
    ours, theirs = (np.array([group.words.get(word, 0) for word in words], np.float64) for group in (first, second))
    strength = min(ours.sum(), theirs.sum())
    prior = np.array([background.words[word] for word in words]) * strength / sum(background.words.values())
    for_ours, for_theirs = (
        zip(log_odds_z(*pair, prior, least=1.0).tolist(), words, strict=True)
        for pair in ((ours, theirs), (theirs, ours))
    )
    return _best(first, second, for_ours), _best(second, first, for_theirs)


def own_words(own: WordCounts, others: WordCounts, background: WordCounts) -> tuple[str, ...]:
    """The words that speak for one group of texts alone, as `telling_words` tells them."""
    words, _ = telling_words(own, others, background)
    return tuple(one.word for one in words)


def _best(own: WordCounts, other: WordCounts, scored: Iterable[tuple[float, str]]) -> tuple[TellingWord, ...]:
    sure = [
        TellingWord(word, own.words.get(word, 0) / own.texts, other.words.get(word, 0) / other.texts, z)
        for z, word in scored
        if z > SURE
    ]
    common = [one for one in sure if one.here >= LEAST_SHARE and own.words[one.word] >= LEAST_TEXTS]
    return tuple(sorted(common, key=lambda one: (-one.z, one.word))[:MOST])
