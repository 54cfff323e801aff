"""Is the model worse for some tickets than for the rest? Errors by language, channel, length, month and attribute.

A slice is compared with all tickets outside of it by Fisher's exact test, one-sided, and the tests of one report are
corrected together (Benjamini and Hochberg 1995). Near-duplicates count as tickets of their own, so a slice of form
letters looks surer than it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.attributes import FIRST_VALUE, MISSING, AttributeSpec, attribute_rows, encode_attributes
from models.intervals import Share, share_of

LEAST = 25  # tickets; a smaller slice says little
FALSE_ALARMS = 0.05  # of the slices that are called worse
_MOST_VALUES = 10  # of an attribute, the commonest
_OTHER = "\0other"  # rare values, which make no slice together
_LENGTHS = (10, 30, 100, 250)  # words; a length bucket ends at each

Slicings = Mapping[str, Sequence[str]]  # name -> one value a ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The tickets that share a value, beside all others.

    `expected` is the error that its mix of contact types would have elsewhere: far below `error`, the slice itself is
    hard; near it, its contact types are. `confidence` is the mean probability of the first suggestion.
    """

    name: str
    value: str
    tickets: int
    error: Share
    rest: Share
    expected: float
    confidence: float
    p_value: float
    worse: bool  # than the rest, after correction

    @property
    def title(self) -> str:
        return f"{self.name}: {self.value}"


def slicings_of(rows: pa.Table, spec: AttributeSpec) -> dict[str, list[str]]:
    """Ways to cut n examples: language, channel, length, month, and each categorical attribute of the model."""
    found = {
        "language": [value or "unknown" for value in rows["language"].to_pylist()],
        "channel": [value or "unknown" for value in rows["channel"].to_pylist()],
        "length": [_length(text) for text in rows["text"].to_pylist()],
        "month": [f"{time:%Y-%m}" for time in rows["created_at"].to_pylist()],
    }
    categories = encode_attributes(spec, attribute_rows(rows)).categories
    for column, category in enumerate(spec.categories):
        if category.source == "attribute":
            found[category.name] = _common_values(categories[:, column], category.values)
    return found


def compare_slices(
    slicings: Slicings, wrong: NDArray[np.bool_], truth: NDArray[np.int64], probability: NDArray[np.float32]
) -> list[Slice]:
    """Every slice of enough tickets that has a rest of as many, the surest worse first.

    All arrays are (n,): whether the first suggestion was wrong, a number for the true contact type, and the
    probability of the first suggestion.
    """
    masks = [
        (name, value, np.array(values, dtype=object) == value)
        for name, values in slicings.items()
        for value in sorted(set(values))
        if value != _OTHER
    ]
    large = [entry for entry in masks if LEAST <= entry[2].sum() <= len(wrong) - LEAST]
    p_values = np.array([worse_by_chance(mask, wrong) for _, _, mask in large])
    worse = discoveries(p_values)
    slices = [
        Slice(
            name=name,
            value=value,
            tickets=int(mask.sum()),
            error=share_of(int(wrong[mask].sum()), int(mask.sum())),
            rest=share_of(int(wrong[~mask].sum()), int((~mask).sum())),
            expected=_expected(mask, wrong, truth),
            confidence=float(probability[mask].mean()),
            p_value=float(p_value),
            worse=bool(found),
        )
        for (name, value, mask), p_value, found in zip(large, p_values, worse, strict=True)
    ]
    return sorted(slices, key=lambda entry: (entry.p_value, entry.name, entry.value))


def _length(text: str) -> str:
    words = len(text.split())
    first = 1
    for last in _LENGTHS:
        if words <= last:
            return f"{first} to {last} words"
        first = last + 1
    return f"over {_LENGTHS[-1]} words"


def _common_values(codes: NDArray[np.int64], values: Sequence[str]) -> list[str]:
    """Names of encoded values; those that are rare here go together."""
    counts = np.bincount(codes, minlength=len(values) + FIRST_VALUE)
    common = {int(code) for code in np.argsort(-counts, kind="stable")[:_MOST_VALUES] if counts[code]}
    named = ["missing", "not seen in training", *values]
    keep = {code: named[code] for code in common | {MISSING}}
    return [keep.get(int(code), _OTHER) for code in codes]


def worse_by_chance(mask: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> float:
    """Chance of as many errors or more in the slice, were they dealt out among all tickets blindly. Both are (n,)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(int(wrong[mask].sum()) - 1, len(wrong), int(wrong.sum()), int(mask.sum())))


def discoveries(p_values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of these tests found something, all of them together having FALSE_ALARMS (Benjamini and Hochberg)."""
    if not len(p_values):
        return np.zeros(0, np.bool_)
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(np.clip(p_values, 0.0, 1.0)) <= FALSE_ALARMS)


def _expected(mask: NDArray[np.bool_], wrong: NDArray[np.bool_], truth: NDArray[np.int64]) -> float:
    """The error of the slice's contact types outside of it, weighted as they occur in it; where a contact type does
    not occur outside, the error of all outside."""
    _, kind = np.unique(truth, return_inverse=True)
    kinds = int(kind.max()) + 1
    tickets = np.bincount(kind[~mask], minlength=kinds)
    errors = np.bincount(kind[~mask], weights=wrong[~mask], minlength=kinds)
    overall = float(wrong[~mask].mean())
    rate = np.where(tickets > 0, errors / np.maximum(tickets, 1), overall)
    return float(rate[kind[mask]].mean())
