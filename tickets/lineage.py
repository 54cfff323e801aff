"""Lineage: which inputs a partition came from, back to the source files, and whether any has changed since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tickets.errors import InputError
from tickets.manifests import CATALOGUE, Manifest, fingerprint, manifests, partition_name, steps_run
from tickets.tables import TABLES, Table
from tickets.workspace import Workspace

_KEPT = {*(table.name for table in TABLES), CATALOGUE.rstrip("/")}  # what a workspace has a fingerprint of


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A node of the tree: a partition, a table, a file of the catalogue or a source file.

    `seen` is the fingerprint that the step above read, `current` the one of today; None where there is none (the root
    was read by nobody, a source file lies outside the workspace). `steps` are the runs that wrote it.
    """

    name: str
    seen: str | None
    current: str | None
    rows: int | None = None
    steps: tuple[str, ...] = ()  # `clean 2026-03-02`
    inputs: tuple[Lineage, ...] = ()

    @property
    def changed(self) -> bool:
        """It is no longer what the step above read."""
        return self.seen is not None and self.name.partition("/")[0] in _KEPT and self.seen != self.current

    @property
    def stale(self) -> bool:
        """It, or something it was made from, has changed since it was read."""
        return self.changed or any(node.stale for node in self.inputs)

    def leaves(self) -> Iterator[Lineage]:
        """The nodes that no step wrote: source files, the catalogue."""
        if not self.inputs:
            yield self
        for node in self.inputs:
            yield from node.leaves()


class Records:
    """The newest manifest of each step that tells of a name, read once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._writers: dict[str, dict[str, Manifest]] = {}
        self._current: dict[str, str | None] = {}
        for step in steps_run(workspace):
            for manifest in manifests(workspace, step):
                for name in manifest.outputs:
                    self._writers.setdefault(name, {})[step] = manifest

    def writers(self, name: str) -> list[Manifest]:
        """The runs that wrote it, one a step: several steps may share a partition."""
        return [manifest for _, manifest in sorted(self._writers.get(name, {}).items())]

    def current(self, name: str) -> str | None:
        if name not in self._current:
            self._current[name] = fingerprint(self.workspace, name)
        return self._current[name]

    def written(self) -> list[str]:
        """Every name that some manifest says was written."""
        return sorted(self._writers)


def lineage(workspace: Workspace, table: Table, value: str | None = None) -> Lineage:
    """Where a partition (or a whole table) came from, as a tree down to the source files."""
    return _node(Records(workspace), partition_name(table, value), None)


def find_lineage(workspace: Workspace, name: str, value: str | None = None) -> Lineage:
    """The same of a table by its name, of its newest partition where none is named. Raises InputError for what the lake
    does not have, naming what it has."""
    known = {table.name: table for table in TABLES}
    if name not in known:
        raise InputError(f"there is no table {name!r}.", hint=f"Tables: {', '.join(sorted(known))}.")
    table = known[name]
    if table.partition is None:
        if value is not None:
            raise InputError(f"the table {name!r} has no partitions.", hint="Leave the partition out.")
        return lineage(workspace, table)
    there = workspace.partitions(table)
    found = lineage(workspace, table, value or max(there, default=None))
    if value is not None and not found.steps and value not in there:
        shown = f"There are {', '.join(there[-5:])}." if there else "There are none yet: run `triage features`."
        raise InputError(f"{name} has no partition {value!r}.", hint=shown)
    return found


def _node(records: Records, name: str, seen: str | None) -> Lineage:
    writers = records.writers(name)
    inputs = {key: read for manifest in writers for key, read in _inputs(manifest, name).items()}
    return Lineage(
        name=name,
        seen=seen,
        current=records.current(name) if name.partition("/")[0] in _KEPT else None,
        rows=max((manifest.outputs[name].rows for manifest in writers), default=None),
        steps=tuple(f"{manifest.step} {manifest.as_of}" for manifest in writers),
        inputs=tuple(_node(records, key, read) for key, read in sorted(inputs.items()) if key != name),
    )


def _inputs(manifest: Manifest, name: str) -> dict[str, str]:
    """The inputs of one of the manifest's outputs."""
    of = manifest.outputs[name].made_from
    return {key: seen for key, seen in manifest.inputs.items() if not of or key in of}


def stale_inputs(records: Records, manifest: Manifest, *, until: str = "") -> list[str]:
    """The names that the run read and that are something else by now, or that have arrived since, up to its date or
    to the day `until`, whichever is later."""
    read = {name: seen for name, seen in manifest.inputs.items() if name.partition("/")[0] in _KEPT}
    changed = {name for name, seen in read.items() if records.current(name) != seen}
    tables = {table for table in TABLES if any(name.startswith(f"{table.name}/") for name in read)}
    for table in tables:
        for value in records.workspace.partitions(table):
            name = partition_name(table, value)
            if value <= max(manifest.as_of, until) and name not in read:
                changed.add(name)
    return sorted(changed)
