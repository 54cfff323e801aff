"""Label: the latest outcome of each ticket, from imported rows, agents' feedback and labelers' answers, in Spark.

A labeler outranks an agent, an agent the import; among equals the last one counts. Contact types are read through the
current tree: retired names move to what replaced them, and what the tree does not know goes to quarantine. Where
dataset.toml names no tree, the tree grows from the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from pipeline.contact_type_reading import Reading, Written, grow_tree, read_contact_types
from pipeline.contract_checks import check_written, with_reasons
from pipeline.lake import arrivals, count_rows, made_from, mark, read_arrivals, write_sorted
from pipeline.refused_outcomes import UNKNOWN_TEMPLATE, broken_answers, quarantine_outcomes
from pipeline.reply_templates import derive_templates
from pipeline.steps import Report, Step, run_step, silent
from tickets.catalogue import read_dataset, read_templates, read_tree
from tickets.dataset import Dataset
from tickets.errors import MissingStepError
from tickets.manifests import Manifest
from tickets.tables import FEEDBACK, IMPORTED_OUTCOMES, LABELS, OUTCOMES, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession

STEP = "label"
_WRITTEN = ("contact_type", "told_by", "era")  # what a contact type is read from
# An outcome as somebody gave it: where it stands (RAW.source and RAW.row, or the table it came from and its id), when
# it arrived, what it says. `given_at` is null for imported rows.
_GIVEN = (
    *("place", "row", "arrived", "ticket_id", *_WRITTEN, "template_id", "resolved_at", "handle_seconds"),
    *("source", "labeler", "reply", "given_at"),
)


def label(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Write `outcomes`, and to `quarantine` those whose contact type or template cannot be read. Raises
    MissingStepError before `clean`."""
    dataset = read_dataset(workspace)
    if not arrivals(workspace, TICKETS, as_of):
        raise MissingStepError("no ticket has been cleaned yet.", hint="Run `triage features`.")
    with run_step(workspace, STEP, as_of, report) as step:
        _note_inputs(step, workspace, as_of)
        known = made_from(workspace, OUTCOMES)
        if known.get("fingerprint") != step.follows_from():
            known = _label(spark, workspace, dataset, step, as_of)
        else:
            step.summary = "nothing new"
        step.counts = known["counts"]
        step.wrote(OUTCOMES)
    return step.done


def _label(
    spark: SparkSession, workspace: Workspace, dataset: Dataset, step: Step, as_of: date
) -> dict[str, dict[str, int]]:
    """Write both tables; returns the mark of `outcomes`."""
    with workspace.aside(STEP) as aside:
        given, broken = _given(spark, workspace, as_of)
        uses = given.groupBy("source", *_WRITTEN, "template_id").count().collect()
        added = _grow_catalogue(workspace, dataset, given, uses)
        readings = read_contact_types((_key(use) for use in uses), read_tree(workspace))
        templates = [template.template_id for template in read_templates(workspace)]
        read = _read(spark, given, readings, templates)
        step.rows_in = sum(use["count"] for use in uses)
        latest = _latest(read.filter("reason is null"))
        write_sorted(latest, aside / OUTCOMES.name, OUTCOMES, ("ticket_id",), rows=step.rows_in)
        refused = quarantine_outcomes(spark, workspace, read, broken, as_of=as_of, aside=aside)
        unknown = refused.get(UNKNOWN_TEMPLATE, 0)
        counts = {
            "outcomes": count_rows(aside / OUTCOMES.name),
            "quarantine": sum(refused.values()),
            "contact types added": added,
            "unknown templates": unknown,
        }
        _note_inputs(step, workspace, as_of)  # the catalogue may have grown
        mark(aside / OUTCOMES.name, step.follows_from(), **counts)
        check_written(spark, workspace, OUTCOMES, aside / OUTCOMES.name)
        workspace.publish(aside / OUTCOMES.name, OUTCOMES)
    step.summary = f"{counts['outcomes']:,} outcomes, {counts['quarantine'] - unknown:,} with an unknown contact type"
    return {"counts": counts}


def _note_inputs(step: Step, workspace: Workspace, as_of: date) -> None:
    for table in (TICKETS, IMPORTED_OUTCOMES, FEEDBACK, LABELS):
        step.reads_days(table, arrivals(workspace, table, as_of))
    step.reads("catalogue/dataset.toml", "catalogue/contact_types.json", "catalogue/templates.json")


def _given(spark: SparkSession, workspace: Workspace, as_of: date) -> tuple[DataFrame, DataFrame]:
    """Every outcome that somebody gave, of the tickets that are known (columns _GIVEN), and people's answers that break
    their table's contract."""
    from pyspark.sql import functions as F  # noqa: N812

    given = read_arrivals(spark, workspace, IMPORTED_OUTCOMES, arrivals(workspace, IMPORTED_OUTCOMES, as_of))
    given = given.withColumn("place", F.col("source")).withColumn("source", F.lit("import"))
    given = given.withColumn("given_at", F.lit(None).cast("timestamp"))
    feedback, labels = (
        with_reasons(read_arrivals(spark, workspace, table, arrivals(workspace, table, as_of)), workspace, table)
        for table in (FEEDBACK, LABELS)
    )
    broken = broken_answers(feedback, "feedback_id").unionByName(broken_answers(labels, "label_id"))
    chosen = "reason is null and action in ('accepted', 'corrected') and contact_type is not null"
    agents = _as_given(feedback.filter(chosen), "agent")
    labelers = _as_given(labels.filter("reason is null"), "labeler")
    tickets = read_arrivals(spark, workspace, TICKETS, arrivals(workspace, TICKETS, as_of)).select("ticket_id")
    people = agents.unionByName(labelers).join(tickets, "ticket_id", "left_semi")
    starts = read_tree(workspace).change_days()
    names = [name for name in _GIVEN if name != "era"]
    everything = given.withColumn("era", _era(starts)).select(*_GIVEN)
    whole = everything.unionByName(people.select(*names, "created_at").withColumn("era", _era(starts)).select(*_GIVEN))
    return whole, broken


def _era(starts: Sequence[str]) -> Column:
    """The last change of the tree that was in force on the day an outcome is about; "" before the first."""
    from pyspark.sql import functions as F  # noqa: N812

    day = F.date_format(F.coalesce("given_at", "resolved_at", "created_at"), "yyyy-MM-dd")
    era: Column = F.lit("")
    for start in starts:
        era = F.when(day >= F.lit(start), F.lit(start)).otherwise(era)
    return F.when(day.isNotNull(), era)


def _as_given(frame: DataFrame, source: str) -> DataFrame:
    """Feedback or labels in the columns of `_GIVEN`, all but `era`."""
    from pyspark.sql import functions as F  # noqa: N812

    person, identifier = ("agent", "feedback_id") if source == "agent" else ("labeler", "label_id")
    seconds = F.col("handle_seconds") if source == "agent" else F.lit(None)
    return frame.select(
        F.concat(F.lit("feedback:" if source == "agent" else "labels:"), F.col(identifier)).alias("place"),
        F.lit(0).cast("long").alias("row"),
        "arrived",
        "ticket_id",
        F.lit(None).cast("timestamp").alias("created_at"),
        "contact_type",
        F.lit(None).cast("string").alias("told_by"),
        "template_id",
        F.col("at").alias("resolved_at") if source == "agent" else F.lit(None).cast("timestamp").alias("resolved_at"),
        seconds.cast("double").alias("handle_seconds"),
        F.lit(source).alias("source"),
        F.col(person).alias("labeler"),
        F.lit(None).cast("string").alias("reply"),
        F.col("at").alias("given_at"),
    )


def _key(use: Row) -> Written:
    return use["contact_type"], use["told_by"], use["era"]


def _grow_catalogue(workspace: Workspace, dataset: Dataset, given: DataFrame, uses: list[Row]) -> int:
    """Add to the catalogue what only the data tells: contact types (returns how many), templates from canned replies.

    `uses` are the combinations of source, contact type and template that occur.
    """
    added = 0
    if dataset.contact_types_file is None:
        added = grow_tree(workspace, (_key(use) for use in uses if use["source"] == "import"))
    if dataset.templates_file is None and {"template_id", "reply"} <= set(dataset.outcome):
        sent = [(use["template_id"], use["contact_type"]) for use in uses if use["template_id"]]
        derive_templates(workspace, given, uses=sent, language=dataset.languages[0])
    return added


def _read(
    spark: SparkSession, given: DataFrame, readings: dict[Written, Reading], templates: Sequence[str]
) -> DataFrame:
    """The outcomes with `contact_type` as it is called today, or `reason` and `detail` why it cannot be told; a
    template that the catalogue lacks becomes null, and `unknown_template` names it."""
    from pyspark.sql import functions as F  # noqa: N812

    rows = [
        (*key, reading.contact_type, reading.reason, reading.detail)
        for key, reading in sorted(readings.items(), key=lambda item: tuple(map(str, item[0])))
    ]
    columns = "w0 string, w1 string, w2 string, current string, reason string, detail string"
    current = F.broadcast(spark.createDataFrame(rows, columns))
    same = [F.col(name).eqNullSafe(F.col(f"w{place}")) for place, name in enumerate(_WRITTEN)]
    known = F.coalesce(F.col("template_id").isin(list(templates)), F.lit(True))
    joined = given.join(current, same[0] & same[1] & same[2])
    joined = joined.withColumn("unknown_template", F.when(~known, F.col("template_id")))
    joined = joined.withColumn("template_id", F.when(known, F.col("template_id")))
    return joined.withColumn("written", F.col("contact_type")).withColumn("contact_type", F.col("current"))


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
        F.col("place").desc(),
        F.col("row").desc(),
    ]
    last = F.row_number().over(Window.partitionBy("ticket_id").orderBy(*order))
    agreeing = Window.partitionBy("ticket_id", "contact_type").orderBy(*order)
    agreeing = agreeing.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    given = given.withColumn("last", last)
    for name in ("template_id", "resolved_at", "handle_seconds"):
        given = given.withColumn(name, F.first(name, ignorenulls=True).over(agreeing))
    return given.filter("last = 1").select(*OUTCOMES.schema.names)
