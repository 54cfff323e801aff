"""Do people write differently? Length, language, and words that the reference never used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitoring.detectors.numbers import compare_numbers
from monitoring.detectors.sample import LEAST, too_small
from monitoring.detectors.shares import compare_categories
from pipeline.text.words import words_in
from tickets.monitor_log import DetectorResult

LENGTH = "text.length"
LANGUAGE = "text.language"
UNSEEN = "text.unseen_words"
_SHOWN = 10
_REMEMBERED = 8192  # texts; a night's detectors and its A/A replays read the same ones many times
_OFTEN = 3  # tickets; a word that one person typed wrongly says nothing


@lru_cache(maxsize=_REMEMBERED)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, remembered."""
    return tuple(words_in(text))


def tickets_using(texts: Iterable[str]) -> Counter[str]:
    """Words with the number of tickets that use them, in no order: a ticket counts a word once, however often it says
    it."""
    return Counter(word for text in texts for word in set(words_of(text)))


def length(reference: Sequence[str], current: Sequence[str], *, least: int = LEAST) -> DetectorResult:
    """Words a ticket -> KS distance."""
    before, after = (
        np.array([len(words_of(text)) for text in texts], dtype=np.float64) for texts in (reference, current)
    )
    return compare_numbers(LENGTH, before, after, least=least)


def language(reference: Sequence[str], current: Sequence[str], *, least: int = LEAST) -> DetectorResult:
    """Languages -> Cramér's V."""
    return compare_categories(LANGUAGE, reference, current, least=least)


def unseen_words(
    reference: Sequence[str], current: Sequence[str], *, seed: int = 0, least: int = LEAST
) -> DetectorResult:
    """The share of each ticket's words that a vocabulary lacks -> KS distance, with new words that many use.

    The vocabulary comes from one half of the reference and the other half is what the current tickets are compared
    with: no ticket may be judged by a vocabulary that it helped to make.
    """
    if small := too_small(UNSEEN, len(reference) // 2, len(current), least):
        return small
    order = np.random.default_rng(seed).permutation(len(reference))
    half = len(reference) // 2
    vocabulary = {word for row in order[:half] for word in words_of(reference[row])}
    held_out = [words_of(reference[row]) for row in order[half:]]
    arrived = [words_of(text) for text in current]
    result = compare_numbers(
        UNSEEN, _unseen_shares(held_out, vocabulary), _unseen_shares(arrived, vocabulary), least=least
    )
    known = vocabulary.union(*held_out)
    tickets = Counter(word for words in arrived for word in set(words) - known)
    often = [word for word, count in tickets.items() if count >= _OFTEN]
    new = sorted(often, key=lambda word: (-tickets[word], word))[:_SHOWN]
    return replace(result, details={**result.details, "new": new})


def _unseen_shares(tickets: Iterable[Sequence[str]], vocabulary: set[str]) -> NDArray[np.float64]:
    """(n,) share of unseen words; not a number for a ticket without words."""
    return np.array(
        [sum(word not in vocabulary for word in words) / len(words) if words else np.nan for words in tickets],
        dtype=np.float64,
    )
