"""Clean: raw rows to `tickets` and `quarantine`, in Spark, through the same pure function that the service calls.

A day is cleaned when its raw rows, dataset.toml or the cleaning rules changed since its tickets were written; each
partition of `tickets` carries the fingerprint of what it was made from, and its counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.clean import RULES_VERSION, Refused, clean_ticket
from pipeline.lake import arrivals, count_rows, read_arrivals, replace_parts, spark_schema, write
from pipeline.rows import ticket_from_row
from pipeline.steps import Report, run_step, silent
from tickets.catalogue import read_dataset
from tickets.dataset import Dataset
from tickets.errors import MissingStepError
from tickets.manifests import Manifest, file_hash
from tickets.records import Ticket, attributes_to_text
from tickets.tables import QUARANTINE, RAW, SERVICE, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STEP = "clean"
DUPLICATE = "duplicate ticket id"
FUTURE = "created in the future"
_MISREAD = "attribute values not understood"
_MADE_FROM = "_made_from.json"  # readers of Parquet pass over names that start with an underscore

_CHECKED = pa.schema(  # a raw row after cleaning: a ticket, or the reason why it is none
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("arrived", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),  # of the lake; the file imported last sorts last
        *(field.with_nullable(True) for field in TICKETS.schema),
        pa.field("fields", pa.string()),  # only of rows refused
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("misread", pa.int64(), nullable=False),
    ]
)


def clean(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Clean every day up to `as_of` that has changed. For each day, raw rows = tickets + rows quarantined by this step.

    The manifest counts all days up to `as_of`, and in `days` those that were cleaned now. Raises MissingStepError
    before the first import.
    """
    dataset = read_dataset(workspace)
    with run_step(workspace, STEP, as_of, report) as step:
        days = arrivals(workspace, RAW, as_of)
        if not days:
            raise MissingStepError(
                f"nothing was imported up to {as_of}.", hint="Run `triage import` first, or a later --as-of."
            )
        made_from = {day: _fingerprint(workspace, day) for day in days}
        changed = [day for day in days if _made_from(workspace, day).get("fingerprint") != made_from[day]]
        gone = sorted(set(arrivals(workspace, TICKETS, as_of)) - set(days))
        with workspace.aside(STEP) as aside:
            misread = _clean_days(spark, workspace, dataset, changed, aside) if changed else {}
            counted = {day: _counts(workspace, aside, day) | {_MISREAD: misread.get(day, 0)} for day in changed}
            for day in changed:
                _publish(workspace, aside, day, {"fingerprint": made_from[day], "counts": counted[day]})
            for day in gone:  # its raw rows were taken out of the lake
                _publish(workspace, aside, day, None)
        done = [_made_from(workspace, day)["counts"] for day in days]
        step.inputs = {f"raw/arrived={day}": fingerprint for day, fingerprint in made_from.items()}
        step.counts = {name: sum(counts[name] for counts in done) for name in done[0]} | {"days": len(changed)}
        raw, tickets = (sum(counts[name] for counts in counted.values()) for name in ("raw", "tickets"))
        step.summary = f"{raw:,} rows -> {tickets:,} tickets, {raw - tickets:,} quarantined"
        if not changed:
            step.summary = "nothing new"
    return step.done


def checked_row(row: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """A row of RAW (with `arrived` and `file`) as a row of either kind: the cleaned ticket's columns, or `reason` and
    `detail`."""
    place = {**{name: row[name] for name in ("source", "row", "arrived", "file")}, "misread": 0}
    try:
        if row["problem"]:
            reason, _, found = row["problem"].partition(": ")
            raise Refused(reason, f"{found or 'the row could not be read'}; correct the source and import it again.")
        ticket, misread = ticket_from_row(row["fields"], dataset, source=row["source"], row=row["row"])
        ticket = clean_ticket(ticket, dataset.languages)
        _refuse_future(ticket, row["arrived"])
    except Refused as refused:
        return {**place, "fields": row["fields"], "reason": refused.reason, "detail": refused.detail}
    return {**place, **ticket_row(ticket), "split": row["split"], "misread": misread}


def ticket_row(ticket: Ticket) -> dict[str, Any]:
    """A cleaned ticket as a row of TICKETS, without a given split."""
    return {
        "ticket_id": ticket.ticket_id,
        "created_at": ticket.created_at,
        "channel": ticket.channel,
        "subject": ticket.subject,
        "body": ticket.body,
        "language": ticket.language,
        "customer_key": ticket.customer_key,
        "attributes": attributes_to_text(ticket.attributes),
    }


def _refuse_future(ticket: Ticket, arrived: str) -> None:
    """A day of grace: in some zones it is already tomorrow."""
    if ticket.created_at.date() > date.fromisoformat(arrived) + timedelta(days=1):
        raise Refused(
            FUTURE, f"created on {ticket.created_at.date()}, but it arrived on {arrived}; correct the date or --as-of."
        )


def _checker(dataset: Dataset) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def check(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield pa.RecordBatch.from_pylist([checked_row(row, dataset) for row in batch.to_pylist()], schema=_CHECKED)

    return check


def _clean_days(
    spark: SparkSession, workspace: Workspace, dataset: Dataset, days: list[str], aside: Path
) -> dict[str, int]:
    """Write `aside/tickets` and `aside/quarantine`, both by day; returns how many attribute values of each day were not
    understood."""
    from pyspark.sql import functions as F  # noqa: N812

    schema = spark_schema(_CHECKED)
    raw = read_arrivals(spark, workspace, RAW, days).withColumn("file", F.col("_metadata.file_name"))
    # Kept aside on disk: the Python work is done once, and what follows only moves columns.
    raw.mapInArrow(_checker(dataset), schema).write.parquet(str(aside / "checked"))
    checked = spark.read.schema(schema).parquet(str(aside / "checked"))
    tickets = checked.filter(F.col("reason").isNull())
    losers = _superseded(tickets)
    refused = checked.filter(F.col("reason").isNotNull()).select(
        "source", "row", "arrived", "fields", "reason", "detail"
    )
    if losers is not None:
        place = ["source", "row", "arrived"]
        tickets = tickets.join(F.broadcast(losers), place, "left_anti")
        said = F.concat(
            F.lit("a later row of this day has the id "), F.col("ticket_id"), F.lit(" too; that one was kept.")
        )
        again = raw.join(F.broadcast(losers.withColumn("detail", said)), place).withColumn("reason", F.lit(DUPLICATE))
        refused = refused.unionByName(again.select(*refused.columns))
    write(tickets, aside / "tickets", TICKETS, partition="arrived")
    write(refused.withColumn("step", F.lit(STEP)), aside / "quarantine", QUARANTINE, partition="arrived")
    return {
        row["arrived"]: row["misread"]
        for row in checked.groupBy("arrived").agg(F.sum("misread").alias("misread")).collect()
    }


def _superseded(tickets: DataFrame) -> DataFrame | None:
    """Where rows stand that have the id of a later one of the same day; None when all ids are unique.

    The last row of a file wins, between files the one imported last; any file wins over the service's own copy.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    repeated = tickets.groupBy("arrived", "ticket_id").count().filter("count > 1").select("arrived", "ticket_id")
    if repeated.isEmpty():
        return None
    order = Window.partitionBy("arrived", "ticket_id").orderBy(
        (F.col("source") != SERVICE).desc(), F.col("file").desc(), F.col("row").desc()
    )
    rows = tickets.select("source", "row", "arrived", "file", "ticket_id").join(
        repeated, ["arrived", "ticket_id"], "left_semi"
    )
    return rows.withColumn("place", F.row_number().over(order)).filter("place > 1").drop("place", "file")


def _counts(workspace: Workspace, aside: Path, day: str) -> dict[str, int]:
    """What went in and what came out. Raises RuntimeError when a row was lost, before anything is replaced."""
    counts = {
        "raw": count_rows(workspace.table_path(RAW) / f"arrived={day}"),
        "tickets": count_rows(aside / "tickets" / f"arrived={day}"),
        "quarantine": count_rows(aside / "quarantine" / f"arrived={day}"),
    }
    if counts["raw"] != counts["tickets"] + counts["quarantine"]:
        raise RuntimeError(f"cleaning {day} lost or doubled rows: {counts}.")
    return counts


def _publish(workspace: Workspace, aside: Path, day: str, made_from: dict[str, Any] | None) -> None:
    """Put the day's two partitions in place, tickets last: they carry the fingerprint that says the day is done."""
    tickets, refused = aside / "tickets" / f"arrived={day}", aside / "quarantine" / f"arrived={day}"
    if made_from is not None:
        tickets.mkdir(parents=True, exist_ok=True)
        (tickets / _MADE_FROM).write_text(json.dumps(made_from), encoding="utf-8")
    replace_parts(workspace, QUARANTINE, day, prefix=f"{STEP}-", parts=list(refused.glob("*.parquet")))
    workspace.publish(aside / "tickets", TICKETS, [day])


def _fingerprint(workspace: Workspace, day: str) -> str:
    """What a day's tickets follow from. Names of imported files hold their place and the hash of their content."""
    parts = sorted((workspace.table_path(RAW) / f"arrived={day}").glob("*.parquet"))
    content = [
        f"{path.name} {file_hash(path) if path.name.startswith(SERVICE) else path.stat().st_size}" for path in parts
    ]
    dataset = file_hash(workspace.catalogue / "dataset.toml")
    return hashlib.sha256("\n".join([RULES_VERSION, dataset, *content]).encode()).hexdigest()


def _made_from(workspace: Workspace, day: str) -> dict[str, Any]:
    """What the day's tickets were made from, and counts; {} when they were not made yet."""
    path = workspace.table_path(TICKETS) / f"arrived={day}" / _MADE_FROM
    made_from: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return made_from
