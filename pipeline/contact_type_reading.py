"""Reading contact types as people wrote them (an id, or a path of any age) through the current tree."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tickets.catalogue import read_tree, write_tree
from tickets.contact_types import SEPARATOR, ContactTypeTree, split_path
from tickets.errors import ContactTypeError
from tickets.taxonomy_changes import Place
from tickets.workspace import Workspace

UNKNOWN = "unknown contact type"
RETIRED = "contact type retired"
AMBIGUOUS = "contact type was split"

Written = tuple[str, str | None, str | None]
"""A contact type as somebody wrote it; the columns that tell the parts of a split apart (IMPORTED_OUTCOMES.told_by);
the era it was written in (ContactTypeTree.today), None when that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a written contact type means today: an id, or why it means none. `missing` is the path that the tree lacks
    when it is unknown."""

    contact_type: str | None = None
    reason: str | None = None
    detail: str = ""
    missing: str | None = None


def read_contact_type(
    written: str, tree: ContactTypeTree, *, told_by: str | None = None, era: str | None = None
) -> Reading:
    """The current id of a written id or path. A retired one moves to its replacement when there is exactly one, or
    when `told_by` tells which of several. Raises nothing: what cannot be read says why."""
    names = tree.place(written) if written in tree else tuple(split_path(written))
    places = tree.today(names, told=json.loads(told_by) if told_by else None, era=era)
    if places == (names,) and (written in tree or written in tree.mapping):
        return _reading(written, tree, list(tree.migrate(written)), missing=[])
    current: dict[str, None] = {}
    missing: list[Place] = []
    for place in places:
        node, path = tree.at(place), SEPARATOR.join(place)
        if node is None and path not in tree.mapping:
            missing.append(place)
        else:
            current.update(dict.fromkeys(tree.migrate(path if node is None else node.id)))
    return _reading(written, tree, list(current), missing)


def _reading(written: str, tree: ContactTypeTree, current: list[str], missing: list[Place]) -> Reading:
    if len(current) + len(missing) > 1:
        named = ", ".join([*map(repr, map(tree.path, current)), *(repr(SEPARATOR.join(place)) for place in missing)])
        detail = f"{written!r} was split into {named}, and nothing tells which: somebody has to choose."
        return Reading(reason=AMBIGUOUS, detail=detail)
    if current:
        return Reading(contact_type=current[0])
    if missing:
        path = SEPARATOR.join(missing[0])
        moved = "" if path == written else f"{written!r} became {path!r}: "
        detail = (
            f"{moved}{_why_missing(path, tree)} Correct it, add it to the tree, or map it to a current contact type."
        )
        return Reading(reason=UNKNOWN, detail=detail, missing=path or None)
    return Reading(
        reason=RETIRED, detail=f"{written!r} was retired and nothing replaced it; map it to a current contact type."
    )


def _why_missing(path: str, tree: ContactTypeTree) -> str:
    try:
        tree.find(path)
    except ContactTypeError as error:
        return error.message
    return ""


def read_contact_types(written: Iterable[Written], tree: ContactTypeTree) -> dict[Written, Reading]:
    """A reading for every combination of contact type, telling columns and era that occurs."""
    return {key: read_contact_type(key[0], tree, told_by=key[1], era=key[2]) for key in set(written)}


def grow_tree(workspace: Workspace, imported: Iterable[Written]) -> int:
    """Add the paths that imported rows name and the tree lacks, as they are called today; returns how many nodes were
    added.

    What agents and labelers answer was chosen from the tree, so it adds nothing.
    """
    with workspace.catalogue_lock():
        tree = read_tree(workspace)
        readings = read_contact_types(imported, tree).values()
        grown = tree.with_paths(sorted({reading.missing for reading in readings if reading.missing}))
        if grown is not tree:
            write_tree(workspace, grown)
    return len(grown.nodes) - len(tree.nodes)
