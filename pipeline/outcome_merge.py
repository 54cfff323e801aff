"""A night's outcomes merged into those of all nights before: only the tickets that something new was said of change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.given_outcomes import RULES_VERSION
from pipeline.lake import (
    ROWS_WRITTEN,
    arrivals,
    count_tickets,
    link_or_copy,
    made_from,
    parts_for,
    parts_in,
    read_arrivals,
    spark_path,
    spark_schema,
)
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
    rows = count_tickets(workspace, as_of)
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
        if follows_from(before, RULES_VERSION) == fingerprint:
            return since
    return None


def merge(workspace: Workspace, latest: DataFrame, news: News, folder: Path) -> None:
    """Write to `folder` the outcomes there are, with `latest` in place of those of the tickets in the news. The parts
    are cut and sorted as `lake.write_sorted` does, so the bytes are those of outcomes made anew."""
    old = parts_in(workspace.table_path(OUTCOMES))
    told = news.tickets.join(latest, "ticket_id", "left").repartition(len(old), "ticket_id")
    told.mapInArrow(_part_merger(old, folder), spark_schema(ROWS_WRITTEN)).agg({"rows": "sum"}).collect()
    folder.mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(old):
        if not (folder / part_name(number)).exists():  # nothing new was said of its tickets
            link_or_copy(path, folder / part_name(number))


def _part_merger(old: Sequence[Path], folder: Path) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What a task does with the tickets in the news that belong to its part; `contact_type` is null for those that have
    no outcome."""

    def merge_part(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        present = [batch for batch in batches if batch.num_rows]
        if present:
            number, told = context.partitionId(), pa.Table.from_batches(present)
            known = pq.ParquetFile(old[number]).read()
            leaving = pc.is_in(known["ticket_id"], value_set=told["ticket_id"].combine_chunks())
            come = told.filter(pc.is_valid(told["contact_type"])).select(OUTCOMES.schema.names)
            whole = pa.concat_tables([known.filter(pc.invert(leaving)), come.cast(OUTCOMES.schema)])
            with PartWriter(folder / part_name(number), OUTCOMES.schema) as part:
                part.write(whole.sort_by("ticket_id"))
        yield pa.RecordBatch.from_pydict({"rows": [sum(batch.num_rows for batch in present)]}, schema=ROWS_WRITTEN)

    return merge_part
