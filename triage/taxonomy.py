"""Versions of the contact-type tree, as the command line asks for them: look, try a changes file, apply it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tickets.catalogue import read_dataset, read_tree, write_tree
from tickets.changes_file import ChangesFile, load_changes
from tickets.contact_types import SEPARATOR, ContactTypeTree
from tickets.errors import ContactTypeError, MissingStepError
from tickets.taxonomy_versions import TreeDifference, apply_changes, compare
from tickets.workspace import Workspace
from triage.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class NextVersion:
    """The tree as it is, as it is (or would be) after a changes file, and the columns of the file that dataset.toml
    does not name under `told_by`: without them some parts of a split cannot be told."""

    before: ContactTypeTree
    after: ContactTypeTree
    difference: TreeDifference
    untold: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOfChanges:
    """What changed on one day, as (old path, its new paths)."""

    on: str
    changes: Sequence[tuple[str, Sequence[str]]]


def tree_of(settings: Settings) -> ContactTypeTree:
    """The tree of the workspace. Raises MissingStepError before there is one."""
    tree = read_tree(Workspace.open(settings.workspace))
    if not tree.nodes:
        raise MissingStepError(
            "the contact-type tree is empty.",
            hint="Run `triage import` and `triage features`, or apply a changes file.",
        )
    return tree


def check(settings: Settings, file: str) -> NextVersion:
    """What applying a changes file would do; writes nothing. Raises ContactTypeError, naming the wrong line."""
    return _next_version(Workspace.open(settings.workspace), load_changes(changes_path(file)))


def apply(settings: Settings, file: str) -> NextVersion:
    """Apply a changes file to the tree of the workspace; a second time changes nothing. Raises ContactTypeError, and
    LockedError while another run works on the workspace."""
    workspace = Workspace.open(settings.workspace)
    changes = load_changes(changes_path(file))
    with workspace.lock("taxonomy apply"), workspace.catalogue_lock():
        version = _next_version(workspace, changes)
        if version.after is not version.before:
            write_tree(workspace, version.after)
    return version


def history(settings: Settings) -> list[DayOfChanges]:
    """The changes that the tree knows, by day."""
    tree = tree_of(settings)
    days: dict[str, list[tuple[str, Sequence[str]]]] = {}
    for change in tree.changes:
        entry = (SEPARATOR.join(change.source), [SEPARATOR.join(part.to) for part in change.parts])
        days.setdefault(change.on, []).append(entry)
    return [DayOfChanges(on=on, changes=changes) for on, changes in sorted(days.items())]


def changes_path(file: str) -> Path:
    """The path of a changes file: `cfpb` ships with the product. Raises ContactTypeError."""
    from pipeline import datasets

    ready: Mapping[str, Path] = {
        path.stem: path for path in (Path(datasets.__file__).parent / "taxonomy").glob("*.toml")
    }
    path = ready.get(file, Path(file))
    if not path.is_file():
        raise ContactTypeError(
            f"there is no changes file {file!r}.", hint=f"Give its path; ready ones are {', '.join(sorted(ready))}."
        )
    return path


def _next_version(workspace: Workspace, changes: ChangesFile) -> NextVersion:
    before = read_tree(workspace)
    after = apply_changes(before, changes)
    try:
        told_by = read_dataset(workspace).told_by
    except MissingStepError:  # nothing imported yet
        told_by = tuple(changes.columns)
    return NextVersion(
        before=before,
        after=after,
        difference=compare(before, after),
        untold=tuple(sorted(changes.columns.difference(told_by))),
    )
