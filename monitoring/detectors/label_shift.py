"""How many tickets of each contact type come now? The label mix, estimated from what the model predicts.

A model that takes one in ten refunds for an invoice reports too many invoices. Its confusion matrix on the reference
tells how often it does, so the mix that best explains what it predicts now is the one that tickets truly have: the
maximum of the likelihood of the predictions, found by expectation-maximisation as Saerens et al. 2002 do,
https://doi.org/10.1162/089976602753284446, with the confusion matrix of Lipton et al. 2018 (black box shift
estimation), https://arxiv.org/abs/1802.03916. That matrix is never inverted, so no share comes out negative.

It holds while tickets of one type read as they did. Then the reference, weighted to the new mix, looks like the current
tickets; where it does not, the answer is `unknown`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitoring.detectors.balance import Signs, unbalanced
from monitoring.detectors.sample import LEAST, too_small, unknown
from tickets.monitor_log import DetectorResult

NAME = "label_shift"
PER_TYPE = 10  # reference tickets of a type; rarer ones are counted together
RARE = "(rare types)"
WORST_CONDITION = 50.0  # of the confusion matrix; beyond, types are told apart too badly for a mix to be read from it
_ROUNDS = 200
_RESAMPLES = 100

Doubles = NDArray[np.float64]


def label_shift(
    reference: Sequence[str],
    current: Sequence[str],
    *,
    truth: Sequence[str | None],
    signs: Signs | None = None,
    seed: int = 0,
    least: int = LEAST,
) -> DetectorResult:
    """Predicted types of both windows and the reference's true ones -> the share of tickets that changed type.

    The statistic is the total variation between the two mixes. Each type's change has an interval over resampled
    windows, so wide that on 95 of 100 nights all of them hold the truth (Bonferroni). There is no p-value: whether the
    mix changed at all is what `predictions.types` tests. `signs`, such as the model's confidence, are what the
    assumption is checked by.
    """
    true, said = _with_truth(reference, truth)
    details: dict[str, object] = {"reference": len(true), "current": len(current)}
    if small := too_small(NAME, len(true), len(current), least):
        return small
    coded = _Coded.of(true, said, current)
    details["types"] = len(coded.names)
    if len(coded.names) < 2:
        return unknown(NAME, f"fewer than two types have {PER_TYPE} reference tickets", details)
    condition = float(np.linalg.cond(_confusion(coded.true, coded.said, len(coded.names))))
    details["condition"] = condition if np.isfinite(condition) else None  # JSON knows no infinity
    if not condition <= WORST_CONDITION:
        return unknown(NAME, "the model confuses some types too often to tell their shares apart", details)
    weights = mix_weights(reference, current, truth=truth)
    if signs is not None and (moved := unbalanced(signs, weights)):
        return unknown(NAME, f"tickets of one type do not read as they did: {moved}", details)
    return _told(details, coded.names, coded.mixes(), _margin(coded, np.random.default_rng(seed)))


def mix_weights(reference: Sequence[str], current: Sequence[str], *, truth: Sequence[str | None]) -> Doubles:
    """(n,) how much more often tickets of each reference ticket's true type come now; 0 where that is not known."""
    weights = np.zeros(len(reference))
    true, said = _with_truth(reference, truth)
    if not true or not len(current):
        return weights
    coded = _Coded.of(true, said, current)
    before, after = coded.mixes()
    known = np.array([kind is not None for kind in truth], dtype=np.bool_)
    weights[np.flatnonzero(known)] = (after / np.maximum(before, 1e-12))[coded.true]
    return weights


def _with_truth(predicted: Sequence[str], truth: Sequence[str | None]) -> tuple[list[str], list[str]]:
    """True and predicted types of the tickets whose true one is known."""
    pairs = [(true, said) for true, said in zip(truth, predicted, strict=False) if true is not None]
    return [true for true, _ in pairs], [said for _, said in pairs]


@dataclass(frozen=True, slots=True)
class _Coded:
    """Types as numbers: true and predicted ones of the reference, predicted ones of the current window."""

    names: list[str]
    true: NDArray[Any]
    said: NDArray[Any]
    now: NDArray[Any]

    @classmethod
    def of(cls, true: Sequence[str], said: Sequence[str], current: Sequence[str]) -> _Coded:
        names, at, rest = _grouped(true)
        coded = (np.array([at.get(kind, rest) for kind in kinds], dtype=np.int64) for kinds in (true, said, current))
        return cls(names, *coded)

    def mixes(self) -> tuple[Doubles, Doubles]:
        """The mix of true types before and now."""
        types = len(self.names)
        before = np.bincount(self.true, minlength=types) / len(self.true)
        predicted = np.bincount(self.now, minlength=types) / len(self.now)
        return before, _mix(_confusion(self.true, self.said, types), predicted, before)

    def unchanged(self) -> Doubles:
        """(types,) how often each type would be predicted, had both windows the mix that they have together."""
        both = np.average(self.mixes(), axis=0, weights=(len(self.true), len(self.now)))
        told = _confusion(self.true, self.said, len(self.names)) @ both
        return np.asarray(told / told.sum())

    def drawn(self, rng: np.random.Generator, told: Doubles | None = None) -> _Coded:
        """Both windows drawn anew with replacement; the current one from the shares `told`, where they are given."""
        rows = rng.integers(len(self.true), size=len(self.true))
        now = rng.choice(self.now if told is None else len(told), size=len(self.now), p=told)
        return _Coded(self.names, self.true[rows], self.said[rows], now)


def _told(
    details: dict[str, object], names: Sequence[str], mixes: tuple[Doubles, Doubles], margin: Doubles
) -> DetectorResult:
    """A type grew or shrank when the interval of its change, (types,) `margin` to either side, says so."""
    before, after = mixes
    low, high = np.clip([after - before - margin, after - before + margin], -before, 1 - before)
    distance = float(np.abs(after - before).sum() / 2)
    order = np.argsort(-np.abs(after - before))

    def row(place: int) -> dict[str, object]:
        shares = {"reference": float(before[place]), "current": float(after[place])}
        return {"name": names[place], **shares, "change": [float(low[place]), float(high[place])]}

    details |= {
        "mix": {names[place]: float(after[place]) for place in order},
        "grew": [row(int(place)) for place in order if low[place] > 0],
        "shrank": [row(int(place)) for place in order if high[place] < 0],
    }
    return DetectorResult(detector=NAME, statistic=distance, limit=None, p_value=None, status="ok", details=details)


def _grouped(true: Sequence[str]) -> tuple[list[str], dict[str, int], int]:
    """The types with enough reference tickets and, last, the rest together; where each type is found, and where one
    that the reference never has: with the rest or, where there is none, with the smallest."""
    counts = Counter(true)
    names = sorted(kind for kind, count in counts.items() if count >= PER_TYPE)
    at = {kind: place for place, kind in enumerate(names)}
    rest = sorted(counts.keys() - at.keys())
    if names and sum(counts[kind] for kind in rest) < PER_TYPE:  # none, or too few even together
        smallest = at[min(names, key=lambda kind: counts[kind])]
        return names, at | dict.fromkeys(rest, smallest), smallest
    return [*names, RARE], at | dict.fromkeys(rest, len(names)), len(names)


def _confusion(true: NDArray[Any], predicted: NDArray[Any], types: int) -> Doubles:
    """(types, types): column t is how tickets of true type t are predicted."""
    counts = np.bincount(predicted * types + true, minlength=types * types).reshape(types, types).astype(np.float64)
    shares: Doubles = counts / np.maximum(counts.sum(axis=0), 1)
    return shares


def _mix(confusion: Doubles, predicted: Doubles, start: Doubles) -> Doubles:
    """The mix of true types under which the shares `predicted` are likeliest, by expectation-maximisation."""
    mix = np.maximum(start, 1e-6)
    mix /= mix.sum()
    for _ in range(_ROUNDS):
        expected = np.maximum(confusion @ mix, 1e-12)
        nearer = mix * (confusion.T @ (predicted / expected))
        nearer /= max(nearer.sum(), 1e-12)
        if np.abs(nearer - mix).sum() < 1e-6:
            return nearer
        mix = nearer
    return mix


def _margin(coded: _Coded, rng: np.random.Generator) -> Doubles:
    """(types,) half the width of the intervals of all types' changes, which hold together 95 times in 100.

    The wider of two spreads counts: that of both windows drawn anew, and that of windows between which nothing changed.
    Where a share comes out as zero the first one collapses, for resamples seldom leave it.
    """

    def spread(told: Doubles | None = None) -> Doubles:
        mixes = [coded.drawn(rng, told).mixes() for _ in range(_RESAMPLES)]
        return np.asarray(np.std([after - before for before, after in mixes], axis=0, ddof=1))

    widest: Doubles = np.maximum(spread(), spread(coded.unchanged()))
    return widest * NormalDist().inv_cdf(1 - 0.025 / len(coded.names))
