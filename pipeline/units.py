"""Units of work: a day's rows shared out among Spark's tasks, the same way on every machine.

Texts never pass through Java. A task reads its row groups from Parquet, works in Python and writes its own part, so a
ticket's text crosses no process border; Spark decides where and how often a task runs. How a day is cut follows from
the day's files alone, so a rerun, with more cores or after a crash, writes the same parts with the same bytes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

T = TypeVar("T")

UNIT_BYTES = 4 * 2**20  # of compressed Parquet: some 17,000 tickets, a few seconds of cleaning
SMALLEST_BYTES = 2**19  # a small night is shared out among a few tasks, but not finer than that
SHARED_AMONG = 4
_ROWS_IN_GROUP = 5_000
_CHARACTERS_IN_GROUP = 16 * 2**20  # a body may hold 100,000 characters


@dataclass(frozen=True, slots=True)
class Piece:
    """Row groups `first` to `end` (not included) of one Parquet file."""

    path: str
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Unit:
    """What one task works on: pieces of a day's files, in order. `number` names its part."""

    day: str
    number: int
    pieces: tuple[Piece, ...]


def units_of(day: str, files: Sequence[Path]) -> list[Unit]:
    """The day's files, in the order given, cut between row groups into units of about equal size."""
    groups: list[tuple[Path, int, int]] = []
    for path in files:
        metadata = pq.read_metadata(path)
        groups += [(path, number, _stored_bytes(metadata, number)) for number in range(metadata.num_row_groups)]
    total = sum(size for _, _, size in groups)
    count = max(-(-total // UNIT_BYTES), min(SHARED_AMONG, -(-total // SMALLEST_BYTES)), 1)
    shares: list[list[tuple[Path, int]]] = [[] for _ in range(count)]
    before = 0
    for path, number, size in groups:
        middle = before + size // 2
        shares[min(count - 1, middle * count // max(1, total))].append((path, number))
        before += size
    return [Unit(day, number, _pieces(share)) for number, share in enumerate(filter(None, shares))]


def _stored_bytes(metadata: Any, number: int) -> int:
    group = metadata.row_group(number)
    return sum(group.column(column).total_compressed_size for column in range(group.num_columns))


def _pieces(share: Sequence[tuple[Path, int]]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    for path, number in share:
        if pieces and pieces[-1].path == str(path) and pieces[-1].end == number:
            pieces[-1] = Piece(str(path), pieces[-1].first, number + 1)
        else:
            pieces.append(Piece(str(path), number, number + 1))
    return tuple(pieces)


def run_units(spark: SparkSession, units: Sequence[Unit], task: Callable[[Unit], T]) -> list[T]:
    """What `task` answers for each unit, in order; each unit is a Spark task of its own, tried again when it dies."""
    if not units:
        return []
    answers: list[T] = spark.sparkContext.parallelize(list(units), len(units)).map(task).collect()
    return answers


def read_unit(unit: Unit, columns: Sequence[str]) -> Iterator[tuple[str, pa.Table]]:
    """The unit's rows, row group by row group, each with the name of its file."""
    for piece in unit.pieces:
        with pq.ParquetFile(piece.path) as file:
            for number in range(piece.first, piece.end):
                yield Path(piece.path).name, file.read_row_group(number, columns=list(columns), use_threads=False)


def part_name(number: int) -> str:
    return f"part-{number:04d}.parquet"


class PartWriter:
    """Writes one Parquet file, row by row, whole or not at all: a task that dies leaves nothing under its name.

    Rows are tuples in the schema's order. `rows` counts them. Without `always`, no row means no file.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, always: bool = True) -> None:
        self.rows = 0
        self._path, self._schema, self._always = path, schema, always
        self._aside = path.with_name(f".{path.name}-{uuid.uuid4().hex[:8]}")
        self._waiting: list[tuple[Any, ...]] = []
        self._characters = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> PartWriter:
        return self

    def append(self, row: tuple[Any, ...], characters: int = 0) -> None:
        """Keep a row; `characters` is about how much text it holds."""
        self._waiting.append(row)
        self._characters += characters
        if len(self._waiting) >= _ROWS_IN_GROUP or self._characters >= _CHARACTERS_IN_GROUP:
            self._flush()

    def write(self, table: pa.Table) -> None:
        """Keep whole columns at once, as row groups of their own."""
        self._flush()
        whole = table.cast(self._schema).combine_chunks()  # chunks would show in the file's pages
        self._open().write_table(whole, row_group_size=_ROWS_IN_GROUP)
        self.rows += table.num_rows

    def _flush(self) -> None:
        if not self._waiting:
            return
        columns = zip(*self._waiting, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._open().write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self.rows += len(self._waiting)
        self._waiting, self._characters = [], 0

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._aside, self._schema, compression="zstd")
        return self._writer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
            if self._always:
                self._open()
        if self._writer is None:
            return
        self._writer.close()
        if kind is None:
            self._aside.replace(self._path)
        else:
            self._aside.unlink(missing_ok=True)
