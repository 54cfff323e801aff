"""From one version of the contact-type tree to the next: a changes file applied."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tickets.changes_file import ChangesFile, Standing
from tickets.contact_types import SEPARATOR, ContactType, ContactTypeTree
from tickets.errors import ContactTypeError
from tickets.taxonomy_changes import Change, Place, by_day, follow, source_depth


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeDifference:
    """What a new version of the tree has changed, as written paths."""

    retired: tuple[str, ...]
    added: tuple[str, ...]
    returned: tuple[str, ...]


def apply_changes(tree: ContactTypeTree, file: ChangesFile) -> ContactTypeTree:
    """The next version of the tree: changed nodes inactive and mapped, what they became added, the changes kept.

    A node stays where the file's [current] has it, or where a change leads to it. A change that was applied before
    with other targets is replaced. Applying a file twice gives the very same tree.
    """
    merged = {(change.on, change.source): change for change in (*tree.changes, *file.changes)}
    changes = tuple(sorted(merged.values(), key=lambda change: (change.on, change.source)))
    rules = _Rules(changes=changes, known=tree.changes, current=file.current)
    standing = {*file.current, *rules.ends()}
    leaving = _leaving(tree, rules, standing)
    standing |= {place for places in leaving.values() for place in places}
    new = [*file.current, *sorted(standing.difference(file.current))]
    grown = tree.with_paths(SEPARATOR.join(place) for place in new)
    active = _active(grown, standing, set(leaving))
    inherited = _descriptions(grown, leaving)
    nodes = tuple(
        replace(node, active=node.id in active, description=node.description or inherited.get(node.id, ""))
        for node in grown.nodes
    )
    sources = {
        SEPARATOR.join(change.source): rules.leads_to(change.source)
        for change in file.changes
        if grown.at(change.source) is None  # a name of rows that the tree never had
    }
    mapping = dict(tree.mapping) | {gone: _ids(grown, places) for gone, places in (sources | leaving).items()}
    after = replace(
        tree,
        nodes=nodes,
        mapping={gone: targets for gone, targets in mapping.items() if gone not in active},
        changes=changes,
    )
    return tree if after == tree else replace(after, version=tree.version + bool(tree.nodes))


def add_contact_type(
    tree: ContactTypeTree, parent: str | None, name: str, description: str
) -> tuple[ContactTypeTree, str]:
    """The next version of the tree with a new contact type under a branch (None: on the top level), and its id. A
    retired one of that name is in use again. Asking twice for the same one gives the very same tree.

    Raises ContactTypeError when the name cannot be one, is taken, or the parent is a contact type itself: tickets are
    about it, and would be about no leaf any more.
    """
    name, description = " ".join(name.split()), " ".join(description.split())
    if not name or SEPARATOR in name or _has_controls(name + description):
        raise ContactTypeError(f"{name!r} cannot name a contact type.", hint=f"Write words, without {SEPARATOR!r}.")
    if parent is not None and parent not in {branch.id for branch in branches_of(tree)}:
        raise ContactTypeError(f"{parent!r} is no branch of the tree in use.", hint="Choose one of its branches.")
    place = (*(tree.place(parent) if parent is not None else ()), name)
    there = next((node for node in tree.children(parent) if node.active and _alike(node.name, name)), tree.at(place))
    if there is not None and there.active:
        if (there.name, there.description) == (name, description) and there in tree.leaves():
            return tree, there.id
        raise ContactTypeError(f"{SEPARATOR.join(place)!r} is in the tree already.", hint="Choose another name.")
    grown = tree.with_paths([SEPARATOR.join(place)])
    made = grown.at(place)
    if made is None:
        raise ContactTypeError(f"{SEPARATOR.join(place)!r} cannot be added.", hint="Choose another name.")
    # A retired node may stand under its first path with another name.
    new = replace(made, name=name, parent=parent, description=description, active=True)
    return replace(
        grown,
        nodes=tuple(new if node.id == made.id else node for node in grown.nodes),
        mapping={gone: targets for gone, targets in tree.mapping.items() if gone != made.id},
        version=tree.version + bool(tree.nodes),
    ), made.id


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text)


def _alike(name: str, other: str) -> bool:
    return name.casefold() == other.casefold()


def branches_of(tree: ContactTypeTree) -> tuple[ContactType, ...]:
    """Active nodes with active children, in tree order: what a new contact type can stand under."""
    leaves = set(tree.leaves())
    return tuple(node for node in tree.nodes if node.active and node not in leaves)


def compare(before: ContactTypeTree, after: ContactTypeTree) -> TreeDifference:
    """What changed from one version to another."""
    was = {node.id: node.active for node in before.nodes}

    def paths(nodes: Iterable[ContactType]) -> tuple[str, ...]:
        return tuple(after.path(node.id) for node in nodes)

    return TreeDifference(
        retired=paths(node for node in after.nodes if was.get(node.id) and not node.active),
        added=paths(node for node in after.nodes if node.id not in was and node.active),
        returned=paths(node for node in after.nodes if was.get(node.id) is False and node.active),
    )


class _Rules:
    """All changes, those of them that are new to the tree, and what the file says there is after the last."""

    def __init__(self, *, changes: Iterable[Change], known: Sequence[Change], current: Sequence[Place]) -> None:
        changes = tuple(changes)
        self.days = by_day(changes)
        self.new = tuple(change for change in changes if change not in known)
        self._new_days = by_day(self.new)
        self._current = Standing(current) if current else None

    def leads_to(self, place: Place, *, after: str = "", before: Sequence[Place] = ()) -> tuple[Place, ...]:
        """Where a place stands today; of several parts those that [current] has, if it has any."""
        places = follow(self.days, place, after=after, before=before)
        if self._current is None or len(places) < 2:
            return places
        return tuple(found for found in places if found in self._current) or places

    def ends(self) -> set[Place]:
        """Where the parts of the new changes stand after the changes that follow them."""
        return {
            end
            for change in self.new
            for part in change.parts
            for end in self.leads_to(part.to, after=change.on, before=(change.source,))
        }

    def move(self, place: Place, *, active: bool, standing: set[Place]) -> bool:
        """Does a node's place move? One in use has survived the changes that the tree knows; it stays where a new one
        leads to it, or to what it stands under."""
        if place in standing:
            return False
        if not active:
            return source_depth(self.days, place) > 0
        depth = source_depth(self._new_days, place)
        if depth == 0 or (self._current is not None and place in self._current):
            return False
        return not any(place[:names] in standing for names in range(depth, len(place)))


def _leaving(tree: ContactTypeTree, rules: _Rules, standing: set[Place]) -> dict[str, tuple[Place, ...]]:
    """The ids of nodes that changes retire, and where each went. What has one of today's places below it stays."""
    above = {place[:depth] for place in standing for depth in range(1, len(place))}
    leaving = {
        node.id: (place, rules.leads_to(place))
        for node in tree.nodes
        if (place := tree.place(node.id)) not in above and rules.move(place, active=node.active, standing=standing)
    }
    # A place that others move to is one of today's, though an older change may have the same name as its source.
    taken = {target for place, targets in leaving.values() for target in targets if target != place}
    return {identifier: targets for identifier, (place, targets) in leaving.items() if place not in taken}


def _active(tree: ContactTypeTree, standing: set[Place], leaving: set[str]) -> set[str]:
    """Ids of the nodes in use: those that were and stay, those that are new or came back, and all above them."""
    here = (
        node.id for node in tree.nodes if tree.place(node.id) in standing or (node.active and node.id not in leaving)
    )
    return {above.id for found in here for above in tree.ancestors(found)}


def _descriptions(tree: ContactTypeTree, leaving: Mapping[str, Sequence[Place]]) -> dict[str, str]:
    """The description of a node that moved as a whole, by the id of what it became."""
    found: dict[str, str] = {}
    for left, places in leaving.items():
        if len(places) == 1 and tree[left].description:
            for identifier in _ids(tree, places):
                found.setdefault(identifier, tree[left].description)
    return found


def _ids(tree: ContactTypeTree, places: Iterable[Place]) -> tuple[str, ...]:
    nodes = (tree.at(place) for place in places)
    return tuple(node.id for node in nodes if node is not None)
