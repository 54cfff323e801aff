"""Compaction: the many small Parquet files of a partition merged into few, with the same rows in the same order.

Nights that add little leave files that cost more to open than to read. Files merge only with neighbours of the same
name up to the number, so what a name tells (which import a raw part came from) stays true, and so do the fingerprints
that are made of it. Rows are streamed; a killed run leaves the partition as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake import link_or_copy
from tickets.manifests import partition_name
from tickets.progress import Report, silent
from tickets.tables import OUTCOMES, TABLES, Table
from tickets.workspace import Workspace

TARGET_BYTES = 128 * 2**20
SMALL_BYTES = 16 * 2**20  # larger files stay as they are: rewriting them would gain nothing
LEFT_ALONE = frozenset({OUTCOMES.name})  # `label` merges each night into these parts, by their number and count
_NUMBER = re.compile(r"\d+\.parquet$")
_BATCH_ROWS = 2_000  # a body may hold 100,000 letters
_GROUP_BYTES, _GROUP_ROWS = 16 * 2**20, 4_000  # of a row group, in memory: small enough to share out among cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What became of a partition's files."""

    name: str  # `tickets/arrived=2026-03-02`
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def compact(
    workspace: Workspace,
    *,
    tables: Sequence[Table] = TABLES,
    target_bytes: int = TARGET_BYTES,
    small_bytes: int = SMALL_BYTES,
    report: Report = silent,
) -> list[Compacted]:
    """Merge small files of every partition into files of up to `target_bytes`; the caller holds the lock. Returns the
    partitions that changed. Doing it again changes no byte. Sizes are in bytes on disk."""
    done = []
    for table in tables:
        if table.name in LEFT_ALONE:
            continue
        values: list[str | None] = [*workspace.partitions(table)] if table.partition is not None else [None]
        for value in values:
            compacted = _compact_folder(workspace, table, value, target_bytes=target_bytes, small_bytes=small_bytes)
            if compacted is not None:
                report(f"compact: {compacted.name}: {compacted.files_before} files -> {compacted.files_after}")
                done.append(compacted)
    return done


def _compact_folder(
    workspace: Workspace, table: Table, value: str | None, *, target_bytes: int, small_bytes: int
) -> Compacted | None:
    name = partition_name(table, value)
    folder = workspace.lake / name
    before = sorted(folder.glob("*.parquet"))
    if _settled(_packs(before, target_bytes, small_bytes)):
        return None
    bytes_before = sum(path.stat().st_size for path in before)
    with workspace.aside("compact") as aside:
        new = aside / name
        new.mkdir(parents=True)
        for path in folder.iterdir():
            link_or_copy(path, new / path.name)  # sidecars come along
        # What was merged may turn out small beside a small neighbour: until nothing is left to merge.
        while not _settled(packs := _packs(sorted(new.glob("*.parquet")), target_bytes, small_bytes)):
            _merge_packs(packs, new)
        after = sorted(new.glob("*.parquet"))
        compacted = Compacted(
            name=name,
            files_before=len(before),
            files_after=len(after),
            bytes_before=bytes_before,
            bytes_after=sum(path.stat().st_size for path in after),
        )
        if value is None:
            workspace.publish(new, table)
        else:
            workspace.publish(aside / table.name, table, [value])
    return compacted


def _packs(files: Sequence[Path], target_bytes: int, small_bytes: int) -> list[list[Path]]:
    """The files in order of their names; those in one pack become one file."""
    packs: list[list[Path]] = []
    for _, same in groupby(files, key=_prefix):
        size = target_bytes  # nothing joins what another prefix began
        for path in same:
            own = path.stat().st_size
            if own < small_bytes and size + own <= target_bytes:
                packs[-1].append(path)
                size += own
            else:
                packs.append([path])
                size = own if own < small_bytes else target_bytes
    return packs


def _settled(packs: Sequence[Sequence[Path]]) -> bool:
    return all(len(pack) == 1 for pack in packs)


def _prefix(path: Path) -> str:
    return _NUMBER.sub("", path.name)


def _merge_packs(packs: Sequence[Sequence[Path]], folder: Path) -> None:
    """Write each pack as one file and number the files of each prefix anew, in the same order."""
    for prefix, same in groupby(packs, key=lambda pack: _prefix(pack[0])):
        for number, pack in enumerate(same):
            written = pack[0].name.removeprefix(prefix).removesuffix(".parquet")  # "" when it carries no number
            target = (
                folder / f".{prefix.removesuffix('.parquet')}{f'{number:0{len(written)}d}' * bool(written)}.parquet"
            )
            if len(pack) == 1:
                pack[0].rename(target)
                continue
            _merge(pack, target)
            for path in pack:
                path.unlink()
    for path in sorted(folder.glob(".*.parquet")):
        path.rename(folder / path.name[1:])


def _merge(files: Sequence[Path], target: Path) -> None:
    """One file with the rows and the metadata of all. A column that some files lack is null there."""
    schema = pa.unify_schemas([pq.read_schema(path).remove_metadata() for path in files])
    metadata: dict[bytes, bytes] = {}
    for path in files:
        metadata |= pq.read_metadata(path).metadata or {}
    metadata.pop(b"ARROW:schema", None)  # the writer adds its own
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        size = rows = 0
        for batch in _batches(files, schema):
            waiting.append(batch)
            size, rows = size + batch.nbytes, rows + batch.num_rows
            if size >= _GROUP_BYTES or rows >= _GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting, size, rows = [], 0, 0
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting))
        writer.add_key_value_metadata(metadata)


def _batches(files: Sequence[Path], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS):
                columns = [
                    batch[field.name].cast(field.type)
                    if field.name in batch.schema.names
                    else pa.nulls(batch.num_rows, field.type)
                    for field in schema
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
