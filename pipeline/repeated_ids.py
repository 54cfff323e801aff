"""Ticket ids that stand twice in one day: the last row is the ticket, the earlier ones go to quarantine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.corrections import read_in_force
from pipeline.lake import spark_path, spark_schema
from pipeline.units import PartWriter, Unit, part_name
from tickets.tables import IMPORTED_OUTCOMES, QUARANTINE, TICKETS, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DUPLICATE = "duplicate ticket id"
PLACES = Table(  # never published: where each ticket of a part comes from, in the part's order
    "places",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),
            pa.field("row", pa.int64(), nullable=False),
        ]
    ),
)
_TAKEN = pa.schema([pa.field("arrived", pa.string(), nullable=False), pa.field("rows", pa.int64(), nullable=False)])


def take_out_repeated(spark: SparkSession, units: Sequence[Unit], gone: frozenset[str], aside: Path) -> dict[str, int]:
    """Move all but the last row of each ticket id of a day from `aside`'s tickets and outcomes to its quarantine.
    Returns how many of each day. Parts are known by the numbers of their units."""
    earlier = _earlier_rows(spark, aside)
    if earlier is None:
        return {}
    by_part = {(unit.day, unit.number): unit for unit in units}

    def take_out(rows: pa.Table) -> pa.Table:
        unit = by_part[rows["arrived"][0].as_py(), rows["part"][0].as_py()]
        _rewrite(unit, rows, gone, aside)
        return pa.table([[unit.day], [rows.num_rows]], schema=_TAKEN)

    taken: Counter[str] = Counter()
    rewritten = earlier.groupBy("arrived", "part").applyInArrow(take_out, spark_schema(_TAKEN)).collect()
    for row in rewritten:
        taken[row["arrived"]] += row["rows"]
    for table in (TICKETS, IMPORTED_OUTCOMES):
        for path in (aside / "once" / table.name).rglob("*.parquet"):
            path.replace(aside / path.relative_to(aside / "once"))
    return dict(taken)


def _earlier_rows(spark: SparkSession, aside: Path) -> DataFrame | None:
    """(arrived, part, place, ticket_id) of the rows that a later one replaces; None when all ids are unique."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    folder = spark_path(aside / PLACES.name)
    schema = spark_schema(PLACES.schema.append(pa.field("arrived", pa.string())))
    places = spark.read.schema(schema).option("basePath", folder).parquet(folder)
    repeated = places.groupBy("arrived", "ticket_id").count().filter("count > 1").select("arrived", "ticket_id")
    if repeated.isEmpty():
        return None
    numbered = places.select(
        "arrived",
        "ticket_id",
        F.regexp_extract(F.col("_metadata.file_name"), r"part-(\d+)", 1).cast("int").alias("part"),
        F.col("_metadata.row_index").alias("place"),
    )
    last = Window.partitionBy("arrived", "ticket_id").orderBy(F.col("part").desc(), F.col("place").desc())
    ranked = numbered.join(repeated, ["arrived", "ticket_id"]).withColumn("rank", F.row_number().over(last))
    return ranked.filter("rank > 1").select("arrived", "part", "place", "ticket_id")


def _rewrite(unit: Unit, rows: pa.Table, gone: frozenset[str], aside: Path) -> None:
    """The unit's parts without `rows`, under `aside/once`; the raw rows they came from beside the unit's other refused
    ones."""

    def path(table: Table, root: Path = aside) -> Path:
        return root / table.name / f"arrived={unit.day}" / part_name(unit.number)

    places = pq.ParquetFile(path(PLACES)).read().take(rows["place"])
    names = zip(places["source"].to_pylist(), places["row"].to_pylist(), strict=True)
    refused = dict(zip(names, places["ticket_id"].to_pylist(), strict=True))
    for table in (TICKETS, IMPORTED_OUTCOMES):
        kept = pq.ParquetFile(path(table)).read()
        if table is TICKETS:
            taken = pc.is_in(pa.array(range(kept.num_rows)), value_set=rows["place"].combine_chunks().cast(pa.int64()))
        else:
            standing = zip(kept["source"].to_pylist(), kept["row"].to_pylist(), strict=True)
            taken = pa.array([place in refused for place in standing], pa.bool_())
        with PartWriter(path(table, aside / "once"), table.schema) as part:
            part.write(kept.filter(pc.invert(taken)))
    again = path(QUARANTINE).with_name(f"part-{unit.number:04d}-again.parquet")
    with PartWriter(again, QUARANTINE.schema) as quarantine:
        for row in _refused_rows(unit, refused, gone):
            quarantine.append(row)


def _refused_rows(unit: Unit, refused: dict[tuple[str, int], str], gone: frozenset[str]) -> Iterator[tuple[Any, ...]]:
    for _, rows in read_in_force(unit, gone):
        columns = (rows[name].to_pylist() for name in ("source", "row", "fields"))
        for source, row, fields in zip(*columns, strict=True):
            if ticket_id := refused.get((source, row)):
                said = f"a later row of this day has the id {ticket_id} too; that one was kept."
                yield source, row, fields, "clean", DUPLICATE, said
