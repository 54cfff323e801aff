"""Have the attributes of tickets changed? Chi-square for categories, Kolmogorov-Smirnov for numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    details["vanished"] = sorted(
        attribute_of(change.attribute) for change in sure if attribute_of(change.attribute) in gone
    )
    details["tests"] = len(changes)
    details["moved"] = [
        {"name": change.attribute, "effect": change.effect, "p_value": change.p_value, **change.what}
        for change in ranked
    ]
    return seen(NAME, ranked[0].effect, min(1.0, ranked[0].p_value * len(changes)), details)


def _present(rows: Sequence[Mapping[str, AttributeValue]]) -> set[str]:
    """Attributes that have a value somewhere."""
    return {name for row in rows for name, value in row.items() if value is not None}


def _compare(attribute: str, before: list[AttributeValue], after: list[AttributeValue]) -> list[_Change]:
    """A category gives one test; a number two: whether it is there, and its values where it is."""
    if not any(isinstance(value, str) for value in (*before, *after)) and any(_is_number(v) for v in (*before, *after)):
        there = compare_shares([str(_is_number(v)) for v in before], [str(_is_number(v)) for v in after])
        shares = {"reference": len(_numbers(before)) / len(before), "current": len(_numbers(after)) / len(after)}
        changes = [_Change(f"{attribute}{_PRESENT}", there.effect, there.p_value, {**shares})]
        left, right = _numbers(before), _numbers(after)
        if min(len(left), len(right)) >= _NUMBERS_NEEDED:
            distance, p_value = ks_distance(left, right)
            medians = {"reference": float(np.median(left)), "current": float(np.median(right))}
            changes.append(_Change(attribute, distance, p_value, {"median": medians}))
        return changes
    test = compare_shares([category(value) for value in before], [category(value) for value in after])
    return [_Change(attribute, test.effect, test.p_value, {"categories": test.moved[:3], "new": test.new})]


def _is_number(value: AttributeValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))


def _numbers(values: Sequence[AttributeValue]) -> NDArray[np.float64]:
    return np.array([value for value in values if _is_number(value)], dtype=np.float64)


def attribute_of(name: str) -> str:
    """The attribute that a row of `moved` is about."""
    return name.removesuffix(_PRESENT)


def category(value: AttributeValue) -> str:
    """What a value is counted as: a missing one is a category of its own."""
    return MISSING if value is None else str(value)
