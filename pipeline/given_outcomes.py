"""Outcomes as people and source rows gave them, before they are read through the tree: imported rows, agents' feedback,
labelers' answers, in one shape."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from pipeline.contract_checks import with_reasons
from pipeline.lake import arrivals, read_arrivals
from pipeline.refused_outcomes import answer_place, broken_answers
from tickets.catalogue import read_tree
from tickets.tables import FEEDBACK, IMPORTED_OUTCOMES, LABELS, TICKETS, Table
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

RULES_VERSION = "2"  # raise it when outcomes are read otherwise, and the next night reads every ticket's again
WRITTEN = ("contact_type", "told_by", "era")  # what a contact type is read from
# Where an outcome stands (RAW.source and RAW.row, or the table it came from and its id), when it arrived, what it says.
# `given_at` is null for imported rows; `known` is false while the ticket has not arrived.
GIVEN = (
    *("place", "row", "arrived", "ticket_id", *WRITTEN, "template_id", "resolved_at", "handle_seconds"),
    *("source", "labeler", "reply", "given_at", "known"),
)


def given_outcomes(spark: SparkSession, workspace: Workspace, as_of: date) -> tuple[DataFrame, DataFrame]:
    """Every outcome that somebody gave (columns GIVEN), and people's answers that break their table's contract.

    Answers about tickets that have not arrived are among them: what cannot be read is refused on the day of the
    answer, whenever its ticket comes.
    """
    from pyspark.sql import functions as F  # noqa: N812

    given = read_arrivals(spark, workspace, IMPORTED_OUTCOMES, arrivals(workspace, IMPORTED_OUTCOMES, as_of))
    given = given.withColumn("place", F.col("source")).withColumn("source", F.lit("import"))
    given = given.withColumn("given_at", F.lit(None).cast("timestamp")).withColumn("known", F.lit(True))
    feedback, labels = (
        with_reasons(read_arrivals(spark, workspace, table, arrivals(workspace, table, as_of)), workspace, table)
        for table in (FEEDBACK, LABELS)
    )
    broken = broken_answers(feedback, FEEDBACK).unionByName(broken_answers(labels, LABELS))
    chosen = "reason is null and action in ('accepted', 'corrected') and contact_type is not null"
    agents = _as_given(feedback.filter(chosen), FEEDBACK)
    people = agents.unionByName(_as_given(labels.filter("reason is null"), LABELS))
    # Few tickets have answers: those are looked for among all tickets, not the other way round.
    tickets = read_arrivals(spark, workspace, TICKETS, arrivals(workspace, TICKETS, as_of)).select("ticket_id")
    answered = tickets.join(people.select("ticket_id").distinct(), "ticket_id", "left_semi").distinct()
    people = people.join(answered.withColumn("known", F.lit(True)), "ticket_id", "left")
    people = people.withColumn("known", F.coalesce("known", F.lit(False)))
    starts = read_tree(workspace).change_days()
    imported = given.withColumn("era", _era(starts)).select(*GIVEN)
    if not (arrivals(workspace, FEEDBACK, as_of) or arrivals(workspace, LABELS, as_of)):
        return imported, broken
    return imported.unionByName(people.withColumn("era", _era(starts)).select(*GIVEN)), broken


def _era(starts: Sequence[str]) -> Column:
    """The last change of the tree that was in force on the day an outcome is about; "" before the first."""
    from pyspark.sql import functions as F  # noqa: N812

    day = F.date_format(F.coalesce("given_at", "resolved_at", "created_at"), "yyyy-MM-dd")
    era: Column = F.lit("")
    for start in starts:
        era = F.when(day >= F.lit(start), F.lit(start)).otherwise(era)
    return F.when(day.isNotNull(), era)


def _as_given(answers: DataFrame, table: Table) -> DataFrame:
    """Feedback or labels in the columns of `GIVEN`, all but `era` and `known`, and `created_at` for the era. An agent
    answers when the ticket is resolved, a labeler at any time."""
    from pyspark.sql import functions as F  # noqa: N812

    person = "agent" if table is FEEDBACK else "labeler"
    resolved_at, seconds = (F.col("at"), F.col("handle_seconds")) if table is FEEDBACK else (F.lit(None), F.lit(None))
    return answers.select(
        *answer_place(table),
        "arrived",
        "ticket_id",
        F.lit(None).cast("timestamp").alias("created_at"),
        "contact_type",
        F.lit(None).cast("string").alias("told_by"),
        "template_id",
        resolved_at.cast("timestamp").alias("resolved_at"),
        seconds.cast("double").alias("handle_seconds"),
        F.lit(person).alias("source"),
        F.col(person).alias("labeler"),
        F.lit(None).cast("string").alias("reply"),
        F.col("at").alias("given_at"),
    )
