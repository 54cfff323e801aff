"""Featurise: what a model reads of each ticket, beside its outcome, in one partition a split."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.features import model_text, text_statistics
from pipeline.lake import count_rows, latest_tickets, read_table, spark_schema, write
from pipeline.steps import Report, run_step, silent
from tickets.errors import MissingStepError
from tickets.manifests import Manifest
from tickets.records import Ticket, attributes_to_text
from tickets.tables import FEATURES, OUTCOMES, SPLITS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STEP = "featurise"
UNLABELLED = "unlabelled"
_ROW = FEATURES.schema.append(pa.field("split", pa.string(), nullable=False))


def featurise(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Write `features`: every ticket once, in its latest version; `unlabelled` when it has no outcome. Raises
    MissingStepError."""
    from pyspark.sql import functions as F  # noqa: N812

    for table in (OUTCOMES, SPLITS):
        if not workspace.table_path(table).is_dir():
            raise MissingStepError(f"the table `{table.name}` has not been written yet.", hint="Run `triage features`.")
    with run_step(workspace, STEP, as_of, report) as step, workspace.aside(STEP) as aside:
        tickets = latest_tickets(spark, workspace, as_of).drop("split", "arrived", "customer_key")
        outcomes = read_table(spark, workspace, OUTCOMES).select(
            "ticket_id", "contact_type", "template_id", F.col("source").alias("outcome_source")
        )
        splits = read_table(spark, workspace, SPLITS).select("ticket_id", "split")
        joined = tickets.join(outcomes.join(splits, "ticket_id"), "ticket_id", "left")
        rows = joined.mapInArrow(_featurise_batches, spark_schema(_ROW)).sortWithinPartitions("split", "ticket_id")
        write(rows, aside / "features", FEATURES, partition="split")
        partitions = sorted((aside / "features").glob("split=*"))
        step.counts = {path.name.removeprefix("split="): count_rows(path) for path in partitions}
        workspace.publish(aside / "features", FEATURES)
        labelled = sum(step.counts.values()) - step.counts.get(UNLABELLED, 0)
        step.summary = f"{sum(step.counts.values()):,} tickets, {labelled:,} with an outcome"
    return step.done


def feature_row(row: dict[str, Any]) -> dict[str, Any]:
    """A row of TICKETS joined with its outcome and split as a row of FEATURES."""
    ticket = Ticket(ticket_id=row["ticket_id"], created_at=row["created_at"], subject=row["subject"], body=row["body"])
    text = model_text(ticket)
    return {
        **row,
        "text": text,
        "statistics": attributes_to_text(text_statistics(text)),
        "split": row["split"] or UNLABELLED,
    }


def _featurise_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield pa.RecordBatch.from_pylist([feature_row(row) for row in batch.to_pylist()], schema=_ROW)
