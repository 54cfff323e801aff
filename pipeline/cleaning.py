"""Clean: raw rows to `tickets`, `imported_outcomes` and `quarantine`, by the same pure function that the service calls.

A day is cleaned when its raw rows, dataset.toml or the cleaning rules changed since its tickets were written; each
partition of `tickets` carries the fingerprint of what it was made from, and its counts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.clean import RULES_VERSION, Refused, clean_ticket
from pipeline.lake import arrivals, made_from, mark, parts_of, replace_parts
from pipeline.repeated_ids import PLACES, take_out_repeated
from pipeline.rows import ImportedOutcome, read_row
from pipeline.steps import Report, run_step, silent
from pipeline.units import PartWriter, Unit, part_name, read_unit, run_units, units_of
from tickets.catalogue import read_dataset
from tickets.dataset import Dataset
from tickets.errors import MissingStepError
from tickets.manifests import Manifest, file_hash
from tickets.records import Ticket, attributes_to_text
from tickets.tables import IMPORTED_OUTCOMES, QUARANTINE, RAW, SERVICE, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STEP = "clean"
FUTURE = "created in the future"
_MISREAD = "attribute values not understood"
_IMPORTED = re.compile(r"(\d{6}-[0-9a-f]{16}-[0-9a-f]{6})-")  # names of imported parts hold the hash of their content


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What one task made of its unit."""

    day: str
    raw: int
    tickets: int
    quarantine: int
    misread: int


def clean(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Clean every day up to `as_of` that has changed. For each day, raw rows = tickets + rows quarantined by this step.

    The manifest counts all days up to `as_of`, and in `days` those that were cleaned now. Raises MissingStepError
    before the first import.
    """
    dataset = read_dataset(workspace)
    with run_step(workspace, STEP, as_of, report) as step:
        days = arrivals(workspace, RAW, as_of)
        if not days:
            raise MissingStepError(
                f"nothing was imported up to {as_of}.", hint="Run `triage import` first, or a later --as-of."
            )
        wanted = {day: _fingerprint(workspace, day) for day in days}
        changed = [day for day in days if made_from(workspace, TICKETS, day).get("fingerprint") != wanted[day]]
        gone = sorted(set(arrivals(workspace, TICKETS, as_of)) - set(days))
        with workspace.aside(STEP) as aside:
            counted = _clean_days(spark, workspace, dataset, changed, aside)
            for day in changed:
                mark(aside / TICKETS.name / f"arrived={day}", wanted[day], **counted[day])
            for day in [*changed, *gone]:  # of a day that is gone, the raw rows were taken out of the lake
                _publish(workspace, aside, day)
        done = [made_from(workspace, TICKETS, day)["counts"] for day in days]
        step.inputs = {f"raw/arrived={day}": fingerprint for day, fingerprint in wanted.items()}
        step.counts = {name: sum(counts[name] for counts in done) for name in done[0]} | {"days": len(changed)}
        raw, tickets = (sum(counts[name] for counts in counted.values()) for name in ("raw", "tickets"))
        step.summary = f"{raw:,} rows -> {tickets:,} tickets, {raw - tickets:,} quarantined"
        if not changed:
            step.summary = "nothing new"
    return step.done


def _clean_days(
    spark: SparkSession, workspace: Workspace, dataset: Dataset, days: Sequence[str], aside: Path
) -> dict[str, dict[str, int]]:
    """Write the days' tables under `aside`; returns each day's counts. Raises RuntimeError when a row was lost, before
    anything is replaced."""
    units = [unit for day in days for unit in units_of(day, _in_order(parts_of(workspace, RAW, day)))]
    cleaned = run_units(spark, units, lambda unit: clean_unit(unit, dataset, aside))
    again = take_out_repeated(spark, units, aside) if cleaned else {}
    counted = {}
    for day in days:
        own = [one for one in cleaned if one.day == day]
        counts = {name: sum(getattr(one, name) for one in own) for name in ("raw", "tickets", "quarantine")}
        counts["tickets"] -= again.get(day, 0)
        counts["quarantine"] += again.get(day, 0)
        if counts["raw"] != counts["tickets"] + counts["quarantine"]:
            raise RuntimeError(f"cleaning {day} lost or doubled rows: {counts}.")
        counted[day] = counts | {_MISREAD: sum(one.misread for one in own)}
    return counted


def clean_unit(unit: Unit, dataset: Dataset, aside: Path) -> Cleaned:
    """What a task runs: read raw rows, write the unit's part of each table under `aside/<table>/arrived=<day>/`."""
    raw = misread = 0
    keep_reply = "reply" in dataset.outcome and dataset.templates_file is None

    def part(table: Any, *, always: bool = True) -> PartWriter:
        folder: Path = aside / table.name / f"arrived={unit.day}"
        return PartWriter(folder / part_name(unit.number), table.schema, always=always)

    with (
        part(TICKETS) as tickets,
        part(IMPORTED_OUTCOMES) as outcomes,
        part(PLACES) as places,
        part(QUARANTINE, always=False) as quarantine,
    ):
        for _, rows in read_unit(unit, RAW.schema.names):
            raw += rows.num_rows
            for source, row, fields, split, problem in zip(
                *(column.to_pylist() for column in rows.columns), strict=True
            ):
                try:
                    ticket, outcome, unread = checked_row(fields, problem, dataset, source, row, arrived=unit.day)
                except Refused as refused:
                    quarantine.append((source, row, fields, STEP, refused.reason, refused.detail), len(fields))
                    continue
                misread += unread
                tickets.append((*ticket_values(ticket), split), len(ticket.body))
                places.append((ticket.ticket_id, source, row))
                if outcome is not None:
                    outcomes.append(_outcome_values(ticket, outcome, source, row, keep_reply=keep_reply))
    return Cleaned(unit.day, raw, tickets.rows, quarantine.rows, misread)


def checked_row(
    fields: str, problem: str | None, dataset: Dataset, source: str, row: int, *, arrived: str
) -> tuple[Ticket, ImportedOutcome | None, int]:
    """The cleaned ticket of a raw row, how it ended, and how many of its attribute values were not understood. Raises
    Refused."""
    if problem:
        reason, _, found = problem.partition(": ")
        raise Refused(reason, f"{found or 'the row could not be read'}; correct the source and import it again.")
    ticket, outcome, misread = read_row(fields, dataset, source=source, row=row)
    ticket = clean_ticket(ticket, dataset.languages)
    # A day of grace: in some zones it is already tomorrow.
    if ticket.created_at.date() > date.fromisoformat(arrived) + timedelta(days=1):
        raise Refused(
            FUTURE, f"created on {ticket.created_at.date()}, but it arrived on {arrived}; correct the date or --as-of."
        )
    return ticket, outcome, misread


def ticket_values(ticket: Ticket) -> tuple[Any, ...]:
    """A cleaned ticket as the columns of TICKETS, all but `split`, which the source gives."""
    return (
        ticket.ticket_id,
        ticket.created_at,
        ticket.channel,
        ticket.subject,
        ticket.body,
        ticket.language,
        ticket.customer_key,
        attributes_to_text(ticket.attributes),
    )


def _outcome_values(
    ticket: Ticket, outcome: ImportedOutcome, source: str, row: int, *, keep_reply: bool
) -> tuple[Any, ...]:
    """A row of IMPORTED_OUTCOMES."""
    return (
        ticket.ticket_id,
        source,
        row,
        ticket.created_at,
        outcome.contact_type,
        outcome.told_by,
        outcome.template_id,
        outcome.resolved_at,
        outcome.handle_seconds,
        outcome.labeler,
        outcome.reply if keep_reply else None,
    )


def _in_order(parts: Sequence[Path]) -> list[Path]:
    """Where a ticket stands twice in a day, its last row counts: of a file, of the file imported last, and of any file
    rather than the service's own copy."""
    return sorted(parts, key=lambda path: (not path.name.startswith(SERVICE), path.name))


def _publish(workspace: Workspace, aside: Path, day: str) -> None:
    """Put the day's partitions in place, tickets last: they carry the fingerprint that says the day is done."""
    refused = sorted((aside / QUARANTINE.name / f"arrived={day}").glob("*.parquet"))
    replace_parts(workspace, QUARANTINE, day, prefix=f"{STEP}-", parts=refused)
    workspace.publish(aside / IMPORTED_OUTCOMES.name, IMPORTED_OUTCOMES, [day])
    workspace.publish(aside / TICKETS.name, TICKETS, [day])


def _fingerprint(workspace: Workspace, day: str) -> str:
    """What a day's tickets follow from. Imported parts are known by their names, so that merging them changes
    nothing."""
    parts = parts_of(workspace, RAW, day)
    content = {found[1] if (found := _IMPORTED.match(path.name)) else file_hash(path) for path in parts}
    dataset = file_hash(workspace.catalogue / "dataset.toml")
    return hashlib.sha256("\n".join([RULES_VERSION, dataset, *sorted(content)]).encode()).hexdigest()
