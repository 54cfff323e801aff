"""Have the attributes of tickets changed? Chi-square for categories, Kolmogorov-Smirnov for numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from monitoring.detectors.numbers import ks_distance
from monitoring.detectors.sample import LEAST, seen, too_small, unknown
from monitoring.detectors.shares import can_compare, compare_shares
from tickets.monitor_log import DetectorResult
from tickets.records import AttributeValue

NAME = "attributes"
MISSING = "(missing)"
SURE = 0.0005  # a corrected p-value that passes a further correction over the night's detectors at 1 %
# After the name of an attribute: what a share of its tickets or values is of.
PRESENT = "present"
NUMBER = "is a number"
NEW = "new values"
_MOSTLY = 0.5  # of the values, in rare ones: then the test of shares says little about them
_NUMBERS_NEEDED = 20  # values in both windows; with fewer, only whether the value is there is compared


@dataclass(frozen=True, slots=True)
class _Change:
    name: str
    attribute: str
    effect: float
    p_value: float
    what: dict[str, object]


def attribute_drift(
    reference: Sequence[Mapping[str, AttributeValue]],
    current: Sequence[Mapping[str, AttributeValue]],
    *,
    seed: int = 0,
    least: int = LEAST,
) -> DetectorResult:
    """Attributes of each ticket -> the largest effect among those that surely changed; p corrected over all of them.

    A missing value is a category of its own, so an attribute that no current ticket has changed most of all; those that
    surely vanished are named under `vanished`. One that only current tickets have is named under `appeared` and left
    out, one whose values are too rare for any test under `too_rare`. Numbers are compared by rank.
    """
    if small := too_small(NAME, len(reference), len(current), least):
        return small
    before, after = _present(reference), _present(current)
    changes: list[_Change] = []
    too_rare: list[str] = []
    for attribute in sorted(before):
        had, has = ([row.get(attribute) for row in rows] for rows in (reference, current))
        found, rare = _compare(attribute, had, has, seed)
        changes += found
        too_rare += [attribute] if rare else []
    details: dict[str, object] = {
        "reference": len(reference),
        "current": len(current),
        "appeared": sorted(after - before),
        "too_rare": too_rare,
    }
    if not changes:
        why = (
            "values of every attribute are too rare to compare"
            if too_rare
            else "no attribute has values in the reference"
        )
        return unknown(NAME, why, details)
    # The surest change may be a trifle that every ticket shows; it must not hide a large one that is sure as well.
    # Whichever is chosen, its p-value times the number of tests holds the promised rate of false calls.
    ranked = sorted(changes, key=lambda change: (change.p_value, -change.effect))
    sure = [change for change in ranked if change.p_value * len(changes) <= SURE]
    ranked = sorted(sure, key=lambda change: -change.effect) + ranked[len(sure) :]
    gone = before - after
    details["vanished"] = sorted({change.attribute for change in sure} & gone)
    details["tests"] = len(changes)
    details["moved"] = [
        {
            "name": change.name,
            "attribute": change.attribute,
            "effect": change.effect,
            "p_value": change.p_value,
            **change.what,
        }
        for change in ranked
    ]
    return seen(NAME, ranked[0].effect, min(1.0, ranked[0].p_value * len(changes)), details)


def _present(rows: Sequence[Mapping[str, AttributeValue]]) -> set[str]:
    """Attributes that have a value somewhere."""
    return {name for row in rows for name, value in row.items() if is_there(value)}


def _compare(
    attribute: str, before: list[AttributeValue], after: list[AttributeValue], seed: int
) -> tuple[list[_Change], bool]:
    """The tests of an attribute, and whether its values are too rare for any.

    A category gives one test; a number two: whether it is there, and its values where it is. Where texts and numbers
    mix, one more: whether a value is a number. Of values that are rare, each alone, one asks whether they are new.
    """
    values = (*before, *after)
    numbers, texts = any(map(is_number, values)), any(isinstance(value, str) for value in values)
    if numbers and not texts:
        return [_share(attribute, PRESENT, before, after), *_distances(attribute, before, after)], False
    changes = [_share(attribute, NUMBER, before, after)] if numbers else []
    had, has = ([value for value in values if is_there(value)] for values in (before, after))
    test = alone = compare_shares([category(value) for value in before], [category(value) for value in after])
    if has and test.rare and len(had) + len(has) < len(values):  # a missing value is a category, and a common one
        alone = compare_shares([category(value) for value in had], [category(value) for value in has])
    new = _new_values(attribute, had, has, seed) if has and alone.rare > _MOSTLY else None
    if new is not None:
        changes.append(new)
    if alone.comparable:
        what: dict[str, object] = {"categories": test.moved[:3], "new": test.new}
        return [*changes, _Change(attribute, attribute, test.effect, test.p_value, what)], False
    if len(had) + len(has) < len(values):
        changes.append(_share(attribute, PRESENT, before, after))
    return changes, new is None


def _share(attribute: str, of: str, before: Sequence[AttributeValue], after: Sequence[AttributeValue]) -> _Change:
    """Whether a value is there, or is a number: the share of tickets."""
    holds = is_there if of == PRESENT else is_number
    return _change_of_share(attribute, of, [holds(value) for value in before], [holds(value) for value in after])


def _change_of_share(attribute: str, of: str, before: Sequence[bool], after: Sequence[bool]) -> _Change:
    test = compare_shares([str(one) for one in before], [str(one) for one in after])
    shares = {"of": of, "reference": float(np.mean(before)), "current": float(np.mean(after))}
    return _Change(f"{attribute} {of}", attribute, test.effect, test.p_value, {**shares})


def _distances(attribute: str, before: Sequence[AttributeValue], after: Sequence[AttributeValue]) -> list[_Change]:
    left, right = _numbers(before), _numbers(after)
    if min(len(left), len(right)) < _NUMBERS_NEEDED:
        return []
    distance, p_value = ks_distance(left, right)
    medians = {"reference": float(np.median(left)), "current": float(np.median(right))}
    return [_Change(attribute, attribute, distance, p_value, {"median": medians})]


def _new_values(
    attribute: str, before: Sequence[AttributeValue], after: Sequence[AttributeValue], seed: int
) -> _Change | None:
    """The share of values that one half of the reference lacks, in its other half and now: no value may be judged by a
    list that it helped to make. None where too few are known, or too few are not: then nothing can be told.
    """
    order = np.random.default_rng(seed).permutation(len(before))
    known = {str(before[row]) for row in order[: len(before) // 2]}
    held_out = [str(before[row]) not in known for row in order[len(before) // 2 :]]
    arrived = [str(value) not in known for value in after]
    change = _change_of_share(attribute, NEW, held_out, arrived)
    return change if can_compare(held_out, arrived) else None


def is_there(value: AttributeValue) -> bool:
    """Whether there is a value at all: a NaN or an infinity is what a broken feed sends for none."""
    return value is not None and (not isinstance(value, float) or bool(np.isfinite(value)))


def is_number(value: AttributeValue) -> TypeGuard[float]:
    """A finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _numbers(values: Sequence[AttributeValue]) -> NDArray[np.float64]:
    return np.array([value for value in values if is_number(value)], dtype=np.float64)


def category(value: AttributeValue) -> str:
    """What a value is counted as: a missing one is a category of its own."""
    return str(value) if is_there(value) else MISSING
