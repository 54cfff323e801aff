"""MinHash of a text's word triples: a short signature whose agreement estimates how alike two texts are. Pure numpy.

Method: Broder 1997, banded as in Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3; one byte a hash is
kept, after Li and König, b-Bit Minwise Hashing, WWW 2010.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import xxhash

SIMILAR = 0.6  # estimated Jaccard similarity of word triples from which two texts count as the same letter
BANDS = 21
ROWS_IN_BAND = 6  # texts of similarity 0.8 share a band with probability 0.998, of 0.6 with 0.63, of 0.3 with 0.02
SIGNATURE = BANDS * ROWS_IN_BAND

Signatures = npt.NDArray[np.uint8]
Buckets = npt.NDArray[np.int32]

_WORD = re.compile(r"\w+")
_LONGEST = 5_000  # words of a text that are read
_TRIPLES_AT_ONCE = 2048
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd: they tell the places of a triple


class _WordHashes(dict[str, int]):
    """Hash of each word met so far; a number counts as any other, since a form letter differs in its account number."""

    def __missing__(self, word: str) -> int:
        if len(self) >= 200_000:
            self.clear()
        self[word] = found = xxhash.xxh64_intdigest(b"0" if word.isdigit() else word.encode())
        return found


def sign(texts: Sequence[str]) -> tuple[Signatures, Buckets]:
    """The signatures, shape (texts, 126) uint8, and one bucket a band, shape (texts, 21) int32. Texts that share a
    bucket may be near-duplicates. Case, numbers and punctuation are set aside."""
    smallest = np.full((len(texts), SIGNATURE), np.iinfo(np.uint32).max, dtype=np.uint32)
    waiting: list[npt.NDArray[np.uint32]] = []
    places: list[int] = []
    length = 0
    for number, text in enumerate(texts):
        triples = _triples(text)
        for start in range(0, len(triples), _TRIPLES_AT_ONCE):
            piece = triples[start : start + _TRIPLES_AT_ONCE]
            if waiting and length + len(piece) > _TRIPLES_AT_ONCE:
                _permute(waiting, places, smallest)
                waiting, places, length = [], [], 0
            waiting.append(piece)
            places.append(number)
            length += len(piece)
    if waiting:
        _permute(waiting, places, smallest)
    return (smallest >> np.uint32(8)).astype(np.uint8), _buckets(smallest)


def similarity(one: Signatures, other: Signatures) -> npt.NDArray[np.float64]:
    """Estimated Jaccard similarity of signatures, row by row: (n, 126), (n, 126) -> (n,). Two unlike bytes agree once
    in 256 times, which is taken off."""
    agreeing = (one == other).mean(axis=-1)
    return np.asarray((agreeing - 1 / 256) / (1 - 1 / 256))


def _triples(text: str) -> npt.NDArray[np.uint32]:
    words = _WORD.findall(text.lower())[:_LONGEST] or [text]
    hashes = _word_hashes()
    known = np.fromiter(map(hashes.__getitem__, words), dtype=np.uint64, count=len(words))
    # Wraps modulo 2**64 on purpose.
    mixed = known[:-2] * _FIRST + known[1:-1] * _SECOND + known[2:] if len(known) >= 3 else known
    return (mixed >> np.uint64(32)).astype(np.uint32)


def _permute(triples: list[npt.NDArray[np.uint32]], places: list[int], smallest: npt.NDArray[np.uint32]) -> None:
    """Take the smallest of each text's permuted hashes into `smallest`."""
    factors, offsets = _permutations()
    starts = np.cumsum([0, *map(len, triples[:-1])])
    permuted = np.concatenate(triples)[:, None] * factors
    permuted += offsets  # both wrap modulo 2**32 on purpose
    found = np.minimum.reduceat(permuted, starts, axis=0)
    rows = np.array(places)  # no text stands twice in one call
    smallest[rows] = np.minimum(smallest[rows], found)


def _buckets(signature: npt.NDArray[np.uint32]) -> Buckets:
    """A hash of each band and its number: all bands share one space of 2**32 buckets."""
    mixed: npt.NDArray[np.uint64] = np.tile(np.arange(1, BANDS + 1, dtype=np.uint64), (len(signature), 1))
    for row in range(ROWS_IN_BAND):
        mixed ^= signature[:, row::ROWS_IN_BAND]
        mixed *= _FIRST
        mixed ^= mixed >> np.uint64(29)
    return (mixed * _SECOND >> np.uint64(32)).astype(np.uint32).view(np.int32)


@lru_cache(maxsize=1)
def _word_hashes() -> _WordHashes:
    return _WordHashes()


@lru_cache(maxsize=1)
def _permutations() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    generator = np.random.default_rng(20190612)
    factors = generator.integers(0, 2**32, size=SIGNATURE, dtype=np.uint32) | np.uint32(1)
    return factors, generator.integers(0, 2**32, size=SIGNATURE, dtype=np.uint32)
