"""The lake's tables in Spark: read up to a date, write in their exact schema, say what a partition was made from."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.units import PartWriter, part_name
from tickets.manifests import MADE_FROM, partition_name
from tickets.tables import RAW, TICKETS, Table
from tickets.workspace import Workspace, write_text

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

_ROWS_IN_PART = 400_000  # of a narrow table
_RAW_BYTES_A_SHUFFLE = 24 * 2**20
ROWS_WRITTEN = pa.schema([pa.field("rows", pa.int64(), nullable=False)])


def spark_schema(schema: pa.Schema) -> StructType:
    """Spark's types for an Arrow schema."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def arrivals(workspace: Workspace, table: Table, as_of: date) -> list[str]:
    """The days on which rows of the table arrived, up to and with `as_of`, sorted."""
    return [day for day in workspace.partitions(table) if day <= as_of.isoformat()]


def parts_in(folder: Path) -> list[Path]:
    """The Parquet files of a partition or a table without partitions, sorted by name."""
    return sorted(folder.glob("*.parquet"))


def parts_of(workspace: Workspace, table: Table, day: str) -> list[Path]:
    """The Parquet files of a day of a published table."""
    return parts_in(workspace.table_path(table) / f"{table.partition}={day}")


def read_arrivals(spark: SparkSession, workspace: Workspace, table: Table, days: Sequence[str]) -> DataFrame:
    """The table's rows that arrived on the given days, with the column `arrived`; empty when there are none."""
    from pyspark.sql.types import StringType, StructField, StructType

    schema = StructType([*spark_schema(table.schema).fields, StructField("arrived", StringType(), False)])
    folder = workspace.table_path(table)
    paths = [spark_path(folder / f"arrived={day}") for day in days]
    if not paths:
        return spark.createDataFrame([], schema)
    return spark.read.schema(schema).option("basePath", spark_path(folder)).parquet(*paths)


def read_table(spark: SparkSession, workspace: Workspace, table: Table) -> DataFrame:
    """A table that is not partitioned by arrival, whole."""
    return spark.read.schema(spark_schema(table.schema)).parquet(spark_path(workspace.table_path(table)))


def latest_tickets(
    spark: SparkSession, workspace: Workspace, as_of: date, columns: Sequence[str] = TICKETS.schema.names
) -> DataFrame:
    """Each ticket once: the version that arrived last, up to `as_of`. The given columns of TICKETS, and `arrived`."""
    from pyspark.sql import functions as F  # noqa: N812  # the name Spark's own documentation uses

    days = arrivals(workspace, TICKETS, as_of)
    tickets = read_arrivals(spark, workspace, TICKETS, days).select(*columns, "arrived")
    if len(days) <= 1:
        return tickets
    # Most tickets arrive once. Only ids and days (as numbers, which Spark counts without sorting) are shuffled to
    # find the others; the rows then meet a small table.
    day = F.datediff(F.col("arrived").cast("date"), F.lit("1970-01-01").cast("date"))
    versions = tickets.select("ticket_id", day.alias("day")).groupBy("ticket_id")
    again = versions.agg(F.max("day").alias("last"), F.count("*").alias("versions")).filter("versions > 1")
    known = tickets.withColumn("day", day).join(again, "ticket_id", "left")
    return known.filter("last is null or last = day").select(*columns, "arrived")


def spark_path(path: Path) -> str:
    """A path on this machine's (or the shared) disk: where a cluster's default is another file system, Spark must be
    told."""
    return f"file://{path}"


def write_sorted(
    frame: DataFrame, folder: Path, table: Table, order: Sequence[str], *, rows: int = 0, partition: str | None = None
) -> None:
    """Write exactly the table's columns as Parquet under `folder`, `<partition>=<value>/` when asked, sorted by
    `order` within parts of equal `order[0]`s; `rows` is about how many there are (a partition is one part, whatever it
    holds). The folder exists after it.

    The same rows give the same bytes, whatever order they came in: the tasks write, since Java's Parquet writer lists
    encodings in another order in each process.
    """
    parts = 1 if partition else parts_for(rows)
    columns = [*table.schema.names, *([partition] if partition else [])]
    keys = [*([partition] if partition else []), *order]
    shared = frame.select(*columns).repartition(parts, order[0]).sortWithinPartitions(*keys)
    write_parts(shared, folder, table, partition=partition)


def parts_for(rows: int) -> int:
    """In how many parts a narrow table of so many rows is written: a power of two, so that it seldom changes as the
    table grows, and a night can be merged into the parts there are."""
    return 1 << (-(-rows // _ROWS_IN_PART) - 1).bit_length() if rows else 1


def write_parts(frame: DataFrame, folder: Path, table: Table, *, partition: str | None = None) -> None:
    """Write a part for each of Spark's partitions, a few hundred thousand narrow rows at most, in their order."""
    written = frame.mapInArrow(_part_writer(folder, table, partition), spark_schema(ROWS_WRITTEN))
    written.agg({"rows": "sum"}).collect()
    folder.mkdir(parents=True, exist_ok=True)


def _part_writer(
    folder: Path, table: Table, partition: str | None
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a task does with its rows, which are sorted by `partition` first."""

    def write_part(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        present = list(batches)
        whole = pa.Table.from_batches(present) if present else None
        values = [None] if partition is None else [] if whole is None else whole[partition].unique().to_pylist()
        for value in values:
            place = folder if value is None else folder / f"{partition}={value}"
            rows = whole if whole is None or value is None else whole.filter(pc.field(partition) == value)
            with PartWriter(place / part_name(context.partitionId()), table.schema) as part:
                if rows is not None:
                    part.write(rows.select(table.schema.names))
        yield pa.RecordBatch.from_pydict({"rows": [0 if whole is None else whole.num_rows]}, schema=ROWS_WRITTEN)

    return write_part


def count_rows(folder: Path) -> int:
    """Rows in the Parquet files under a folder, read from their footers alone."""
    return sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))


def made_from(workspace: Workspace, table: Table, value: str | None = None) -> dict[str, Any]:
    """What `mark` said of a partition, or of a whole table: its `fingerprint`, and its `counts`; {} when it was not
    made yet."""
    path = workspace.lake / partition_name(table, value) / MADE_FROM
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return said


def is_made(workspace: Workspace, tables: Sequence[Table], day: str, fingerprint: str) -> bool:
    """Whether the day's partition of each table was made from what the fingerprint says."""
    return all(made_from(workspace, table, day).get("fingerprint") == fingerprint for table in tables)


def count_tickets(workspace: Workspace, as_of: date) -> int:
    """Rows of TICKETS that arrived up to `as_of`, from the marks of its partitions."""
    days = arrivals(workspace, TICKETS, as_of)
    return sum(made_from(workspace, TICKETS, day)["counts"]["tickets"] for day in days)


def mark(partition: Path, fingerprint: str, **counts: int) -> None:
    """Say in a partition or table what it was made from, before it is published. What a task that died left there
    goes."""
    partition.mkdir(parents=True, exist_ok=True)
    for left in partition.glob(".*"):
        left.unlink()
    write_text(partition / MADE_FROM, json.dumps({"fingerprint": fingerprint, "counts": counts}))


def replace_parts(
    workspace: Workspace, table: Table, day: str, *, prefix: str, parts: Sequence[Path], instead_of: str | None = None
) -> None:
    """Put `parts` in place of the files of one partition whose names start with `prefix`, and of those that start with
    `instead_of`; the others stay.

    Several writers share a partition: each import in `raw`, each step in `quarantine`.
    """
    leaving = (prefix, instead_of) if instead_of else (prefix,)
    name = f"{table.partition}={day}"
    workspace.table_path(table).mkdir(parents=True, exist_ok=True)  # an empty table has been written too
    present = parts_of(workspace, table, day)
    staying = [path for path in present if not path.name.startswith(leaving)]
    if not parts and len(staying) == len(present):
        return
    with workspace.aside(f"{table.name}-{day}") as aside:
        (aside / name).mkdir()
        for path in staying:
            link_or_copy(path, aside / name / path.name)
        for number, path in enumerate(sorted(parts)):
            path.rename(aside / name / f"{prefix}{number:04d}.parquet")
        if not staying and not parts:
            (aside / name).rmdir()
        workspace.publish(aside, table, [day])


def link_or_copy(source: Path, target: Path) -> None:
    """The same file under a second name: published files are never written to again."""
    with contextlib.suppress(OSError):  # some disks have no hard links
        os.link(source, target)
        return
    shutil.copyfile(source, target)


def fit_shuffles(spark: SparkSession, workspace: Workspace) -> None:
    """Share narrow rows out by what the history weighs, not by the number of cores: about 100,000 tickets a task."""
    weight = sum(path.stat().st_size for path in workspace.table_path(RAW).rglob("*.parquet"))
    spark.conf.set("spark.sql.shuffle.partitions", str(max(2, -(-weight // _RAW_BYTES_A_SHUFFLE))))
