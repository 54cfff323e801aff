"""Label: the latest outcome of each ticket, from imported rows, agents' feedback and labelers' answers, in Spark.

A labeler outranks an agent, an agent the import; among equals the last one counts. Contact types are read through the
current tree: retired names move to what replaced them, and what the tree does not know goes to quarantine. Where
dataset.toml names no tree, the tree grows from the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.contact_type_reading import UNKNOWN, Reading, Written, grow_tree, read_contact_types
from pipeline.contract_checks import check_written
from pipeline.given_outcomes import RULES_VERSION, WRITTEN, given_outcomes
from pipeline.lake import arrivals, count_rows, count_tickets, made_from, mark, write_sorted
from pipeline.outcome_merge import find_news, merge
from pipeline.refusals import Refusals, refuse_too_many
from pipeline.refused_outcomes import UNKNOWN_TEMPLATE, quarantine_outcomes
from pipeline.steps import Step, run_step
from pipeline.templates.derived import derive_templates
from tickets.catalogue import read_dataset, read_templates, read_tree
from tickets.dataset import Dataset
from tickets.errors import MissingStepError
from tickets.manifests import Manifest
from tickets.progress import Report, silent
from tickets.tables import FEEDBACK, IMPORTED_OUTCOMES, LABELS, OUTCOMES, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

STEP = "label"
_ADDED = "contact types added"  # by this very run, like the days that other steps have done


def label(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Write `outcomes`, and to `quarantine` those whose contact type or template cannot be read. Where only days were
    added since, only their tickets are looked at. Raises MissingStepError before `clean`."""
    dataset = read_dataset(workspace)
    if not arrivals(workspace, TICKETS, as_of):
        raise MissingStepError("no ticket has been cleaned yet.", hint="Run `triage features`.")
    with run_step(workspace, STEP, as_of, report) as step:
        _note_inputs(step, workspace, as_of)
        known = made_from(workspace, OUTCOMES)
        step.counts, step.summary = {**known.get("counts", {}), _ADDED: 0}, "nothing new"
        if known.get("fingerprint") != step.follows_from(RULES_VERSION):
            with workspace.aside(STEP) as aside:
                step.counts = _label(spark, workspace, dataset, step, as_of=as_of, aside=aside)
            unread = step.counts["quarantine"] - step.counts["unknown templates"]
            step.summary = f"{step.counts['outcomes']:,} outcomes, {unread:,} with an unknown contact type"
        step.wrote(OUTCOMES)
    return step.done


def _label(
    spark: SparkSession, workspace: Workspace, dataset: Dataset, step: Step, *, as_of: date, aside: Path
) -> dict[str, int]:
    """Write both tables, `outcomes` anew or merged; returns the counts of all days."""
    given, broken = given_outcomes(spark, workspace, as_of)
    news = find_news(spark, workspace, given, step, as_of=as_of, aside=aside)
    looked_at = given if news is None else given.join(news.tickets, "ticket_id", "left_semi")
    uses = looked_at.groupBy("source", *WRITTEN, "template_id").count().collect()
    added, derived = _grow_catalogue(workspace, dataset, looked_at, uses)
    if news is not None and (added or (derived and news.before["unknown templates"])):
        news, looked_at = None, given  # what could not be read before may be readable now
        uses = given.groupBy("source", *WRITTEN, "template_id").count().collect()
    readings = read_contact_types((_key(use) for use in uses), read_tree(workspace))
    _refuse_too_many(uses, readings, dataset)
    templates = [template.template_id for template in read_templates(workspace)]
    read = _read(spark, looked_at, readings, templates)
    latest = _latest(read.filter("reason is null and known"))
    folder = aside / OUTCOMES.name
    if news is None:
        write_sorted(latest, folder, OUTCOMES, ("ticket_id",), rows=count_tickets(workspace, as_of))
    else:
        merge(workspace, latest, news, folder)
    since = None if news is None else news.since
    refused = quarantine_outcomes(spark, workspace, read, broken, since=since, as_of=as_of, aside=aside)
    before = {} if news is None else news.before
    counts = {
        "outcomes": count_rows(folder),
        "quarantine": sum(refused.values()) + before.get("quarantine", 0),
        "unknown templates": refused.get(UNKNOWN_TEMPLATE, 0) + before.get("unknown templates", 0),
    }
    _note_inputs(step, workspace, as_of)  # the catalogue may have grown
    mark(folder, step.follows_from(RULES_VERSION), **counts)
    check_written(spark, workspace, OUTCOMES, folder)
    workspace.publish(folder, OUTCOMES)
    step.rows_in = sum(use["count"] for use in uses)
    return {**counts, _ADDED: added}


def _refuse_too_many(uses: list[Row], readings: Mapping[Written, Reading], dataset: Dataset) -> None:
    """When many contact types are unknown, the tree or the mapping is wrong, not the rows. Those that were split or
    retired wait for a person, however many they are. Raises ContractError."""
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for use in uses:
        reading = readings[_key(use)]
        if reading.reason == UNKNOWN:
            counts[reading.reason] += use["count"]
            examples.setdefault(reading.reason, reading.detail)
    total = sum(use["count"] for use in uses)
    refuse_too_many(Refusals(counts=counts, examples=examples), total, dataset.contract.quarantine_at_most)


def _note_inputs(step: Step, workspace: Workspace, as_of: date) -> None:
    for table in (TICKETS, IMPORTED_OUTCOMES, FEEDBACK, LABELS):
        step.reads_days(table, arrivals(workspace, table, as_of))
    step.reads("catalogue/dataset.toml", "catalogue/contact_types.json", "catalogue/templates.json")


def _key(use: Row) -> Written:
    return use["contact_type"], use["told_by"], use["era"]


def _grow_catalogue(workspace: Workspace, dataset: Dataset, given: DataFrame, uses: list[Row]) -> tuple[int, int]:
    """Add to the catalogue what only the data tells; returns how many contact types, and templates from canned replies.

    `uses` are the combinations of source, contact type and template that occur.
    """
    added = derived = 0
    if dataset.contact_types_file is None:
        added = grow_tree(workspace, (_key(use) for use in uses if use["source"] == "import"))
    if dataset.templates_file is None and {"template_id", "reply"} <= set(dataset.outcome):
        sent = [(use["template_id"], use["contact_type"]) for use in uses if use["template_id"]]
        derived = derive_templates(workspace, given, uses=sent, language=dataset.languages[0])
    return added, derived


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
    same = [F.col(name).eqNullSafe(F.col(f"w{place}")) for place, name in enumerate(WRITTEN)]
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
    alone = Window.partitionBy("ticket_id").orderBy(*order)
    told = given.withColumn("order", F.row_number().over(alone))
    agreeing = Window.partitionBy("ticket_id", "contact_type").orderBy("order")
    agreeing = agreeing.rowsBetween(Window.unboundedPreceding, Window.unboundedFollowing)
    filled = {
        name: F.first(name, ignorenulls=True).over(agreeing)
        for name in ("template_id", "resolved_at", "handle_seconds")
    }
    return told.withColumns(filled).filter("`order` = 1").select(*OUTCOMES.schema.names)
