"""The nightly batch: suggestions for every ticket without an outcome, by the current release on Spark's executors."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from models.release import Release, current_release, open_release
from pipeline.contract_checks import check_written
from pipeline.lake import count_rows, latest_tickets, read_table, spark_schema, write_parts
from pipeline.steps import run_step
from tickets.manifests import Manifest
from tickets.progress import Report
from tickets.records import Suggestion, Ticket
from tickets.tables import BACKLOG, OUTCOMES
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_ROWS = 1024  # tickets handed to the model at once: sorted by length, they pad each other by less than one in a hundred
_TASK = 20_000  # tickets, some minutes of work: beside it, loading the release once a task is nothing


def score(workspace: Workspace, spark: SparkSession, *, as_of: date, report: Report) -> Manifest:
    """Write BACKLOG for `as_of` from the tickets that arrived up to it and have no outcome; a rerun replaces it, on
    as many cores by the same bytes.

    Executors read the release from the workspace, so on a cluster it lies on a disk that all of them see. Raises
    ReleaseError before the first promotion, MissingStepError before the first cleaning, ContractError when the rows are
    not what the table promises.
    """
    release = current_release(workspace)
    night = as_of.isoformat()
    with run_step(workspace, "score", as_of, report) as step:
        step.inputs["release"] = release.version
        waiting = _without_outcome(workspace, spark, as_of)
        tasks = _tasks(waiting.count(), spark.sparkContext.defaultParallelism)
        shared = waiting.repartition(tasks, "ticket_id").sortWithinPartitions("ticket_id")
        scored = shared.mapInArrow(scorer(release.folder, as_of), spark_schema(BACKLOG.schema))
        with workspace.aside("backlog") as aside:
            write_parts(scored, aside / f"{BACKLOG.partition}={night}", BACKLOG)
            step.counts["backlog"] = count_rows(aside)
            check_written(spark, workspace, BACKLOG, aside, [night])
            workspace.publish(aside, BACKLOG, [night])
        step.wrote(BACKLOG, night)
        step.summary = f"{step.counts['backlog']:,} open tickets scored by {release.version}"
    return step.done


def _without_outcome(workspace: Workspace, spark: SparkSession, as_of: date) -> DataFrame:
    tickets = latest_tickets(spark, workspace, as_of)
    if not workspace.table_path(OUTCOMES).is_dir():
        return tickets
    return tickets.join(read_table(spark, workspace, OUTCOMES).select("ticket_id"), "ticket_id", "left_anti")


def _tasks(tickets: int, cores: int) -> int:
    """Tasks of equal size, so many that all cores are busy until the end."""
    return cores * max(1, -(-tickets // (cores * _TASK)))


def scorer(folder: Path, as_of: date) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """What each task runs: rows of TICKETS in, rows of BACKLOG out. The release in `folder` is loaded once a task, with
    one thread: Spark runs a task on every core."""
    at = datetime(as_of.year, as_of.month, as_of.day, tzinfo=UTC)

    def run(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from models.suggest import Suggester

        release: Release = open_release(folder, verify=False)  # the driver has verified it
        suggester = Suggester.load(release, threads=1)
        for batch in batches:
            for start in range(0, batch.num_rows, _ROWS):
                tickets = _tickets(batch.slice(start, _ROWS))
                yield _rows([_named(one) for one in suggester.suggest_cleaned(tickets, now=at)])

    return run


def _tickets(batch: pa.RecordBatch) -> list[Ticket]:
    """Rows of the TICKETS table as records."""
    names = [field.name for field in dataclasses.fields(Ticket)]
    rows = batch.select(names).to_pylist()
    return [
        Ticket(**{**row, "created_at": row["created_at"].astimezone(UTC), "attributes": json.loads(row["attributes"])})
        for row in rows
    ]


def _named(suggestion: Suggestion) -> Suggestion:
    """Its id follows from the ticket, the release and the night, so that a rerun writes the same bytes."""
    of = f"{suggestion.ticket_id}\n{suggestion.model_version}\n{suggestion.created_at.isoformat()}"
    name = hashlib.sha256(of.encode()).hexdigest()[:32]
    return dataclasses.replace(suggestion, suggestion_id=name)


def _rows(suggestions: list[Suggestion]) -> pa.RecordBatch:
    """Suggestions as rows of the BACKLOG table."""
    rows = [
        {
            "ticket_id": suggestion.ticket_id,
            "model_version": suggestion.model_version,
            "contact_type": suggestion.contact_types[0].contact_type,
            "probability": suggestion.contact_types[0].probability,
            "abstained": suggestion.abstained,
            "suggestion": json.dumps(suggestion, default=_plain, ensure_ascii=False),
        }
        for suggestion in suggestions
    ]
    return pa.RecordBatch.from_pylist(rows, schema=BACKLOG.schema)


def _plain(value: Any) -> Any:
    """As records.to_json writes it, without the copies that dataclasses.asdict makes of every part."""
    if isinstance(value, datetime):
        return value.isoformat()
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
