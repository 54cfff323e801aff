"""A night's outcomes merged into those of all nights before: only the tickets that something new was said of change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake import arrivals, made_from, parts_for, parts_in, read_arrivals, spark_path
from pipeline.steps import Step, follows_from
from pipeline.units import PartWriter, part_name
from tickets.tables import OUTCOMES, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_NIGHTS = 7  # how many of the last days may be new
_SHARE = 10  # a tenth of the tickets: above that, making all anew is no dearer


@dataclass(frozen=True, slots=True)
class News:
    """What came since `outcomes` was made: days from `since` on, and the `ticket_id`s that they say something of."""

    since: str
    tickets: DataFrame
    before: Mapping[str, int]  # the counts of the days before


def find_news(
    spark: SparkSession, workspace: Workspace, given: DataFrame, step: Step, *, as_of: date, aside: Path
) -> News | None:
    """None when more than some days at the end was added since `outcomes` was made, or too much."""
    known = made_from(workspace, OUTCOMES)
    since = _added_since(step.inputs, str(known.get("fingerprint")))
    days = arrivals(workspace, TICKETS, as_of)
    rows = sum(made_from(workspace, TICKETS, day)["counts"]["tickets"] for day in days)
    if since is None or len(parts_in(workspace.table_path(OUTCOMES))) != parts_for(rows):
        return None
    new = [day for day in days if day >= since]
    arrived = read_arrivals(spark, workspace, TICKETS, new).select("ticket_id")
    told = given.filter(f"arrived >= '{since}'").select("ticket_id")
    arrived.unionByName(told).distinct().write.parquet(spark_path(aside / "recent"))
    tickets = spark.read.schema("ticket_id string").parquet(spark_path(aside / "recent"))
    return News(since, tickets, known["counts"]) if tickets.count() * _SHARE <= rows else None


def _added_since(inputs: Mapping[str, str], fingerprint: str) -> str | None:
    """The first day that was added: without it and those after it, the inputs are those that were read before."""
    days = sorted({name.partition("arrived=")[2] for name in inputs if "arrived=" in name}, reverse=True)
    for since in days[:_NIGHTS]:
        before = {name: said for name, said in inputs.items() if name.partition("arrived=")[2] < since}
        if follows_from(before) == fingerprint:
            return since
    return None


def merge(spark: SparkSession, workspace: Workspace, latest: DataFrame, news: News, folder: Path) -> None:
    """Write to `folder` the outcomes there are, with `latest` in place of those of the tickets in the news. The parts
    are cut and sorted as `lake.write_sorted` does, so the bytes are those of outcomes made anew."""
    from pyspark.sql import functions as F  # noqa: N812

    old = parts_in(workspace.table_path(OUTCOMES))

    def by_part(frame: DataFrame) -> dict[int, pa.Table]:
        numbered = frame.repartition(len(old), "ticket_id").withColumn("part", F.spark_partition_id()).toArrow()
        return {
            number: numbered.filter(pc.field("part") == number).drop_columns(["part"]) for number in range(len(old))
        }

    gone, come = by_part(news.tickets), by_part(latest)

    def merge_part(number: int) -> int:
        known = pq.ParquetFile(old[number]).read()
        leaving = pc.is_in(known["ticket_id"], value_set=gone[number]["ticket_id"].combine_chunks())
        kept = known.filter(pc.invert(leaving))
        whole = pa.concat_tables([kept, come[number].select(OUTCOMES.schema.names).cast(OUTCOMES.schema)])
        with PartWriter(folder / part_name(number), OUTCOMES.schema) as part:
            part.write(whole.sort_by("ticket_id"))
        return part.rows

    spark.sparkContext.parallelize(range(len(old)), len(old)).map(merge_part).collect()
