"""Featurise: what a model reads of each ticket, and the signature that its near-duplicates are found by.

A day is done when its tickets changed since; nothing here depends on how tickets ended, so no day is done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.contract_checks import check_written
from pipeline.lake import arrivals, is_made, made_from, mark, parts_of
from pipeline.steps import follows_from, run_step
from pipeline.text.features import model_text, text_statistics
from pipeline.text.minhash import sign
from pipeline.units import PartWriter, Unit, part_name, read_unit, run_units, units_of
from tickets.errors import MissingStepError
from tickets.manifests import Manifest, partition_name
from tickets.progress import Report, silent
from tickets.records import Ticket, attributes_to_text
from tickets.tables import FEATURES, SIGNATURES, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STEP = "featurise"
RULES_VERSION = "1"  # raise it when features or signatures change, and the next night makes every day's again
_SPARKS_SEED = 42  # of its function xxhash64
_COLUMNS = ("ticket_id", "created_at", "channel", "subject", "body", "language", "attributes")


def featurise(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Write `features` and `signatures` of every day whose tickets have changed. Raises MissingStepError."""
    with run_step(workspace, STEP, as_of, report) as step:
        days = arrivals(workspace, TICKETS, as_of)
        if not days:
            raise MissingStepError("no ticket has been cleaned yet.", hint="Run `triage features`.")
        step.reads_days(TICKETS, days)
        wanted = {
            day: follows_from({TICKETS.name: step.inputs[partition_name(TICKETS, day)]}, RULES_VERSION) for day in days
        }
        changed = [day for day in days if not is_made(workspace, (SIGNATURES, FEATURES), day, wanted[day])]
        gone = sorted(set(arrivals(workspace, FEATURES, as_of)) - set(days))
        with workspace.aside(STEP) as aside:
            units = [unit for day in changed for unit in units_of(day, parts_of(workspace, TICKETS, day))]
            made = run_units(spark, units, lambda unit: featurise_unit(unit, aside))
            for day in changed:
                written = sum(count for unit, count in zip(units, made, strict=True) if unit.day == day)
                for table in (SIGNATURES, FEATURES):
                    mark(aside / table.name / f"arrived={day}", wanted[day], rows=written)
            for table in (FEATURES, SIGNATURES):
                check_written(spark, workspace, table, aside / table.name, changed)
            for day in [*changed, *gone]:  # a run that dies in between leaves two fingerprints, and the day is not done
                workspace.publish(aside / SIGNATURES.name, SIGNATURES, [day])
                workspace.publish(aside / FEATURES.name, FEATURES, [day])
        for day in days:
            for table in (FEATURES, SIGNATURES):
                step.wrote(table, day, made_from=[partition_name(TICKETS, day)])
        rows = {day: made_from(workspace, FEATURES, day)["counts"]["rows"] for day in days}
        step.counts = {"features": sum(rows.values()), "days": len(changed)}
        step.rows_in = step.rows_out = sum(rows[day] for day in changed)
        step.summary = f"{step.rows_in:,} tickets" if changed else "nothing new"
    return step.done


def featurise_unit(unit: Unit, aside: Path) -> int:
    """What a task runs: tickets of one unit to its parts of both tables; returns how many."""
    folder, name = f"arrived={unit.day}", part_name(unit.number)
    with (
        PartWriter(aside / FEATURES.name / folder / name, FEATURES.schema) as features,
        PartWriter(aside / SIGNATURES.name / folder / name, SIGNATURES.schema) as signatures,
    ):
        for _, rows in read_unit(unit, _COLUMNS):
            texts = []
            for *fields, attributes in zip(*(rows[name].to_pylist() for name in _COLUMNS), strict=True):
                row = feature_values(Ticket(**dict(zip(_COLUMNS, fields, strict=False))), attributes)
                texts.append(row[2])
                features.append(row, len(row[2]))
            signatures.write(signature_rows(rows["ticket_id"].to_pylist(), texts))
    return features.rows


def feature_values(ticket: Ticket, attributes: str) -> tuple[str, datetime, str, str | None, str, str, str]:
    """A ticket as a row of FEATURES; `attributes` are its own, as text."""
    text = model_text(ticket)
    statistics = attributes_to_text(text_statistics(text))
    return ticket.ticket_id, ticket.created_at, text, ticket.language, ticket.channel, attributes, statistics


def node_of(ticket_id: str) -> int:
    """The ticket's number in the graph of near-duplicates: what Spark's xxhash64 makes of its id."""
    number = xxhash.xxh64_intdigest(ticket_id.encode(), seed=_SPARKS_SEED)
    return number - 2**64 if number >= 2**63 else number


def signature_rows(ids: Sequence[str], texts: Sequence[str]) -> pa.Table:
    """Tickets and their texts as rows of SIGNATURES."""
    signatures, buckets = sign(texts)
    offsets = np.arange(len(ids) + 1, dtype=np.int32) * buckets.shape[1]
    flat = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(signatures.shape[1]), len(ids), [None, pa.py_buffer(np.ascontiguousarray(signatures))]
    )
    columns = [
        pa.array([node_of(name) for name in ids], pa.int64()),
        pa.ListArray.from_arrays(offsets, pa.array(buckets.ravel())),
        flat.cast(pa.binary()),
    ]
    return pa.Table.from_arrays(columns, schema=SIGNATURES.schema)
