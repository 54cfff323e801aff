"""Pairs: for each ticket, the template that was sent and some that were not, to learn ranking from.

A day's pairs are made again when an outcome of its tickets changed, or the templates to draw from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from pipeline.contract_checks import check_written
from pipeline.lake import count_rows, made_from, mark, read_table, spark_path, spark_schema
from pipeline.split import TRAIN
from pipeline.steps import run_step
from pipeline.units import PartWriter, part_name
from tickets.catalogue import read_templates
from tickets.errors import MissingStepError
from tickets.manifests import Manifest
from tickets.progress import Report, silent
from tickets.tables import OUTCOMES, PAIRS, SPLITS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STEP = "pairs"
RULES_VERSION = "2"  # raise it when pairs are drawn otherwise, and the next night makes every day's again
RANDOM, SAME_TYPE = "random", "same contact type"
RANDOM_NEGATIVES = 4
HARD_NEGATIVES = 3
_TICKETS_IN_PART = 100_000
_AT_ONCE = 4_096
_RANKS_AT_ONCE = 2**23  # tickets times templates that are ranked at once: 64 MB
_WRITTEN = pa.schema([pa.field("arrived", pa.string(), nullable=False), pa.field("rows", pa.int64(), nullable=False)])
_MIX = np.uint64(0x9E3779B97F4A7C15)


def pair(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Write `pairs`: one relevant template for each ticket that one was sent for, hard negatives (templates for the
    same contact type) and random ones, drawn by the ticket's id alone. Raises MissingStepError."""
    if not workspace.table_path(SPLITS).is_dir():
        raise MissingStepError("the table `splits` has not been written yet.", hint="Run `triage features`.")
    with run_step(workspace, STEP, as_of, report) as step:
        step.reads(OUTCOMES.name, SPLITS.name, "catalogue/templates.json")
        known, anew = made_from(workspace, PAIRS), 0
        if known.get("fingerprint") != step.follows_from(*_present(workspace)):
            days, changed = _write(spark, workspace)
            anew = len(changed)
            known = {"counts": {"pairs": count_rows(workspace.table_path(PAIRS)), "days": len(days)}}
            # Beside its partitions, and last: a night that dies before it looks at each day again.
            mark(workspace.table_path(PAIRS), step.follows_from(*_present(workspace)), **known["counts"])
        for day in workspace.partitions(PAIRS):
            step.wrote(PAIRS, day)
        pairs, days_known = known["counts"]["pairs"], known["counts"]["days"]
        step.counts = {"pairs": pairs, "days": anew}
        step.summary = f"{pairs:,} ticket-template pairs, {anew} of {days_known} days anew"
    return step.done


def _present(workspace: Workspace) -> list[str]:
    """What the pairs that are there were made from: some may be of a night that died."""
    days = workspace.partitions(PAIRS)
    return [RULES_VERSION, *(f"{day} {made_from(workspace, PAIRS, day).get('fingerprint')}" for day in days)]


def _write(spark: SparkSession, workspace: Workspace) -> tuple[list[str], list[str]]:
    """Write the days that changed, and take out those without pairs, also of days after a night that is replayed;
    returns all days, and those that changed."""
    from pyspark.sql import functions as F  # noqa: N812

    with workspace.aside(STEP) as aside:
        sent = _sent(spark, workspace, aside)
        templates = sorted(template.template_id for template in read_templates(workspace) if template.active)
        serving = _serving(workspace, sent)
        wanted, parts = _days(sent, templates, serving)
        gone = sorted(set(workspace.partitions(PAIRS)) - set(wanted))
        changed = [day for day in wanted if made_from(workspace, PAIRS, day).get("fingerprint") != wanted[day]]
        if changed:
            _write_days(sent.filter(F.col("arrived").isin(changed)), parts, templates, serving, aside)
        for day in changed:
            mark(aside / PAIRS.name / f"arrived={day}", wanted[day])
        check_written(spark, workspace, PAIRS, aside / PAIRS.name, changed)
        for day in [*changed, *gone]:
            workspace.publish(aside / PAIRS.name, PAIRS, [day])
    return list(wanted), changed


def _sent(spark: SparkSession, workspace: Workspace, aside: Path) -> DataFrame:
    """Tickets that a template was sent for: (ticket_id, contact_type, template_id, arrived, split)."""
    outcomes = read_table(spark, workspace, OUTCOMES).filter("template_id is not null")
    splits = read_table(spark, workspace, SPLITS).select("ticket_id", "arrived", "split")
    joined = outcomes.select("ticket_id", "contact_type", "template_id").join(splits, "ticket_id")
    joined.write.parquet(spark_path(aside / "sent"))  # read three times
    return spark.read.schema(joined.schema).parquet(spark_path(aside / "sent"))


def _serving(workspace: Workspace, sent: DataFrame) -> dict[str, list[str]]:
    """The templates for each contact type: those made for it, and those that agents sent for it in training."""
    serving: dict[str, set[str]] = {}
    for template in read_templates(workspace):
        for contact_type in template.contact_types if template.active else ():
            serving.setdefault(contact_type, set()).add(template.template_id)
    for row in sent.filter(f"split = '{TRAIN}'").select("contact_type", "template_id").distinct().collect():
        serving.setdefault(row["contact_type"], set()).add(row["template_id"])
    return {contact_type: sorted(names) for contact_type, names in sorted(serving.items())}


def _days(
    sent: DataFrame, templates: Sequence[str], serving: Mapping[str, Sequence[str]]
) -> tuple[dict[str, str], dict[str, int]]:
    """For each day of arrival, what its pairs follow from, and how many parts they are written in."""
    from pyspark.sql import functions as F  # noqa: N812

    digest = F.bit_xor(F.xxhash64("ticket_id", "contact_type", "template_id"))
    days = sent.groupBy("arrived").agg(F.count("*").alias("tickets"), digest.alias("digest")).collect()
    drawn_from = json.dumps([RULES_VERSION, templates, serving], sort_keys=True)
    wanted = {
        row["arrived"]: hashlib.sha256(f"{drawn_from}\n{row['tickets']} {row['digest']}".encode()).hexdigest()
        for row in days
    }
    return dict(sorted(wanted.items())), {row["arrived"]: -(-row["tickets"] // _TICKETS_IN_PART) for row in days}


def _write_days(
    sent: DataFrame,
    parts: Mapping[str, int],
    templates: Sequence[str],
    serving: Mapping[str, Sequence[str]],
    aside: Path,
) -> None:
    """Write `aside/pairs` by day, each part by the task that made it."""
    from pyspark.sql import functions as F  # noqa: N812

    count = F.element_at(F.create_map(*(F.lit(item) for day in parts.items() for item in day)), F.col("arrived"))
    numbered = sent.withColumn("part", F.pmod(F.xxhash64("ticket_id"), count).cast("int"))
    at_once = max(1, min(_AT_ONCE, _RANKS_AT_ONCE // max(1, len(templates))))

    def write_part(rows: pa.Table) -> pa.Table:
        day, number = rows["arrived"][0].as_py(), rows["part"][0].as_py()
        folder = aside / PAIRS.name / f"arrived={day}"
        with PartWriter(folder / part_name(number), PAIRS.schema) as part:
            rows = rows.sort_by("ticket_id")
            for start in range(0, rows.num_rows, at_once):
                part.write(pairs_of(rows.slice(start, at_once), templates=templates, serving=serving))
        return pa.table([[day], [part.rows]], schema=_WRITTEN)

    numbered.groupBy("arrived", "part").applyInArrow(write_part, spark_schema(_WRITTEN)).collect()


def pairs_of(sent: pa.Table, *, templates: Sequence[str], serving: Mapping[str, Sequence[str]]) -> pa.Table:
    """Rows of PAIRS for tickets (`ticket_id`, `contact_type`, `template_id`) that a template was sent for.

    Each ticket ranks all templates by a hash of its id and theirs; the first of those serving its contact type are the
    hard negatives, the first of the others the random ones. So a new template changes few draws.
    """
    names = sorted({*templates, *sent["template_id"].to_pylist(), *(one for some in serving.values() for one in some)})
    place = {name: number for number, name in enumerate(names)}
    ids = sent["ticket_id"].to_pylist()
    own = np.array([place[name] for name in sent["template_id"].to_pylist()], dtype=np.int64)
    rank = _ranks(ids, names)
    rows = np.arange(len(ids))
    contact_types = sent["contact_type"].to_pylist()
    kinds = sorted(set(contact_types))
    serves = np.zeros((len(kinds), len(names)), dtype=bool)
    for number, kind in enumerate(kinds):
        serves[number, [place[name] for name in serving.get(kind, ())]] = True
    serving_own = serves[np.searchsorted(kinds, contact_types)] if kinds else np.zeros((0, len(names)), bool)
    serving_own[rows, own] = False
    hard = _first(rank, serving_own, HARD_NEGATIVES)
    open_to_all = np.zeros(len(names), dtype=bool)
    open_to_all[[place[name] for name in templates]] = True
    others = np.broadcast_to(open_to_all, rank.shape).copy()
    others[rows, own] = False
    others[hard] = False
    drawn = _first(rank, others, RANDOM_NEGATIVES)
    return _table(ids, names, [((rows, own), None), (hard, SAME_TYPE), (drawn, RANDOM)])


Chosen = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # rows and templates


def _ranks(ids: Sequence[str], names: Sequence[str]) -> npt.NDArray[np.uint64]:
    """A random-looking number for each ticket and template, shape (tickets, templates), the same on every machine."""
    tickets = np.array([xxhash.xxh64_intdigest(name.encode()) for name in ids], dtype=np.uint64)
    sent = np.array([xxhash.xxh64_intdigest(name.encode(), seed=1) for name in names], dtype=np.uint64)
    mixed = tickets[:, None] ^ sent[None, :]
    mixed *= _MIX  # wraps modulo 2**64 on purpose
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIX
    return mixed


def _first(rank: npt.NDArray[np.uint64], among: npt.NDArray[np.bool_], count: int) -> Chosen:
    """For each row, the `count` columns of lowest rank that are `among` (fewer where there are fewer), as indices."""
    if rank.shape[1] == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    ranked = np.where(among, rank, np.iinfo(np.uint64).max)
    nearest = np.argpartition(ranked, min(count, rank.shape[1]) - 1, axis=1)[:, :count]
    allowed = np.take_along_axis(among, nearest, axis=1)
    rows, columns = np.nonzero(allowed)
    return rows, nearest[rows, columns]


def _table(ids: Sequence[str], names: Sequence[str], chosen: Sequence[tuple[Chosen, str | None]]) -> pa.Table:
    """The chosen pairs as rows of PAIRS, sorted by ticket and template."""
    rows = np.concatenate([one for (one, _), _ in chosen])
    columns = np.concatenate([one for (_, one), _ in chosen])
    kind = np.concatenate([np.full(len(one), number) for number, ((one, _), _) in enumerate(chosen)])
    order = np.lexsort((columns, rows))
    rows, columns, kind = rows[order], columns[order], kind[order]
    kinds = pa.array([negative for _, negative in chosen], pa.string())
    made = [
        pa.array(ids, pa.string()).take(pa.array(rows)),
        pa.array(names, pa.string()).take(pa.array(columns)),
        pa.array(kind == 0),
        kinds.take(pa.array(kind)),
    ]
    return pa.Table.from_arrays(made, schema=PAIRS.schema)
