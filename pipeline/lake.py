"""The lake's tables in Spark: read up to a date, write in their exact schema, share a partition between writers."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.tables import TICKETS, Table
from tickets.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


def spark_schema(schema: pa.Schema) -> StructType:
    """Spark's types for an Arrow schema."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


def arrivals(workspace: Workspace, table: Table, as_of: date) -> list[str]:
    """The days on which rows of the table arrived, up to and with `as_of`, sorted."""
    return [day for day in workspace.partitions(table) if day <= as_of.isoformat()]


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


def latest_tickets(spark: SparkSession, workspace: Workspace, as_of: date) -> DataFrame:
    """Each ticket once: the version that arrived last, up to `as_of`. Columns of TICKETS and `arrived`."""
    from pyspark.sql import functions as F  # noqa: N812  # the name Spark's own documentation uses

    days = arrivals(workspace, TICKETS, as_of)
    tickets = read_arrivals(spark, workspace, TICKETS, days)
    if len(days) <= 1:
        return tickets
    # Only ids and days are shuffled to find the latest; the texts then meet a narrow table.
    latest = tickets.groupBy("ticket_id").agg(F.max("arrived").alias("arrived"))
    return tickets.join(latest, ["ticket_id", "arrived"], "left_semi").select(*tickets.columns)


def write(frame: DataFrame, folder: Path, table: Table, *, partition: str | None = None) -> None:
    """Write exactly the table's columns as Parquet under `folder`, `<partition>=<value>/` when asked. The folder
    exists after it, also when there are no rows."""
    names = [*table.schema.names, *([partition] if partition else [])]
    writer = frame.select(*names).write.mode("overwrite")
    if partition:
        writer = writer.partitionBy(partition)
    writer.parquet(str(folder))
    folder.mkdir(parents=True, exist_ok=True)


def count_rows(folder: Path) -> int:
    """Rows in the Parquet files under a folder, read from their footers alone."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(path).num_rows for path in folder.rglob("*.parquet"))


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
    present = sorted((workspace.table_path(table) / name).glob("*.parquet"))
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


def fit_shuffles(spark: SparkSession, workspace: Workspace, table: Table) -> None:
    """Set the number of shuffle partitions by the size of the table: about 32 MB each, at least one a core."""
    size = sum(path.stat().st_size for path in workspace.table_path(table).rglob("*.parquet"))
    partitions = max(spark.sparkContext.defaultParallelism, size // (32 * 1024 * 1024))
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
