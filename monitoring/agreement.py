"""How far people agree who labelled the same tickets without seeing each other's labels.

Raw agreement is what one reads at once; kappa and alpha take out what chance would give. Each has an interval, and is
None where too little is known or everybody always said one and the same, when chance explains all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from models.intervals import share_of

LEAST = 10  # items, of a pair of labelers those that both labelled; of fewer a coefficient says nothing
_DRAWS = 500
_TINY = 1e-9
Numbers = NDArray[np.float64]
Ratings = Sequence[Mapping[str, str]]  # one an item: labeler -> contact type


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A value with its 95 % interval, from so many items."""

    value: float
    low: float
    high: float
    items: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over all items with two labels or more; `kappa` over the pairs of labelers who share enough, and their items."""

    raw: Coefficient | None
    kappa: Coefficient | None
    alpha: Coefficient | None


def agreement(ratings: Ratings, *, seed: int = 0) -> Agreement:
    """Everything at once; items with one label say nothing and are left out."""
    several = [item for item in ratings if len(item) > 1]
    compared = sorted({row for rows in _pairs(several).values() for row in rows})
    return Agreement(
        raw=raw_agreement(several),
        kappa=_with_interval(_kappas, [several[row] for row in compared], seed),
        alpha=_with_interval(_alphas, several, seed),
    )


def raw_agreement(ratings: Ratings) -> Coefficient | None:
    """Share of items on which all agree, with Wilson's interval; None of no items."""
    if not ratings:
        return None
    share = share_of(sum(len(set(item.values())) == 1 for item in ratings), len(ratings))
    return Coefficient(share.hits / share.tickets, share.low, share.high, len(ratings))


def _pairs(ratings: Ratings) -> dict[tuple[str, str], list[int]]:
    """Pairs of labelers who share `LEAST` items, and the places of those. Of pairs that share an item or two only those
    that differ have a kappa, and would speak for all; of pairs that always said one and the same none has."""
    shared: dict[tuple[str, str], list[int]] = {}
    for row, item in enumerate(ratings):
        for pair in combinations(sorted(item), 2):
            shared.setdefault(pair, []).append(row)
    return {
        pair: rows
        for pair, rows in shared.items()
        if len(rows) >= LEAST and len({ratings[row][name] for row in rows for name in pair}) > 1
    }


def _kappas(ratings: Ratings, weights: Numbers) -> Numbers:
    """(d,) Cohen's kappa of every pair of labelers (1960, "A Coefficient of Agreement for Nominal Scales"), weighed by
    the items they share, where the items count as often as `weights` (d, n) say; NaN where there is none."""
    place = _places(ratings)
    total, weight = np.zeros(len(weights)), np.zeros(len(weights))
    for pair, rows in _pairs(ratings).items():
        first, second = (np.array([place[ratings[row][name]] for row in rows]) for name in pair)
        own, kinds = weights[:, rows], np.eye(len(place))
        items = own.sum(axis=1)
        observed = own @ (first == second)
        chance = ((own @ kinds[first]) * (own @ kinds[second])).sum(axis=1) / np.maximum(items, 1)
        known = items - chance > _TINY
        total += np.where(known, items * (observed - chance) / np.where(known, items - chance, 1), 0)
        weight += np.where(known, items, 0)
    return np.where(weight > 0, total / np.maximum(weight, 1), np.nan)


def _alphas(ratings: Ratings, weights: Numbers) -> Numbers:
    """(d,) nominal alpha of any number of labelers, any labels missing (Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability"), where the items count as often as `weights` (d, n) say; NaN where there is none."""
    place = _places(ratings)
    counts = np.zeros((len(ratings), len(place)))
    for row, item in enumerate(ratings):
        for name, count in Counter(item.values()).items():
            counts[row, place[name]] = count
    given = counts.sum(axis=1)
    counts[given < 2] = 0  # one label alone pairs with none
    agreeing = (counts * (counts - 1)).sum(axis=1) / np.maximum(given - 1, 1)
    totals = weights @ counts
    pairs = totals.sum(axis=1)
    by_chance = pairs**2 - (totals**2).sum(axis=1)
    known = by_chance > _TINY
    observed = (pairs - 1) * (pairs - weights @ agreeing)
    return np.where(known, 1 - observed / np.where(known, by_chance, 1), np.nan)


def _places(ratings: Ratings) -> dict[str, int]:
    return {name: place for place, name in enumerate(sorted({label for item in ratings for label in item.values()}))}


def _with_interval(measure: Callable[[Ratings, Numbers], Numbers], ratings: Ratings, seed: int) -> Coefficient | None:
    """The measure with the interval that drawing the items again gives (percentile bootstrap)."""
    if len(ratings) < LEAST:
        return None
    value = float(measure(ratings, np.ones((1, len(ratings))))[0])
    if np.isnan(value):
        return None
    even = np.full(len(ratings), 1 / len(ratings))
    draws = measure(ratings, np.random.default_rng(seed).multinomial(len(ratings), even, size=_DRAWS).astype(float))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return Coefficient(value, min(float(low), value), max(float(high), value), len(ratings))
