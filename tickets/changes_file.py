"""A changes file: renames, merges, splits and retirements of contact types, written by people, in TOML.

[[change]]                              # a rename; several changes to one place are a merge
on = 2026-03-01                         # the first day of the new name
from = "Payments::Refund"               # what stands under it moves along
to = "Money back"

[change.below]                          # what stands under it and changed its name too; none of it moves twice
"Cleaning fee" = "Fee for cleaning"

[[change]]                              # a split
on = 2026-03-01
from = "Cards"
to = [
    { path = "Credit card", when = { kind = ["visa", "amex"] }, formerly = "Plastic" },
    "Prepaid card",                     # the rest; without such a line, what nothing tells waits for a person
]

[[change]]                              # a retirement without a replacement
on = 2026-03-01
from = "Fax"
to = []

[current]                               # may be left out: what there is after the last change. New nodes come from
"Credit card" = ["Fees", "Fraud"]       # it too, and a change that ends elsewhere is refused as a slip of the pen.
"Money back" = []
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from tickets.contact_types import SEPARATOR, split_path
from tickets.errors import ContactTypeError
from tickets.taxonomy_changes import Change, Part, Place, by_day, follow, governing, stands_under

_BEGINS = re.compile(r"\s*\[\[\s*[\"']?change[\"']?\s*\]\]")  # as TOML lets it be written


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesFile:
    """A changes file, checked. `current` is empty where the file does not say what there is after the last change."""

    changes: tuple[Change, ...]
    current: tuple[Place, ...] = ()

    @property
    def columns(self) -> frozenset[str]:
        """The source columns that tell the parts of a split apart."""
        return frozenset(column for change in self.changes for part in change.parts for column in part.when)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A change and where the file says it, for messages."""

    change: Change
    said: str


def load_changes(path: Path) -> ChangesFile:
    """Read and check a changes file. Raises ContactTypeError, naming the line that is wrong and what it may hold."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise ContactTypeError(
            f"cannot read {path}: {error.strerror}.", hint="Check the path and its rights, or name a ready one: cfpb."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ContactTypeError(
            f"{path} is not valid TOML: {error}.",
            hint="Mend that line; docs/taxonomy.md shows how a changes file is written.",
        ) from error
    return changes_from_toml(data, text=text, name=path.name)


def changes_from_toml(data: Mapping[str, Any], *, text: str = "", name: str = "changes") -> ChangesFile:
    """Check parsed TOML. `text` is what was parsed: it tells at which line a change stands. Raises ContactTypeError."""
    _refuse_unknown(name, data, {"change", "current"})
    starts = [number for number, line in enumerate(text.split("\n"), 1) if _BEGINS.match(line)]
    lines: list[_Line] = []
    entries = data.get("change", [])
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ContactTypeError(f"{name}: `change` must be a list of tables.", hint="Write each one under [[change]].")
    for number, entry in enumerate(entries):
        said = f"{name}, line {starts[number]}" if number < len(starts) else f"{name}, change {number + 1}"
        lines.extend(_changes_of(entry, said))
    current = tuple(_current(data.get("current", {}), name))
    _refuse_contradictions(lines)
    if current:
        _refuse_other_ends(lines, current)
    return ChangesFile(changes=tuple(line.change for line in lines), current=current)


def _changes_of(entry: Mapping[str, Any], said: str) -> Iterator[_Line]:
    """The change of a [[change]] table, and those of what stands below it."""
    _refuse_unknown(said, entry, {"on", "from", "to", "below"})
    on = entry.get("on")
    if not isinstance(on, date) or isinstance(on, datetime):
        raise ContactTypeError(f"{said}: `on` is {on!r}; a day was expected.", hint="Write it as on = 2026-03-01.")
    source = _place(entry.get("from"), said, "from")
    parts = _parts(entry.get("to"), said, "to")
    yield _Line(change=_change(on, source, parts, said), said=said)
    below = entry.get("below", {})
    if not isinstance(below, Mapping):
        raise ContactTypeError(
            f"{said}: `below` is {below!r}; it must be a table: old name = new name.",
            hint='Write below = { "Old name" = "New name" }.',
        )
    for old, new in below.items():
        inner = f"{said}, below {old!r}"
        moved = _parts(new, inner, old)
        if moved and not parts:
            raise ContactTypeError(
                f"{inner}: what it stands under is retired.", hint="Give it a [[change]] of its own."
            )
        if len(moved) > 1 and len(parts) > 1:
            raise ContactTypeError(
                f"{inner}: it is split, and what it stands under is split too.", hint="Give it a [[change]] of its own."
            )
        both = [
            Part(to=upper.to + lower.to, when=upper.when or lower.when, formerly=upper.formerly or lower.formerly)
            for upper in parts
            for lower in moved
        ]
        yield _Line(change=_change(on, source + _place(old, inner, "below"), tuple(both), inner), said=inner)


def _change(on: date, source: Place, parts: tuple[Part, ...], said: str) -> Change:
    if len(parts) == 1 and parts[0].to == source:
        raise ContactTypeError(
            f"{said}: {SEPARATOR.join(source)!r} changes to itself.", hint="Remove it, or write where it goes."
        )
    if len(parts) == 1 and parts[0].conditional:
        raise ContactTypeError(
            f"{said}: {SEPARATOR.join(source)!r} has one part, and only for some rows.", hint="Say where the rest goes."
        )
    if len({part.to for part in parts}) < len(parts):
        raise ContactTypeError(f"{said}: two parts have the same path.", hint="List all its values under one `when`.")
    return Change(on=on.isoformat(), source=source, parts=parts)


def _parts(value: Any, said: str, key: str) -> tuple[Part, ...]:
    """One path, or a list of paths and of { path, when, formerly }."""
    if isinstance(value, str):
        return (Part(to=_place(value, said, key)),)
    if not isinstance(value, list):
        raise ContactTypeError(
            f"{said}: `{key}` is {value!r}; a path or a list was expected.", hint="Write [] for a retirement."
        )
    return tuple(_part(entry, said, key) for entry in value)


def _part(entry: Any, said: str, key: str) -> Part:
    if isinstance(entry, str):
        return Part(to=_place(entry, said, key))
    if not isinstance(entry, Mapping):
        raise ContactTypeError(
            f"{said}: `{key}` holds {entry!r}; a path or {{ path = ... }} was expected.",
            hint='Write "Payments::Refund", or { path = ..., when = ... }.',
        )
    _refuse_unknown(said, entry, {"path", "when", "formerly"})
    when = entry.get("when", {})
    if not isinstance(when, Mapping):
        raise ContactTypeError(
            f"{said}: `when` is {when!r}; it must be a table: column = [values].",
            hint='Write when = { City = ["Berlin"] }.',
        )
    formerly = _place(entry["formerly"], said, "formerly") if "formerly" in entry else ()
    values = {column: _values(found, said, column) for column, found in when.items()}
    return Part(to=_place(entry.get("path"), said, "path"), when=values, formerly=formerly)


def _values(found: Any, said: str, column: str) -> tuple[str, ...]:
    values = [found] if isinstance(found, str) else found
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise ContactTypeError(
            f"{said}: `when` has {column!r} = {found!r}; a list of texts was expected.",
            hint=f'Write {column} = ["...", "..."].',
        )
    return tuple(value.strip() for value in values)


def _place(value: Any, said: str, key: str) -> Place:
    if not isinstance(value, str) or not (place := tuple(split_path(value))):
        raise ContactTypeError(
            f"{said}: `{key}` is {value!r}; a path was expected.", hint=f'Write "Payments{SEPARATOR}Refund".'
        )
    return place


def _current(table: Any, name: str) -> Iterator[Place]:
    """The places that [current] names, each after what it stands under."""
    if not isinstance(table, Mapping):
        raise ContactTypeError(
            f"{name}: `current` must be a table: [current].",
            hint="Under it stand the names in use, as docs/taxonomy.md shows.",
        )
    for top, below in table.items():
        said = f"{name}, [current], {top!r}"
        if not isinstance(below, list):
            raise ContactTypeError(
                f"{said} is {below!r}; a list of the names under it was expected.", hint='Write ["Refund", "Invoice"].'
            )
        place = _place(top, said, "path")
        yield place
        for inner in below:
            yield place + _place(inner, said, "path")


def _refuse_unknown(said: str, table: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(table) - known):
        raise ContactTypeError(
            f"{said} has the unknown key {unknown[0]!r}.", hint=f"Known keys: {', '.join(sorted(known))}."
        )


def _refuse_contradictions(lines: Sequence[_Line]) -> None:
    """One change for a source and day; and what a change leads to stays where it is on that day."""
    seen: dict[tuple[str, Place], _Line] = {}
    for line in lines:
        key = (line.change.on, line.change.source)
        if (first := seen.setdefault(key, line)) is not line:
            raise ContactTypeError(
                f"{line.said}: {SEPARATOR.join(key[1])!r} changes on {key[0]} already, by {first.said}.",
                hint="Write one change with all its parts.",
            )
    days = by_day(line.change for line in lines)
    for line in lines:
        for part in line.change.parts:
            next_one = governing(days[line.change.on], part.to)
            if next_one in (None, line.change) or _stays(days[line.change.on], part.to):
                continue
            assert next_one is not None
            back = any(stands_under(line.change.source, further.to) for further in next_one.parts)
            raise ContactTypeError(
                f"{line.said}: {SEPARATOR.join(part.to)!r} changes on the same day, by "
                f"{seen[next_one.on, next_one.source].said}{': that is a cycle' if back else ''}.",
                hint="Write where it ends that day, or give the two changes different days.",
            )


def _stays(changes: Mapping[Place, Change], place: Place) -> bool:
    """Is the place also one of those that it is split into?"""
    change = governing(changes, place)
    rest = place[len(change.source) :] if change is not None else ()
    return change is not None and any(part.to + rest == place for part in change.parts)


def _refuse_other_ends(lines: Sequence[_Line], current: Sequence[Place]) -> None:
    """Every change leads, after those that follow it, to what [current] has."""
    days = by_day(line.change for line in lines)
    known = Standing(current)
    for line in lines:
        for part in line.change.parts:
            ends = follow(days, part.to, after=line.change.on, before=(line.change.source,))
            if ends and not any(end in known for end in ends):
                raise ContactTypeError(
                    f"{line.said}: {SEPARATOR.join(part.to)!r} leads to {SEPARATOR.join(ends[0])!r}, "
                    "which [current] does not have.",
                    hint="Correct the one or the other.",
                )


class Standing:
    """The places that [current] names: `in` is true of each, of what it stands under, and of all below its leaves."""

    def __init__(self, current: Sequence[Place]) -> None:
        inner = {place[:depth] for place in current for depth in range(1, len(place))}
        self._leaves = set(current) - inner
        self._known = {*current, *inner}

    def __contains__(self, place: Place) -> bool:
        return place in self._known or any(place[:depth] in self._leaves for depth in range(1, len(place)))
