"""Raw rows on their way into the lake: Parquet parts, the same bytes for the same rows, put into a day of `raw`."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corrections import PREFIX as CORRECTED
from pipeline.lake import parts_of, replace_parts
from pipeline.sources.tabular import SourceRow
from tickets.dataset import Split
from tickets.tables import RAW, SERVICE
from tickets.workspace import Workspace

FORGOTTEN = "forgotten"  # why rows are left out that somebody asked to be forgotten with
_ROWS_IN_PART = 100_000
_BATCH_CHARACTERS = 16 * 1024 * 1024  # a row group: enough for compression, small enough to share out among cores
_BATCH_ROWS = 2_000
_PART = re.compile(r"(\d{6})-([0-9a-f]{16}-[0-9a-f]{6})-")  # its place among the day's sources, and which it is
_SKIPPED = b"triage.skipped"  # Parquet metadata of a source's last part: {reason: rows left out on purpose}


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSource:
    """Where rows come from. `name` is RAW.source; `place` is what a second reading of the same replaces."""

    name: str
    place: str
    content: str  # hash of the rows' content, 16 hexadecimal characters at least
    split: Split | None = None
    replaces_place: bool = False  # other content of the same place goes too: a database has no file to tell them apart

    @property
    def key(self) -> str:
        """Names the source in the lake. Names may hold what Hadoop's paths may not, so hashes stand for them."""
        return f"{self.content[:16]}-{hashlib.sha256(self.place.encode()).hexdigest()[:6]}"

    def is_same(self, key: str) -> bool:
        """Whether parts under `key` came from this source, read earlier."""
        return key == self.key or (self.replaces_place and key[16:] == self.key[16:])


def write_parts(
    rows: Iterable[SourceRow],
    source: RawSource,
    folder: Path,
    *,
    skipped: MutableMapping[str, int],
    kept_out: Callable[[str], bool] | None = None,
) -> tuple[list[Path], int]:
    """Parquet files under `folder`, and how many rows they hold. `skipped` is read once all rows are; rows whose fields
    `kept_out` knows are counted there, and the others keep their numbers."""
    parts: list[Path] = []
    writer: pq.ParquetWriter | None = None
    count = in_part = 0
    try:
        for batch in _batches(_numbered(rows, skipped, kept_out), source):
            if writer is None or in_part >= _ROWS_IN_PART:
                if writer is not None:
                    writer.close()
                parts.append(folder / f"{source.key}-{len(parts):06d}.parquet")
                writer, in_part = pq.ParquetWriter(parts[-1], RAW.schema, compression="zstd"), 0
            writer.write_batch(batch)
            in_part += batch.num_rows
            count += batch.num_rows
        if writer is not None and skipped:
            writer.add_key_value_metadata({_SKIPPED: json.dumps(dict(skipped), sort_keys=True).encode()})
    finally:
        if writer is not None:
            writer.close()
    return parts, count


def put_parts(workspace: Workspace, day: str, source: RawSource, parts: Sequence[Path]) -> None:
    """The source's parts into the day, numbered so that what was imported last sorts last, in place of its old ones."""
    names = [path.name for path in parts_of(workspace, RAW, day)]
    present = sorted({(int(found[1]), found[2]) for name in names if (found := _PART.match(name))})
    own = [(place, key) for place, key in present if source.is_same(key)]
    last = present[-1][0] if present else 0
    place = last if own and own[-1][0] == last else last + 1
    replace_parts(
        workspace,
        RAW,
        day,
        prefix=f"{place:06d}-{source.key}-",
        parts=parts,
        instead_of=f"{own[-1][0]:06d}-{own[-1][1]}-" if own else None,
    )


def raw_counts(workspace: Workspace, day: str) -> dict[str, int]:
    """Imported rows of the day, how many of them could not be read, and what sources left out, by reason."""
    counts = Counter({"raw": 0, "unreadable": 0})
    for path in parts_of(workspace, RAW, day):
        if path.name.startswith((SERVICE, CORRECTED)):
            continue
        with pq.ParquetFile(path) as file:
            problems = file.read(columns=["problem"])["problem"]
            skipped = json.loads((file.metadata.metadata or {}).get(_SKIPPED, b"{}"))
        counts.update({"raw": len(problems), "unreadable": len(problems) - problems.null_count})
        counts.update({f"skipped, {reason}": number for reason, number in skipped.items()})
    return dict(counts)


def _numbered(
    rows: Iterable[SourceRow], skipped: MutableMapping[str, int], kept_out: Callable[[str], bool] | None
) -> Iterator[tuple[int, SourceRow]]:
    for number, row in enumerate(rows, start=1):
        if kept_out is not None and kept_out(row.fields):
            skipped[FORGOTTEN] = skipped.get(FORGOTTEN, 0) + 1
        else:
            yield number, row


def _batches(rows: Iterable[tuple[int, SourceRow]], source: RawSource) -> Iterator[pa.RecordBatch]:
    waiting: list[tuple[int, SourceRow]] = []
    characters = 0
    for number, row in rows:
        waiting.append((number, row))
        characters += len(row.fields)
        if len(waiting) >= _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
            yield _batch(waiting, source)
            waiting, characters = [], 0
    if waiting:
        yield _batch(waiting, source)


def _batch(rows: Sequence[tuple[int, SourceRow]], source: RawSource) -> pa.RecordBatch:
    columns = [
        [source.name] * len(rows),
        [number for number, _ in rows],
        [row.fields for _, row in rows],
        [source.split] * len(rows),
        [row.problem for _, row in rows],
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(values, type=field.type) for values, field in zip(columns, RAW.schema, strict=True)],
        schema=RAW.schema,
    )
