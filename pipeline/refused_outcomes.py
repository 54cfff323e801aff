"""Outcomes that cannot be read, in quarantine, with the whole row they came from.

The reasons of a day rarely change from night to night, so a day's rows are looked up again only when they did: the
names of its files hold a digest of what was refused.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.corrections import out_of_force, read_in_force
from pipeline.lake import arrivals, parts_in, parts_of, replace_parts, spark_path
from pipeline.units import PartWriter, Unit, part_name, run_units, units_of
from tickets.manifests import fingerprint, partition_name
from tickets.tables import FEEDBACK, LABELS, QUARANTINE, RAW, Table
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

UNKNOWN_TEMPLATE = "unknown reply template"
_STEP = "label"
_KEY = ("place", "row", "reason", "detail")


def quarantine_outcomes(
    spark: SparkSession,
    workspace: Workspace,
    read: DataFrame,
    broken: DataFrame,
    *,
    since: str | None,
    as_of: date,
    aside: Path,
) -> dict[str, int]:
    """Quarantine what `read` (outcomes with `reason`, `detail` and `unknown_template`) refuses, and `broken` answers,
    of the days from `since` on (None: all); returns how many rows by reason. An outcome with an unknown template stays
    an outcome and is shown here too."""
    from pyspark.sql import functions as F  # noqa: N812

    refused = _refused(read).unionByName(broken).filter(F.col("arrived") >= (since or ""))
    digest = F.bit_xor(F.xxhash64(*_KEY))
    digests = refused.groupBy("arrived", "reason").agg(F.count("*").alias("rows"), digest.alias("digest"))
    counts: Counter[str] = Counter()
    by_day: dict[str, int] = defaultdict(int)
    for row in digests.collect():
        counts[row["reason"]] += row["rows"]
        by_day[row["arrived"]] ^= row["digest"]
    prefixes = {day: f"{_STEP}-{_digest(workspace, day, digest)}-" for day, digest in by_day.items()}
    changed = [day for day, prefix in prefixes.items() if not _has(workspace, day, prefix)]
    if changed:
        _write(spark, workspace, refused.filter(F.col("arrived").isin(changed)), changed, aside)
    present = {day for day in arrivals(workspace, QUARANTINE, as_of) if day >= (since or "")}
    for day in sorted({*changed, *(present - prefixes.keys())}):  # of the latter, nothing is refused any more
        parts = parts_in(_folder(aside, day))
        replace_parts(
            workspace, QUARANTINE, day, prefix=prefixes.get(day, f"{_STEP}-"), parts=parts, instead_of=f"{_STEP}-"
        )
    return dict(counts)


def _digest(workspace: Workspace, day: str, refused: int) -> str:
    """Of what was refused and of the raw rows it came from, which people may have corrected to no avail."""
    raw = fingerprint(workspace, partition_name(RAW, day))
    return hashlib.sha256(f"{refused} {raw}".encode()).hexdigest()[:16]


def broken_answers(answers: DataFrame, table: Table) -> DataFrame:
    """Feedback or labels (with `reason` and `detail`) that break their contract, in the columns of `_refused`."""
    from pyspark.sql import functions as F  # noqa: N812

    own = F.to_json(F.struct(*(name for name in answers.columns if name not in ("arrived", "reason", "detail"))))
    columns = ("arrived", *answer_place(table), own.alias("own"), "reason", "detail")
    return answers.filter("reason is not null").select(*columns)


def answer_place(table: Table) -> tuple[Column, Column]:
    """`place` and `row` of what people said, where source rows have RAW.source and RAW.row: `feedback:<id>`, 0."""
    from pyspark.sql import functions as F  # noqa: N812

    identifier = {FEEDBACK.name: "feedback_id", LABELS.name: "label_id"}[table.name]
    place = F.concat(F.lit(f"{table.name}:"), F.coalesce(F.col(identifier), F.lit("")))
    return place.alias("place"), F.lit(0).cast("long").alias("row")


def _has(workspace: Workspace, day: str, prefix: str) -> bool:
    return any(path.name.startswith(prefix) for path in parts_of(workspace, QUARANTINE, day))


def _refused(read: DataFrame) -> DataFrame:
    """(arrived, place, row, own, reason, detail): `own` is the outcome itself, of those that no source row tells."""
    from pyspark.sql import functions as F  # noqa: N812

    own = F.when(
        F.col("source") != "import",
        F.to_json(F.struct("ticket_id", F.col("written").alias("contact_type"), "template_id", "labeler", "given_at")),
    )
    columns = ["arrived", "place", "row", own.alias("own")]
    unread = read.filter("reason is not null").select(*columns, "reason", "detail")
    said = F.concat(
        F.lit("the catalogue has no reply template "),
        F.col("unknown_template"),
        F.lit("; add it, or correct the row. The contact type was kept."),
    )
    untold = read.filter("reason is null and unknown_template is not null")
    return unread.unionByName(untold.select(*columns, F.lit(UNKNOWN_TEMPLATE).alias("reason"), said.alias("detail")))


def _write(spark: SparkSession, workspace: Workspace, refused: DataFrame, days: Sequence[str], aside: Path) -> None:
    """Write `aside/quarantine` by day: rows of people's answers first, then a part for each unit of the raw rows. The
    reasons go to the tasks by way of the disk, since a wrong tree refuses every row there is."""
    refused.repartition("arrived").write.partitionBy("arrived").parquet(spark_path(aside / "refused"))
    reasons = {day: parts_in(aside / "refused" / f"arrived={day}") for day in days}
    units = [unit for day in days for unit in units_of(day, parts_of(workspace, RAW, day))]
    gone = out_of_force(workspace, days)
    run_units(
        spark, [Unit(day, 0, ()) for day in days], lambda unit: _write_answers(unit.day, reasons[unit.day], aside)
    )
    run_units(spark, units, lambda unit: _look_up(unit, reasons[unit.day], gone, aside))


def _write_answers(day: str, reasons: Sequence[Path], aside: Path) -> int:
    answers = _read(reasons, pc.field("own").is_valid()).to_pylist()
    with PartWriter(_folder(aside, day) / "answers.parquet", QUARANTINE.schema, always=False) as part:
        for row in sorted(answers, key=itemgetter(*_KEY)):
            part.append((row["place"], row["row"], row["own"], _STEP, row["reason"], row["detail"]), len(row["own"]))
    return part.rows


def _look_up(unit: Unit, reasons: Sequence[Path], gone: frozenset[str], aside: Path) -> int:
    refused = _read(reasons, pc.field("own").is_null())
    with PartWriter(_folder(aside, unit.day) / part_name(unit.number), QUARANTINE.schema, always=False) as part:
        for _, rows in read_in_force(unit, gone) if refused.num_rows else ():
            here = _reasons_among(refused, rows)
            columns = (rows[name].to_pylist() for name in ("source", "row", "fields"))
            for source, row, fields in zip(*columns, strict=True):
                for reason, detail in sorted(here.get((source, row), ())):
                    part.append((source, row, fields, _STEP, reason, detail), len(fields))
    return part.rows


def _read(reasons: Sequence[Path], which: pc.Expression) -> pa.Table:
    """Rows of `_refused` of one day. Most details are repeated many times, and kept once each."""
    if not reasons:
        return pa.table({name: [] for name in (*_KEY, "own")})
    return pq.read_table(
        list(map(str, reasons)),
        columns=[*_KEY, "own"],
        filters=which,
        read_dictionary=["reason", "detail"],
        partitioning=None,
        use_threads=False,
    )


def _reasons_among(refused: pa.Table, rows: pa.Table) -> dict[tuple[str, int], list[tuple[str, str]]]:
    """For rows of RAW that are refused, by source and row: reasons and details."""
    inside = pc.and_(
        pc.is_in(refused["place"], value_set=rows["source"].combine_chunks()),
        pc.is_in(refused["row"], value_set=rows["row"].combine_chunks()),
    )
    found: dict[tuple[str, int], list[tuple[str, str]]] = defaultdict(list)
    for row in refused.filter(inside).select(list(_KEY)).to_pylist():
        found[row["place"], row["row"]].append((row["reason"], row["detail"]))
    return found


def _folder(aside: Path, day: str) -> Path:
    return aside / QUARANTINE.name / f"arrived={day}"
