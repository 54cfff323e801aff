"""The lake's tables in Spark: read up to a date, write in their exact schema, say what a partition was made from."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.units import part_name
from tickets.manifests import MADE_FROM, partition_name
from tickets.tables import TICKETS, Table
from tickets.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

_ROWS_IN_PART = 250_000  # of a narrow table


def spark_schema(schema: pa.Schema) -> StructType:
    """Spark's types for an Arrow schema."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def arrivals(workspace: Workspace, table: Table, as_of: date) -> list[str]:
    """The days on which rows of the table arrived, up to and with `as_of`, sorted."""
    return [day for day in workspace.partitions(table) if day <= as_of.isoformat()]


def parts_of(workspace: Workspace, table: Table, day: str) -> list[Path]:
    """The files of the table's partition, sorted by name."""
    return sorted((workspace.table_path(table) / f"{table.partition}={day}").glob("*.parquet"))


def read_arrivals(spark: SparkSession, workspace: Workspace, table: Table, days: Sequence[str]) -> DataFrame:
    """The table's rows that arrived on the given days, with the column `arrived`; empty when there are none."""
    from pyspark.sql.types import StringType, StructField, StructType

    schema = StructType([*spark_schema(table.schema).fields, StructField("arrived", StringType(), False)])
    folder = workspace.table_path(table)
    paths = [str(folder / f"arrived={day}") for day in days]
    if not paths:
        return spark.createDataFrame([], schema)
    return spark.read.schema(schema).option("basePath", str(folder)).parquet(*paths)


def read_table(spark: SparkSession, workspace: Workspace, table: Table) -> DataFrame:
    """A table that is not partitioned by arrival, whole."""
    return spark.read.schema(spark_schema(table.schema)).parquet(str(workspace.table_path(table)))


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


def write(frame: DataFrame, folder: Path, table: Table, *, partition: str | None = None) -> None:
    """Write exactly the table's columns as Parquet under `folder`, `<partition>=<value>/` when asked. The folder
    exists after it, also when there are no rows; the files are named part-0000.parquet and on, in Spark's order."""
    names = [*table.schema.names, *([partition] if partition else [])]
    writer = frame.select(*names).write.mode("overwrite")
    if partition:
        writer = writer.partitionBy(partition)
    writer.parquet(str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        for left in place.glob(".*.crc"):
            left.unlink()
        for number, path in enumerate(sorted(place.glob("*.parquet"))):
            path.rename(place / part_name(number))


def write_sorted(frame: DataFrame, folder: Path, table: Table, key: str, *, rows: int) -> None:
    """Write the table, about `rows` long, sorted by `key`: the same rows give the same bytes, whatever order they came
    in."""
    parts = max(1, -(-rows // _ROWS_IN_PART))
    write(frame.select(*table.schema.names).repartition(parts, key).sortWithinPartitions(key), folder, table)


def count_rows(folder: Path) -> int:
    """Rows in the Parquet files under a folder, read from their footers alone."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))


def made_from(workspace: Workspace, table: Table, value: str | None = None) -> dict[str, Any]:
    """What `mark` said of a partition, or of a whole table: its `fingerprint`, and its `counts`; {} when it was not
    made yet."""
    path = workspace.lake / partition_name(table, value) / MADE_FROM
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return said


def mark(partition: Path, fingerprint: str, **counts: int) -> None:
    """Say in a partition or table, not published yet, what it was made from."""
    partition.mkdir(parents=True, exist_ok=True)
    (partition / MADE_FROM).write_text(json.dumps({"fingerprint": fingerprint, "counts": counts}), encoding="utf-8")


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
            _link(path, aside / name / path.name)
        for number, path in enumerate(sorted(parts)):
            path.rename(aside / name / f"{prefix}{number:04d}.parquet")
        if not staying and not parts:
            (aside / name).rmdir()
        workspace.publish(aside, table, [day])


def _link(source: Path, target: Path) -> None:
    with contextlib.suppress(OSError):  # some disks have no hard links
        os.link(source, target)
        return
    shutil.copyfile(source, target)
