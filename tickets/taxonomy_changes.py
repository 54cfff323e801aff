"""What changed in a taxonomy, as data: dated renames, merges, splits and retirements, and how a name follows them.

A place is a written path as a tuple of names: `("Payments", "Refund")`. A change of a place moves all that stands under
it, and the change with the longest source wins. Changes of one day happen at once; days follow each other, so that the
name of 2015 becomes that of 2017 and then that of 2023. The file they are written in: tickets/changes_file.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tickets.errors import ContactTypeError

Place = tuple[str, ...]
ByDay = Mapping[str, Mapping[Place, "Change"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Where (a part of) a changed place went.

    Of a split, a part is told by what the row holds in other columns (`when`: every column named holds one of its
    values) or by where the name stood before (`formerly`). A part with neither takes what no other part is told for.
    """

    to: Place
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    formerly: Place = ()

    @property
    def conditional(self) -> bool:
        """Whether it takes some rows alone."""
        return bool(self.when or self.formerly)

    def is_told(self, trail: Sequence[Place], told: Mapping[str, str]) -> bool:
        """Whether a row's other columns, or the places its name has had, say that it is this part."""
        if self.when and all(told.get(column) in values for column, values in self.when.items()):
            return True
        return bool(self.formerly) and any(stands_under(place, self.formerly) for place in trail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From the day `on` (YYYY-MM-DD) the `source` is called otherwise: one part is a rename or merge, several are a
    split, none a retirement."""

    on: str
    source: Place
    parts: tuple[Part, ...] = ()

    def chosen(self, trail: Sequence[Place], told: Mapping[str, str]) -> Sequence[Part]:
        """The part for one row, or all that it may be when nothing tells. `trail`: every place its name has had."""
        if found := [part for part in self.parts if part.is_told(trail, told)]:
            return found
        return [part for part in self.parts if not part.conditional] or self.parts


def by_day(changes: Iterable[Change]) -> dict[str, dict[Place, Change]]:
    """The changes of each day by their source, in the order of time."""
    days: dict[str, dict[Place, Change]] = {}
    for change in sorted(changes, key=lambda change: change.on):
        days.setdefault(change.on, {})[change.source] = change
    return days


def follow(
    days: ByDay,
    place: Place,
    *,
    told: Mapping[str, str] | None = None,
    after: str = "",
    before: Sequence[Place] = (),
) -> tuple[Place, ...]:
    """Where a place leads after all changes later than the day `after`: one place, several when nothing tells which,
    none when it was retired. `told` are the row's other columns, `before` the places that the name had earlier."""
    trails: dict[Place, tuple[Place, ...]] = {place: (*before, place)}
    for day, changes in days.items():
        if day <= after:
            continue
        moved: dict[Place, tuple[Place, ...]] = {}
        for standing, trail in trails.items():
            change = governing(changes, standing)
            if change is None:
                moved.setdefault(standing, trail)
                continue
            for part in change.chosen(trail, told or {}):
                target = part.to + standing[len(change.source) :]
                moved.setdefault(target, (*trail, target))
        trails = moved
    return tuple(trails)


def governing(changes: Mapping[Place, Change], place: Place) -> Change | None:
    """Of one day's changes the one that moves a place: its own, or that of the nearest place above it."""
    return next(
        (changes[place[:depth]] for depth in range(len(place), 0, -1) if place[:depth] in changes),
        None,
    )


def source_depth(days: ByDay, place: Place) -> int:
    """How many names the longest source has that governs a place on any day; 0 when none does."""
    found = (governing(changes, place) for changes in days.values())
    return max((len(change.source) for change in found if change is not None), default=0)


def stands_under(place: Place, top: Place) -> bool:
    """Is the place `top` itself, or below it?"""
    return place[: len(top)] == top


def changes_to_json(changes: Iterable[Change], separator: str) -> list[dict[str, Any]]:
    return [
        {
            "on": change.on,
            "from": separator.join(change.source),
            "to": [
                {"path": separator.join(part.to)}
                | ({"when": {column: list(values) for column, values in part.when.items()}} if part.when else {})
                | ({"formerly": separator.join(part.formerly)} if part.formerly else {})
                for part in change.parts
            ],
        }
        for change in changes
    ]


def changes_from_json(data: Iterable[Mapping[str, Any]], separator: str) -> tuple[Change, ...]:
    """Read `changes_to_json`. Raises ContactTypeError when the data are no changes."""
    try:
        return tuple(
            Change(
                on=date.fromisoformat(change["on"]).isoformat(),
                source=tuple(change["from"].split(separator)),
                parts=tuple(
                    Part(
                        to=tuple(part["path"].split(separator)),
                        when={column: tuple(values) for column, values in part.get("when", {}).items()},
                        formerly=tuple(part["formerly"].split(separator)) if "formerly" in part else (),
                    )
                    for part in change["to"]
                ),
            )
            for change in data
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ContactTypeError(
            f"the changes of the tree have another shape than expected: {error!r}.",
            hint="Restore catalogue/contact_types.json from a backup, or apply the changes file again.",
        ) from error
