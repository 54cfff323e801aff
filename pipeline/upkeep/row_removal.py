"""Rows taken out of a partition, as if they had never been there.

The partition keeps its files, their names and what it says it was made from, so nothing that follows from it is made
anew. It changes whole: what is new is written aside, brought to the disk, and trades places with what was there. A run
that is killed leaves the one or the other.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake import count_rows, link_or_copy, mark, parts_in
from tickets.manifests import MADE_FROM, folder_fingerprint, partition_name
from tickets.tables import Table
from tickets.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Which rows leave, told from the given columns of some rows: bool, one a row. `shorten` takes rows that stay and
    returns one column's new values, None where the old one stays. `leaves` is shown what leaves, whole."""

    columns: Sequence[str]
    leaving: Callable[[pa.Table], pa.Array]
    shortened: str | None = None
    shorten: Callable[[Sequence[str]], list[str | None]] | None = None
    leaves: Callable[[pa.Table], object] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Rows that leave, and rows that are shortened."""

    leaving: int = 0
    shortened: int = 0

    def __add__(self, other: Found) -> Found:
        return Found(self.leaving + other.leaving, self.shortened + other.shortened)

    def __bool__(self) -> bool:
        return bool(self.leaving or self.shortened)


def remove_rows(workspace: Workspace, table: Table, value: str | None, removal: Removal, *, apply: bool) -> Found:
    """Count the rows of a partition (or of a table without partitions) that are meant; with `apply` take them out."""
    folder = workspace.lake / partition_name(table, value)
    found = {path: _look(path, removal) for path in parts_in(folder)}
    total = sum(found.values(), Found())
    if not total or not apply:
        return total
    with workspace.aside("forget") as aside:
        new = aside / partition_name(table, value)
        new.mkdir(parents=True)
        for path in sorted(folder.iterdir()):
            if found.get(path):
                _rewrite(path, new / path.name, removal)
            else:
                link_or_copy(path, new / path.name)
        _keep_mark(folder, new)
        if value is None:
            workspace.publish(new, table)
        else:
            workspace.publish(aside / table.name, table, [value])
    return total


def write_counts(folder: Path, **counts: int) -> None:
    """Correct what a partition's mark counts. One that has no mark, or does not count this, stays as it is."""
    said = json.loads((folder / MADE_FROM).read_text(encoding="utf-8")) if (folder / MADE_FROM).exists() else {}
    known = {name: count for name, count in counts.items() if name in said.get("counts", {})}
    if any(said["counts"][name] != count for name, count in known.items()):
        mark(folder, said["fingerprint"], **{**said["counts"], **known})


def write_whole(rows: pa.Table, path: Path) -> None:
    """One file, on the disk when this returns."""
    pq.write_table(rows, path, compression="zstd")
    _sync(path)


def _look(path: Path, removal: Removal) -> Found:
    found = Found()
    for _, rows in _groups(path, (*removal.columns, *((removal.shortened,) if removal.shortened else ()))):
        leaving = removal.leaving(rows)
        found += Found(pc.sum(leaving).as_py() or 0, len(_new_values(rows.filter(pc.invert(leaving)), removal)))
    return found


def _rewrite(path: Path, target: Path, removal: Removal) -> None:
    """The file without the rows that leave; row groups and what writers noted in the file stay."""
    with pq.ParquetFile(path) as file:
        schema, noted = file.schema_arrow.remove_metadata(), dict(file.metadata.metadata or {})
    noted.pop(b"ARROW:schema", None)  # the writer adds its own
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for _, rows in _groups(path, schema.names):
            leaving = removal.leaving(rows)
            if removal.leaves is not None:
                removal.leaves(rows.filter(leaving))
            kept = _with_new_values(rows.filter(pc.invert(leaving)), removal)
            if kept.num_rows:
                writer.write_table(kept.cast(schema))
        writer.add_key_value_metadata(noted)
    _sync(target)


def _groups(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    with pq.ParquetFile(path) as file:
        known = [name for name in file.schema_arrow.names if name in columns]
        for number in range(file.num_row_groups):
            yield number, file.read_row_group(number, columns=known, use_threads=False)


def _new_values(rows: pa.Table, removal: Removal) -> dict[int, Any]:
    if removal.shorten is None or removal.shortened is None:
        return {}
    told = removal.shorten(rows[removal.shortened].to_pylist())
    return {place: value for place, value in enumerate(told) if value is not None}


def _with_new_values(rows: pa.Table, removal: Removal) -> pa.Table:
    changed = _new_values(rows, removal)
    if not changed or removal.shortened is None:
        return rows
    values = rows[removal.shortened].to_pylist()
    for place, value in changed.items():
        values[place] = value
    place = rows.schema.get_field_index(removal.shortened)
    return rows.set_column(place, rows.schema.field(place), pa.array(values, rows.schema.field(place).type))


def _keep_mark(old: Path, new: Path) -> None:
    """The new folder says what the old one said. Without a mark, content may be part of the fingerprint: then the
    old fingerprint becomes the mark, until a step writes to the partition again."""
    if (new / MADE_FROM).exists():
        write_counts(new, rows=count_rows(new))
    elif (before := folder_fingerprint(old)) != folder_fingerprint(new):
        mark(new, before)


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
