"""Reading contact types as people wrote them (an id, or a path of any age) through the current tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tickets.catalogue import read_tree, write_tree
from tickets.contact_types import SEPARATOR, ContactTypeTree, split_path
from tickets.errors import ContactTypeError
from tickets.workspace import Workspace

UNKNOWN = "unknown contact type"
RETIRED = "contact type retired"
AMBIGUOUS = "contact type was split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a written contact type means today: an id, or why it means none."""

    contact_type: str | None = None
    reason: str | None = None
    detail: str = ""


def read_contact_type(written: str, tree: ContactTypeTree) -> Reading:
    """The current id of a written id or path. A retired one moves to its replacement when there is exactly one."""
    identifier = written
    if written not in tree and written not in tree.mapping:
        names = split_path(written)
        identifier = SEPARATOR.join(names)
        if identifier not in tree.mapping:
            try:
                identifier = tree.find(written).id
            except ContactTypeError as error:
                detail = f"{error.message} Correct it, add it to the tree, or map it to a current contact type."
                return Reading(reason=UNKNOWN, detail=detail)
    current = tree.migrate(identifier)
    if len(current) == 1:
        return Reading(contact_type=current[0])
    if current:
        named = ", ".join(map(repr, current))
        return Reading(reason=AMBIGUOUS, detail=f"{written!r} was split into {named}: somebody has to choose.")
    return Reading(
        reason=RETIRED, detail=f"{written!r} was retired and nothing replaced it; map it to a current contact type."
    )


def read_contact_types(written: Iterable[str], tree: ContactTypeTree) -> dict[str, Reading]:
    """A reading for every contact type that somebody wrote."""
    return {name: read_contact_type(name, tree) for name in sorted(set(written))}


def grow_tree(workspace: Workspace, imported: Iterable[str]) -> int:
    """Add the paths that imported rows name and the tree lacks; returns how many nodes were added.

    What agents and labelers answer was chosen from the tree, so it adds nothing.
    """
    tree = read_tree(workspace)
    grown = tree.with_paths(
        name for name, reading in read_contact_types(imported, tree).items() if reading.reason == UNKNOWN
    )
    if grown is not tree:
        write_tree(workspace, grown)
    return len(grown.nodes) - len(tree.nodes)
