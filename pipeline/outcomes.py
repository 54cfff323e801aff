"""Label: the latest outcome of each ticket, from imported rows, agents' feedback and labelers' answers, in Spark.

A labeler outranks an agent, an agent the import; among equals the last one counts, and of imported rows the one that
`clean` keeps. Contact types are read through the current tree: retired ids move to what replaced them, and what the
tree does not know goes to quarantine. Where dataset.toml names no tree, the tree grows from the data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline.contact_type_reading import Reading, grow_tree, read_contact_types
from pipeline.lake import arrivals, count_rows, read_arrivals, replace_parts, spark_schema, write
from pipeline.reply_templates import derive_templates
from pipeline.rows import outcome_from_row
from pipeline.steps import Report, run_step, silent
from tickets.catalogue import read_dataset, read_templates, read_tree
from tickets.dataset import Dataset
from tickets.errors import MissingStepError
from tickets.manifests import Manifest, file_hash
from tickets.tables import FEEDBACK, LABELS, OUTCOMES, QUARANTINE, RAW, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

STEP = "label"

_GIVEN = pa.schema(  # an outcome as somebody gave it, not read through the tree yet
    [
        pa.field("place", pa.string(), nullable=False),  # where it stands: RAW.source, or the table it came from
        pa.field("row", pa.int64(), nullable=False),
        pa.field("arrived", pa.string(), nullable=False),
        pa.field("file", pa.string()),  # of the lake, for imported rows; the file imported last sorts last
        *(field.with_nullable(True) for field in OUTCOMES.schema),
        pa.field("reply", pa.string()),
        pa.field("given_at", pa.timestamp("us", tz="UTC")),  # by an agent or a labeler
    ]
)


def label(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Write `outcomes`, and to `quarantine` those whose contact type cannot be read. Raises MissingStepError before
    `clean`."""
    dataset = read_dataset(workspace)
    if not arrivals(workspace, TICKETS, as_of):
        raise MissingStepError("no ticket has been cleaned yet.", hint="Run `triage features`.")
    with run_step(workspace, STEP, as_of, report) as step, workspace.aside(STEP) as aside:
        _collect_given(spark, workspace, dataset, as_of, aside / "given")
        given = spark.read.schema(spark_schema(_GIVEN)).parquet(str(aside / "given"))
        uses = given.groupBy("source", "contact_type", "template_id").count().collect()
        added = _grow_catalogue(workspace, dataset, given, uses)
        readings = read_contact_types((use["contact_type"] for use in uses), read_tree(workspace))
        templates = [template.template_id for template in read_templates(workspace)]
        unknown = sum(use["count"] for use in uses if use["template_id"] not in (None, *templates))
        latest = _latest(_known(spark, given, readings, templates))
        write(latest, aside / "outcomes", OUTCOMES)
        refused = _quarantine(spark, workspace, given, readings, as_of=as_of, aside=aside)
        workspace.publish(aside / "outcomes", OUTCOMES)
        step.inputs = _inputs(workspace, as_of)
        step.counts = {
            "outcomes": count_rows(workspace.table_path(OUTCOMES)),
            "quarantine": refused,
            "contact types added": added,
            "unknown templates": unknown,
        }
        step.summary = f"{step.counts['outcomes']:,} outcomes, {refused:,} with an unknown contact type"
    return step.done


def _collect_given(spark: SparkSession, workspace: Workspace, dataset: Dataset, as_of: date, folder: Path) -> None:
    """Every outcome of a ticket that was cleaned, from all three sources, written to `folder`."""
    from pyspark.sql import functions as F  # noqa: N812

    schema = spark_schema(_GIVEN)
    raw = read_arrivals(spark, workspace, RAW, arrivals(workspace, RAW, as_of)).filter("problem is null")
    raw = raw.select("source", "row", "arrived", "fields", F.col("_metadata.file_name").alias("file"))
    imported = raw.mapInArrow(_outcome_reader(dataset), schema)
    feedback = read_arrivals(spark, workspace, FEEDBACK, arrivals(workspace, FEEDBACK, as_of))
    agents = _as_given(feedback.filter("action in ('accepted', 'corrected') and contact_type is not null"), "agent")
    labels = read_arrivals(spark, workspace, LABELS, arrivals(workspace, LABELS, as_of))
    labelers = _as_given(labels, "labeler")
    tickets = read_arrivals(spark, workspace, TICKETS, arrivals(workspace, TICKETS, as_of)).select("ticket_id")
    everything = imported.unionByName(agents).unionByName(labelers).filter(F.col("ticket_id").isNotNull())
    everything.join(tickets, "ticket_id", "left_semi").select(*_GIVEN.names).write.parquet(str(folder))


def _outcome_reader(dataset: Dataset) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = []
            for raw in batch.to_pylist():
                outcome = outcome_from_row(raw["fields"], dataset, source=raw["source"], row=raw["row"])
                if outcome is not None:
                    place = {name: raw[name] for name in ("row", "arrived", "file")}
                    rows.append({**asdict(outcome), **place, "place": raw["source"], "source": "import"})
            yield pa.RecordBatch.from_pylist(rows, schema=_GIVEN)

    return read


def _as_given(frame: DataFrame, source: str) -> DataFrame:
    """Feedback or labels in the columns of `_GIVEN`."""
    from pyspark.sql import functions as F  # noqa: N812

    person, identifier = ("agent", "feedback_id") if source == "agent" else ("labeler", "label_id")
    seconds = F.col("handle_seconds") if source == "agent" else F.lit(None)
    return frame.select(
        F.concat(F.lit("feedback:" if source == "agent" else "labels:"), F.col(identifier)).alias("place"),
        F.lit(0).cast("long").alias("row"),
        "arrived",
        F.lit(None).cast("string").alias("file"),
        "ticket_id",
        "contact_type",
        "template_id",
        F.col("at").alias("resolved_at") if source == "agent" else F.lit(None).cast("timestamp").alias("resolved_at"),
        seconds.cast("double").alias("handle_seconds"),
        F.lit(source).alias("source"),
        F.col(person).alias("labeler"),
        F.lit(None).cast("string").alias("reply"),
        F.col("at").alias("given_at"),
    )


def _grow_catalogue(workspace: Workspace, dataset: Dataset, given: DataFrame, uses: list[Row]) -> int:
    """Add to the catalogue what only the data tells: contact types (returns how many), templates from canned replies.

    `uses` are the combinations of source, contact type and template that occur.
    """
    added = 0
    if dataset.contact_types_file is None:
        added = grow_tree(workspace, (use["contact_type"] for use in uses if use["source"] == "import"))
    if dataset.templates_file is None and {"template_id", "reply"} <= set(dataset.outcome):
        sent = [(use["template_id"], use["contact_type"]) for use in uses if use["template_id"]]
        derive_templates(workspace, given, uses=sent, language=dataset.languages[0])
    return added


def _known(spark: SparkSession, given: DataFrame, readings: dict[str, Reading], templates: list[str]) -> DataFrame:
    """The outcomes whose contact type is known, under its current id; a template that the catalogue lacks becomes
    null."""
    from pyspark.sql import functions as F  # noqa: N812

    pairs = [(written, reading.contact_type) for written, reading in sorted(readings.items()) if reading.contact_type]
    current = spark.createDataFrame(pairs, "contact_type string, current string")
    template = F.when(F.col("template_id").isin(templates), F.col("template_id"))
    joined = given.join(F.broadcast(current), "contact_type")
    return joined.withColumn("contact_type", F.col("current")).withColumn("template_id", template).drop("current")


def _latest(given: DataFrame) -> DataFrame:
    """One row a ticket. What the last word leaves open (template, times) comes from earlier ones on the same contact
    type."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    rank = F.when(F.col("source") == "labeler", 0).when(F.col("source") == "agent", 1).otherwise(2)
    order = [
        rank,
        F.col("arrived").desc(),
        F.col("given_at").desc_nulls_last(),
        F.col("file").desc_nulls_last(),
        F.col("place").desc(),
        F.col("row").desc(),
    ]
    agreeing = Window.partitionBy("ticket_id", "contact_type").orderBy(*order)
    agreeing = agreeing.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    for name in ("template_id", "resolved_at", "handle_seconds"):
        given = given.withColumn(name, F.first(name, ignorenulls=True).over(agreeing))
    last = F.row_number().over(Window.partitionBy("ticket_id").orderBy(*order))
    return given.withColumn("last", last).filter("last = 1").select(*OUTCOMES.schema.names)


def _quarantine(
    spark: SparkSession,
    workspace: Workspace,
    given: DataFrame,
    readings: dict[str, Reading],
    *,
    as_of: date,
    aside: Path,
) -> int:
    """Quarantine outcomes that cannot be read, with their whole source row; returns how many."""
    from pyspark.sql import functions as F  # noqa: N812

    refused = [
        (written, reading.reason, reading.detail) for written, reading in sorted(readings.items()) if reading.reason
    ]
    folder = aside / "quarantine"
    if refused:
        reasons = spark.createDataFrame(refused, "contact_type string, reason string, detail string")
        rows = given.join(F.broadcast(reasons), "contact_type")
        raw = read_arrivals(spark, workspace, RAW, arrivals(workspace, RAW, as_of)).select(
            F.col("source").alias("place"), "row", "arrived", "fields"
        )
        own = F.to_json(F.struct("ticket_id", "contact_type", "template_id", "labeler", "given_at"))
        whole = rows.join(raw, ["place", "row", "arrived"], "left").withColumn("fields", F.coalesce("fields", own))
        whole = whole.withColumn("source", F.col("place")).withColumn("step", F.lit(STEP))
        write(whole, folder, QUARANTINE, partition="arrived")
    days = {
        *arrivals(workspace, QUARANTINE, as_of),
        *(path.name.removeprefix("arrived=") for path in folder.glob("arrived=*")),
    }
    count = count_rows(folder)
    for day in sorted(days):
        parts = list((folder / f"arrived={day}").glob("*.parquet"))
        replace_parts(workspace, QUARANTINE, day, prefix=f"{STEP}-", parts=parts)
    return count


def _inputs(workspace: Workspace, as_of: date) -> dict[str, str]:
    """Each day's files by name and size, and the tree."""
    inputs = {}
    for table in (RAW, TICKETS, FEEDBACK, LABELS):
        for day in arrivals(workspace, table, as_of):
            files = sorted((workspace.table_path(table) / f"arrived={day}").glob("*.parquet"))
            content = "\n".join(f"{path.name} {path.stat().st_size}" for path in files)
            inputs[f"{table.name}/arrived={day}"] = hashlib.sha256(content.encode()).hexdigest()
    tree = workspace.catalogue / "contact_types.json"
    return inputs | ({"contact_types.json": file_hash(tree)} if tree.exists() else {})
