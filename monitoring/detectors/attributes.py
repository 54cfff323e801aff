"""Have the attributes of tickets changed? Chi-square for categories, Kolmogorov-Smirnov for numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from monitoring.detectors.numbers import ks_distance
from monitoring.detectors.sample import LEAST, seen, too_small, unknown
from monitoring.detectors.shares import compare_shares
from tickets.monitor_log import DetectorResult
from tickets.records import AttributeValue

NAME = "attributes"
MISSING = "(missing)"
SURE = 0.0005  # a corrected p-value that passes a further correction over the night's detectors at 1 %
_PRESENT = " present"  # after the name of a number: whether it is there, beside what it is
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
    least: int = LEAST,
) -> DetectorResult:
    """Attributes of each ticket -> the largest effect among those that surely changed; p corrected over all of them.

    A missing value is a category of its own, so an attribute that no current ticket has changed most of all; those that
    surely vanished are named under `vanished`. One that only current tickets have is named under `appeared` and left
    out. Numbers are compared by rank.
    """
    if small := too_small(NAME, len(reference), len(current), least):
        return small
    before, after = _present(reference), _present(current)
    changes: list[_Change] = []
    for attribute in sorted(before):
        changes += _compare(
            attribute, [row.get(attribute) for row in reference], [row.get(attribute) for row in current]
        )
    details: dict[str, object] = {
        "reference": len(reference),
        "current": len(current),
        "appeared": sorted(after - before),
    }
    if not changes:
        return unknown(NAME, "no attribute has values in the reference", details)
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


def _compare(attribute: str, before: list[AttributeValue], after: list[AttributeValue]) -> list[_Change]:
    """A category gives one test; a number two: whether it is there, and its values where it is."""
    if not any(isinstance(value, str) for value in (*before, *after)) and any(is_number(v) for v in (*before, *after)):
        had, has = ([is_there(value) for value in values] for values in (before, after))
        there = compare_shares([str(one) for one in had], [str(one) for one in has])
        shares = {"reference": float(np.mean(had)), "current": float(np.mean(has))}
        changes = [_Change(f"{attribute}{_PRESENT}", attribute, there.effect, there.p_value, {**shares})]
        left, right = _numbers(before), _numbers(after)
        if min(len(left), len(right)) >= _NUMBERS_NEEDED:
            distance, p_value = ks_distance(left, right)
            medians = {"reference": float(np.median(left)), "current": float(np.median(right))}
            changes.append(_Change(attribute, attribute, distance, p_value, {"median": medians}))
        return changes
    test = compare_shares([category(value) for value in before], [category(value) for value in after])
    what: dict[str, object] = {"categories": test.moved[:3], "new": test.new}
    return [_Change(attribute, attribute, test.effect, test.p_value, what)]


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
