"""Split tickets into train, validation and test without a leak: by time, then by customer and near-duplicate cluster.
Only narrow columns are read, so the whole history is split anew whenever a training asks for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from pipeline.contract_checks import check_written
from pipeline.duplicates import clusters
from pipeline.lake import arrivals, count_tickets, latest_tickets, made_from, mark, read_table, spark_path, write_sorted
from pipeline.steps import run_step
from tickets.errors import InputError, MissingStepError
from tickets.manifests import Manifest
from tickets.progress import Report, silent
from tickets.tables import NEAR_DUPLICATES, OUTCOMES, SPLITS, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

STEP = "split"
RULES_VERSION = "1"  # raise it when tickets are placed otherwise, and they are placed again
TRAIN, VALIDATION, TEST = "train", "validation", "test"
LEAK = "leak"  # a near-duplicate of it, or its customer, stands in an earlier split
LATER = "later"  # created at or after SplitPlan.test_until
UNLABELLED = "unlabelled"  # no outcome yet
_ORDER = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """Where time is cut. By shares of the tickets (each above 0, 1 in all), or at fixed moments, which win: validation
    from `validation_from`, test from `test_from` and before `test_until` (None: to the end). Raises InputError when
    they clash."""

    train: float = 0.8
    validation: float = 0.1
    test: float = 0.1
    validation_from: datetime | date | None = None
    test_from: datetime | date | None = None
    test_until: datetime | date | None = None

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
            raise InputError(
                f"the shares of a split are {shares}; each must be above 0, and they must sum to 1.",
                hint="For example 0.8, 0.1 and 0.1.",
            )
        if (self.validation_from is None) != (self.test_from is None):
            raise InputError(
                "a split by date needs both validation_from and test_from.",
                hint="Give --validation-from and --test-from together, or neither for shares of time.",
            )
        moments = [moment for moment in self.moments if moment is not None]
        if moments != sorted(moments):
            raise InputError(
                "the dates of a split are out of order.", hint="validation_from <= test_from <= test_until."
            )

    @property
    def moments(self) -> tuple[datetime | None, datetime | None, datetime | None]:
        """validation_from, test_from, test_until in UTC; a date means its midnight."""
        return _moment(self.validation_from), _moment(self.test_from), _moment(self.test_until)


def split(
    workspace: Workspace, *, as_of: date, spark: SparkSession, plan: SplitPlan | None = None, report: Report = silent
) -> Manifest:
    """Write `splits`: each ticket, its split and its near-duplicate cluster. Raises MissingStepError.

    A split given by the dataset wins and is never a leak; when it gives train and test alone, the plan's share of
    train's clusters becomes validation. Where tickets have no times to cut at, clusters are dealt out by their hash.
    """
    plan = plan or SplitPlan()
    for table in (TICKETS, OUTCOMES, NEAR_DUPLICATES):
        if not workspace.table_path(table).is_dir():
            raise MissingStepError(f"the table `{table.name}` has not been written yet.", hint="Run `triage features`.")
    with run_step(workspace, STEP, as_of, report) as step:
        step.reads_days(TICKETS, arrivals(workspace, TICKETS, as_of))
        step.reads_days(NEAR_DUPLICATES, arrivals(workspace, NEAR_DUPLICATES, as_of))
        step.reads(OUTCOMES.name)
        step.rows_in = count_tickets(workspace, as_of)
        wanted = step.follows_from(RULES_VERSION, plan)
        if made_from(workspace, SPLITS).get("fingerprint") != wanted:
            with workspace.aside(STEP) as aside:
                _write(spark, workspace, plan, aside, as_of=as_of, rows=step.rows_in)
                mark(aside / SPLITS.name, wanted, **_counts(aside / SPLITS.name))
                check_written(spark, workspace, SPLITS, aside / SPLITS.name)
                workspace.publish(aside / SPLITS.name, SPLITS)
        step.counts = made_from(workspace, SPLITS)["counts"]
        step.wrote(SPLITS)
        step.summary = ", ".join(
            f"{step.counts[name]:,} {name}" for name in (*_ORDER, LEAK, LATER, UNLABELLED) if name in step.counts
        )
    return step.done


def _write(spark: SparkSession, workspace: Workspace, plan: SplitPlan, aside: Path, *, as_of: date, rows: int) -> None:
    from pyspark.sql import functions as F  # noqa: N812

    # Kept on disk: what follows reads it several times.
    _clustered(spark, workspace, as_of).write.parquet(spark_path(aside / "clustered"))
    tickets = spark.read.parquet(spark_path(aside / "clustered"))
    placed = _without_leaks(_by_plan(tickets.filter("labelled"), plan)).select(*SPLITS.schema.names)
    unlabelled = tickets.filter("not labelled").withColumn("split", F.lit(UNLABELLED)).select(*SPLITS.schema.names)
    write_sorted(placed.unionByName(unlabelled), aside / SPLITS.name, SPLITS, ("ticket_id",), rows=rows)


def _clustered(spark: SparkSession, workspace: Workspace, as_of: date) -> DataFrame:
    """Each ticket with what decides its split: when it came, from whom, its cluster, whether it has an outcome."""
    from pyspark.sql import functions as F  # noqa: N812

    tickets = latest_tickets(spark, workspace, as_of, ("ticket_id", "created_at", "customer_key", "split"))
    tickets = tickets.withColumnRenamed("split", "given").withColumn("node", F.xxhash64("ticket_id"))
    roots = clusters(workspace, arrivals(workspace, NEAR_DUPLICATES, as_of))
    rooted = tickets.join(F.broadcast(spark.createDataFrame(roots)), "node", "left")
    named = rooted.filter("root is not null").groupBy("root").agg(F.min("ticket_id").alias("name"))
    rooted = rooted.join(F.broadcast(named), "root", "left").withColumn("cluster", F.coalesce("name", "ticket_id"))
    outcomes = read_table(spark, workspace, OUTCOMES).select("ticket_id", F.lit(True).alias("labelled"))
    joined = rooted.join(outcomes, "ticket_id", "left").withColumn("labelled", F.coalesce("labelled", F.lit(False)))
    return joined.drop("root", "name", "node")


def _counts(folder: Path) -> dict[str, int]:
    """Rows of each split, counted from one narrow column."""
    found: Counter[str] = Counter()
    for path in folder.glob("*.parquet"):
        for entry in pq.ParquetFile(path).read(["split"])["split"].value_counts().to_pylist():
            found[entry["values"]] += entry["counts"]
    return dict(found)


def _by_plan(labelled: DataFrame, plan: SplitPlan) -> DataFrame:
    """Adds `split` by the dataset's own, by time, or by chance; leaks are still in it."""
    from pyspark.sql import functions as F  # noqa: N812

    given = {row[0] for row in labelled.select("given").distinct().collect()} - {None}
    free = labelled.filter("given is null")
    planned = _free_split(free, plan)
    own: Column = F.col("given")
    if given and VALIDATION not in given:
        share = plan.validation / (plan.train + plan.validation)
        own = F.when((own == TRAIN) & (_chance() < share), VALIDATION).otherwise(own)
    return labelled.withColumn("split", F.when(F.col("given").isNotNull(), own).otherwise(planned))


def _free_split(free: DataFrame, plan: SplitPlan) -> Column:
    """The split of tickets that have none given, as a column."""
    from pyspark.sql import functions as F  # noqa: N812

    validation_from, test_from, test_until = plan.moments
    created = F.col("created_at")
    if validation_from is None or test_from is None:
        before = free.filter(created < F.lit(test_until)) if test_until else free
        micros = before.select(F.unix_micros("created_at").alias("at"))
        cuts = micros.select(
            F.min("at"),
            F.expr(f"percentile_disc({plan.train}) within group (order by at)"),
            F.expr(f"percentile_disc({min(1.0, plan.train + plan.validation)}) within group (order by at)"),
        ).collect()[0]
        earliest, validation_from, test_from = (_at(micros) for micros in cuts)
        if earliest is None or validation_from is None or test_from is None:
            return F.lit(TRAIN)
        if not earliest < validation_from < test_from:
            dealt = (
                F.when(_chance() < plan.train, TRAIN)
                .when(_chance() < plan.train + plan.validation, VALIDATION)
                .otherwise(TEST)
            )
            return F.when(created >= F.lit(test_until), LATER).otherwise(dealt) if test_until else dealt
    cut = F.when(created < F.lit(validation_from), TRAIN).when(created < F.lit(test_from), VALIDATION)
    return (cut.when(created < F.lit(test_until), TEST).otherwise(LATER)) if test_until else cut.otherwise(TEST)


def _without_leaks(planned: DataFrame) -> DataFrame:
    """A ticket of a later split goes to `leak` when its cluster or its customer stands in an earlier one."""
    from pyspark.sql import functions as F  # noqa: N812

    place = F.when(F.col("split") == TRAIN, 0).when(F.col("split") == VALIDATION, 1).when(F.col("split") == TEST, 2)
    placed = planned.withColumn("place", place)
    joined = placed
    for group in ("cluster", "customer_key"):
        joined = joined.join(_earliest_place(placed, group), group, "left")
    earlier = F.least("cluster_place", "customer_key_place") < F.col("place")  # least passes over nulls
    leaks = F.col("given").isNull() & F.coalesce(earlier, F.lit(False))
    return joined.withColumn("split", F.when(leaks, LEAK).otherwise(F.col("split")))


def _earliest_place(placed: DataFrame, group: str) -> DataFrame:
    """The first place of each cluster or customer. Most have one ticket: only those that have more are worth joining,
    and tickets without a customer are no group."""
    from pyspark.sql import functions as F  # noqa: N812

    known = placed.filter(F.col(group).isNotNull()).groupBy(group)
    places = known.agg(F.min("place").alias(f"{group}_place"), F.count("*").alias("size"))
    return places.filter("size > 1").drop("size")


def _chance() -> Column:
    """A number from 0 to 1 that follows from the cluster's name alone."""
    from pyspark.sql import functions as F  # noqa: N812

    return F.pmod(F.xxhash64("cluster"), F.lit(1_000_003)) / F.lit(1_000_003)


def _at(micros: float | None) -> datetime | None:
    return None if micros is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))


def _moment(moment: datetime | date | None) -> datetime | None:
    """In UTC: of a date its midnight; a time without a zone is UTC already."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time(), tzinfo=UTC)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
