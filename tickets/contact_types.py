"""The contact-type tree: what tickets can be about, how it changed, and how old labels are read today."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from tickets.errors import ContactTypeError
from tickets.taxonomy_changes import (
    ByDay,
    Change,
    Place,
    by_day,
    changes_from_json,
    changes_to_json,
    follow,
    source_depth,
)

SEPARATOR = "::"
_TREE_FILE = "Restore catalogue/contact_types.json from a backup, or write it as `triage taxonomy apply` does."


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactType:
    """One node. `id` never changes, `name` may. The model reads the description: write it as for a new colleague."""

    id: str
    name: str
    parent: str | None = None
    description: str = ""
    active: bool = True


@dataclass(frozen=True)
class ContactTypeTree:
    """A versioned tree of contact types, with the mapping from retired ids to current ones.

    `mapping` sends a retired id to the ids that replaced it: one for a rename or merge, several for a split. `changes`
    say the same of written paths, with the day and with what tells the parts of a split apart. Raises
    ContactTypeError when ids repeat, a parent is unknown, nodes form a cycle, or a mapping ends nowhere.
    """

    nodes: tuple[ContactType, ...]
    version: int = 1
    mapping: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        if len(self._by_id) != len(self.nodes):
            raise ContactTypeError("two contact types have the same id.", hint="Give each node its own id.")
        for node in self.nodes:
            if node.parent is not None and node.parent not in self._by_id:
                raise ContactTypeError(f"{node.id!r} has the unknown parent {node.parent!r}.", hint=_TREE_FILE)
        for node in self.nodes:
            self.ancestors(node.id)
        for retired, targets in self.mapping.items():
            if unknown := [target for target in targets if target not in self._by_id and target not in self.mapping]:
                raise ContactTypeError(
                    f"{retired!r} is mapped to {unknown}, which is not in the tree.", hint=_TREE_FILE
                )

    @cached_property
    def _by_id(self) -> dict[str, ContactType]:
        return {node.id: node for node in self.nodes}

    @cached_property
    def _children(self) -> dict[str | None, tuple[ContactType, ...]]:
        children: dict[str | None, list[ContactType]] = {}
        for node in self.nodes:
            children.setdefault(node.parent, []).append(node)
        return {parent: tuple(nodes) for parent, nodes in children.items()}

    @cached_property
    def _by_place(self) -> dict[tuple[str | None, str], ContactType]:
        return {(node.parent, node.name): node for node in reversed(self.nodes)}  # the first of a name counts

    @cached_property
    def _leaves_under(self) -> dict[str, tuple[str, ...]]:
        under: dict[str, tuple[str, ...]] = {}
        for leaf in self.leaves():
            for above in self.ancestors(leaf.id):
                under[above.id] = (*under.get(above.id, ()), leaf.id)
        return under

    @cached_property
    def _changes_by_day(self) -> ByDay:
        return by_day(self.changes)

    def __contains__(self, contact_type: object) -> bool:
        return contact_type in self._by_id

    def __getitem__(self, contact_type: str) -> ContactType:
        try:
            return self._by_id[contact_type]
        except KeyError:
            raise ContactTypeError(
                f"the contact type {contact_type!r} is not in the tree.",
                hint="`triage taxonomy show` prints those there are.",
            ) from None

    def children(self, contact_type: str | None) -> tuple[ContactType, ...]:
        """The children of a node, in tree order; of `None`, the top level."""
        return self._children.get(contact_type, ())

    def ancestors(self, contact_type: str) -> tuple[ContactType, ...]:
        """From the top level down to the node itself."""
        chain: list[ContactType] = []
        current: str | None = contact_type
        while current is not None:
            if len(chain) > len(self.nodes):
                raise ContactTypeError(f"the parents of {contact_type!r} form a cycle.", hint=_TREE_FILE)
            chain.append(self[current])
            current = chain[-1].parent
        return tuple(reversed(chain))

    def path(self, contact_type: str) -> str:
        """`Payments::Refund::Cleaning fee`"""
        return SEPARATOR.join(node.name for node in self.ancestors(contact_type))

    def place(self, contact_type: str) -> Place:
        """The names from the top level down to the node."""
        return tuple(node.name for node in self.ancestors(contact_type))

    def at(self, place: Place) -> ContactType | None:
        """The node at a place. A node that was renamed is also found under the path it first had, which is its id."""
        parent: str | None = None
        node: ContactType | None = None
        for depth, name in enumerate(place, start=1):
            node = self._by_place.get((parent, name)) or self._by_id.get(SEPARATOR.join(place[:depth]))
            if node is None:
                return None
            parent = node.id
        return node

    def find(self, path: str) -> ContactType:
        """The node at a written path. Raises ContactTypeError."""
        parent: str | None = None
        node: ContactType | None = None
        for name in split_path(path):
            node = self._by_place.get((parent, name))
            if node is None:
                raise ContactTypeError(
                    f"no contact type is at {path!r}: {name!r} is not under {parent or 'the root'!r}.",
                    hint="`triage taxonomy show` prints those there are.",
                )
            parent = node.id
        if node is None:
            raise ContactTypeError(
                "the path of a contact type is empty.",
                hint=f"Write its names from the top, with {SEPARATOR} between them.",
            )
        return node

    def leaves(self) -> tuple[ContactType, ...]:
        """Active nodes without active children, in tree order."""
        parents = {node.parent for node in self.nodes if node.active}
        return tuple(node for node in self.nodes if node.active and node.id not in parents)

    def migrate(self, contact_type: str) -> tuple[str, ...]:
        """Current ids for an id of any age: itself, its replacements, or () when it was retired without one."""
        seen: set[str] = set()
        frontier, current = [contact_type], []
        while frontier:
            candidate = frontier.pop(0)
            if candidate in seen:
                continue
            seen.add(candidate)
            if candidate in self.mapping:
                frontier.extend(self.mapping[candidate])
            elif candidate in self._by_id and self._by_id[candidate].active:
                current.append(candidate)
        return tuple(current)

    def leaves_today(self, contact_type: str) -> tuple[str, ...]:
        """The leaves that a contact type of any age may be today: one, the parts of a split, those under a branch, or
        () when it was retired without a replacement. Itself while there is no tree."""
        if not self.nodes:
            return (contact_type,)
        return tuple(dict.fromkeys(leaf for now in self.migrate(contact_type) for leaf in self._leaves_under[now]))

    def leaf_today(self, contact_type: str) -> str | None:
        """What a contact type of any age is today, where that is one leaf."""
        leaves = self.leaves_today(contact_type)
        return leaves[0] if len(leaves) == 1 else None

    def change_days(self) -> tuple[str, ...]:
        """The days (YYYY-MM-DD) on which the taxonomy changed, sorted. Between two of them every name means one
        thing."""
        return tuple(self._changes_by_day)

    def today(
        self, place: Place, *, told: Mapping[str, str] | None = None, era: str | None = None
    ) -> tuple[Place, ...]:
        """Where a name of any age stands today: one place, several when nothing tells which, none when it was retired.

        `told` are the columns of its row that may tell the parts of a split apart. `era` is the last of `change_days`
        up to the day it was written, "" before the first. A name of today is read as today's where the era is not
        known (None), and a retired name moves on whenever it was written: some forms stay in use for a while.
        """
        days = self._changes_by_day
        if era is not None and (moved := follow(days, place, told=told, after=era)) != (place,):
            return self._those_there(moved)
        if self._depth(place) >= source_depth(days, place):
            return (place,)
        return self._those_there(follow(days, place, told=told))

    def _those_there(self, places: tuple[Place, ...]) -> tuple[Place, ...]:
        """Of several parts only those that the tree has, if it has any."""
        there = tuple(place for place in places if self._depth(place) == len(place)) if len(places) > 1 else ()
        return there or places

    def _depth(self, place: Place) -> int:
        """How many names, from the top level down, lead through active nodes."""
        for depth in range(1, len(place) + 1):
            node = self.at(place[:depth])
            if node is None or not node.active:
                return depth - 1
        return len(place)

    def with_paths(self, paths: Iterable[str]) -> ContactTypeTree:
        """This tree and every node the paths name; a new version when that adds any. New ids are the written paths."""
        known = dict(self._by_place)
        added: dict[str, ContactType] = {}
        for path in paths:
            parent = None
            names = split_path(path)
            for depth, name in enumerate(names, start=1):
                written = SEPARATOR.join(names[:depth])
                # A node that was renamed keeps the path it first had as its id.
                node = known.get((parent, name)) or self._by_id.get(written)
                if node is None:
                    node = added[written] = ContactType(id=written, name=name, parent=parent)
                    known[parent, name] = node
                parent = node.id
        if not added:
            return self
        return replace(self, nodes=(*self.nodes, *added.values()), version=self.version + bool(self.nodes))


def split_path(path: str) -> list[str]:
    return [name.strip() for name in path.split(SEPARATOR) if name.strip()]


def tree_to_json(tree: ContactTypeTree) -> dict[str, Any]:
    return {
        "version": tree.version,
        "nodes": [
            {"id": n.id, "name": n.name, "parent": n.parent, "description": n.description, "active": n.active}
            for n in tree.nodes
        ],
        "mapping": {retired: list(targets) for retired, targets in tree.mapping.items()},
        "changes": changes_to_json(tree.changes, SEPARATOR),
    }


def tree_from_json(data: Mapping[str, Any]) -> ContactTypeTree:
    """Read `tree_to_json`. Raises ContactTypeError when the data is not a tree."""
    try:
        nodes = tuple(map(_node, data["nodes"]))
        mapping = {retired: tuple(targets) for retired, targets in data.get("mapping", {}).items()}
        changes = changes_from_json(data.get("changes", ()), SEPARATOR)
        return ContactTypeTree(nodes=nodes, version=int(data["version"]), mapping=mapping, changes=changes)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ContactTypeError(
            f"contact_types.json has another shape than expected: {error!r}.", hint=_TREE_FILE
        ) from error


def _node(entry: Mapping[str, Any]) -> ContactType:
    """People write these files too, and null for no description. Raises TypeError, AttributeError for what is no
    node."""
    node = ContactType(**{**entry, "description": entry.get("description") or ""})
    if not all(isinstance(text, str) for text in (node.id, node.name, node.description)):
        raise TypeError(f"id, name and description of {node.id!r} must be texts")
    return node


def tree_to_text(tree: ContactTypeTree) -> str:
    return json.dumps(tree_to_json(tree), indent=1, ensure_ascii=False)
