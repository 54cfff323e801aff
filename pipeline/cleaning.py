"""Clean: raw rows to `tickets`, `imported_outcomes` and `quarantine`, by the same pure function that the service calls.

A day is cleaned when its raw rows, dataset.toml or the cleaning rules changed since its tickets were written; each
partition of `tickets` carries the fingerprint of what it was made from, and its counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.contract_checks import check_written
from pipeline.corrections import PREFIX, out_of_force, read_in_force
from pipeline.lake import arrivals, is_made, made_from, mark, parts_in, parts_of, replace_parts
from pipeline.refusals import Refusals, check_ticket, refuse_too_many
from pipeline.repeated_ids import DUPLICATE, PLACES, take_out_repeated
from pipeline.rows import ImportedOutcome, read_row
from pipeline.steps import follows_from, run_step
from pipeline.templates.reply_matching import ReplyIndex, index_replies, match_reply
from pipeline.text.clean import RULES_VERSION, Refused, clean_ticket
from pipeline.units import PartWriter, Unit, part_name, run_units, units_of
from tickets.catalogue import read_dataset, read_templates
from tickets.dataset import Dataset
from tickets.errors import MissingStepError
from tickets.manifests import Manifest, partition_name
from tickets.progress import Report, silent
from tickets.records import Ticket, attributes_to_text
from tickets.tables import IMPORTED_OUTCOMES, QUARANTINE, RAW, SERVICE, TICKETS, Table
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STEP = "clean"
_MISREAD = "attribute values not understood"
_TEMPLATES = "catalogue/templates.json"


@dataclass(frozen=True, slots=True)
class Reader:
    """What rows are read by: the dataset's description and, where no column tells which template was sent, replies."""

    dataset: Dataset
    replies: ReplyIndex | None


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What one task made of its unit: rows by table, rows refused by reason, and of each reason what was said first."""

    day: str
    raw: int
    tickets: int
    misread: int
    refused: Mapping[str, int]
    examples: Mapping[str, str]


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
        step.reads_days(RAW, days)
        step.reads("catalogue/dataset.toml")
        reader = Reader(dataset, _reply_index(workspace, dataset))
        if reader.replies is not None:
            step.reads(_TEMPLATES)
        wanted = {day: _follows_from(step.inputs, day) for day in days}
        changed = [day for day in days if not is_made(workspace, (TICKETS, IMPORTED_OUTCOMES), day, wanted[day])]
        gone = sorted(set(arrivals(workspace, TICKETS, as_of)) - set(days))
        with workspace.aside(STEP) as aside:
            counted = _clean_days(spark, workspace, reader, changed, aside)
            for day in changed:
                for table in (TICKETS, IMPORTED_OUTCOMES):
                    mark(aside / table.name / f"arrived={day}", wanted[day], **counted[day])
            for table in (TICKETS, IMPORTED_OUTCOMES):
                check_written(spark, workspace, table, aside / table.name, changed)
            for day in [*changed, *gone]:  # of a day that is gone, the raw rows were taken out of the lake
                _publish(workspace, aside, day)
        for day in days:
            for table in (TICKETS, IMPORTED_OUTCOMES):
                step.wrote(table, day, made_from=(partition_name(RAW, day), "catalogue/dataset.toml"))
        done = [made_from(workspace, TICKETS, day)["counts"] for day in days]
        step.counts = {name: sum(counts[name] for counts in done) for name in done[0]} | {"days": len(changed)}
        raw, tickets = (sum(counts[name] for counts in counted.values()) for name in ("raw", "tickets"))
        step.rows_in, step.rows_out = raw, tickets
        step.summary = f"{raw:,} rows -> {tickets:,} tickets, {raw - tickets:,} quarantined"
        if not changed:
            step.summary = "nothing new"
    return step.done


def _clean_days(
    spark: SparkSession, workspace: Workspace, reader: Reader, days: Sequence[str], aside: Path
) -> dict[str, dict[str, int]]:
    """Write the days' tables under `aside`; returns each day's counts. Raises ContractError when too many rows are
    refused, RuntimeError when one was lost, before anything is replaced."""
    units = [unit for day in days for unit in units_of(day, _in_order(parts_of(workspace, RAW, day)))]
    gone = out_of_force(workspace, days)
    cleaned = run_units(spark, units, lambda unit: clean_unit(unit, reader, gone, aside))
    again = take_out_repeated(spark, units, gone, aside) if cleaned else {}
    refused = sum((Counter(one.refused) for one in cleaned), Counter({DUPLICATE: sum(again.values())}))
    examples = {reason: said for one in cleaned for reason, said in one.examples.items()}
    rows = sum(one.raw for one in cleaned)
    refuse_too_many(Refusals(counts=refused, examples=examples), rows, reader.dataset.contract.quarantine_at_most)
    counted = {}
    for day in days:
        own = [one for one in cleaned if one.day == day]
        counts = {
            "raw": sum(one.raw for one in own),
            "tickets": sum(one.tickets for one in own) - again.get(day, 0),
            "quarantine": sum(sum(one.refused.values()) for one in own) + again.get(day, 0),
        }
        if counts["raw"] != counts["tickets"] + counts["quarantine"]:
            raise RuntimeError(f"cleaning {day} lost or doubled rows: {counts}.")
        counted[day] = counts | {_MISREAD: sum(one.misread for one in own)}
    return counted


def clean_unit(unit: Unit, reader: Reader, gone: frozenset[str], aside: Path) -> Cleaned:
    """What a task runs: read the raw rows in force (not `gone`), write the unit's part of each table under
    `aside/<table>/arrived=<day>/`."""
    dataset, replies = reader.dataset, reader.replies
    raw = misread = 0
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    keep_reply = {"reply", "template_id"} <= set(dataset.outcome) and dataset.templates_file is None

    def part(table: Table, *, always: bool = True) -> PartWriter:
        folder = aside / table.name / f"arrived={unit.day}"
        return PartWriter(folder / part_name(unit.number), table.schema, always=always)

    with (
        part(TICKETS) as tickets,
        part(IMPORTED_OUTCOMES) as outcomes,
        part(PLACES) as places,
        part(QUARANTINE, always=False) as quarantine,
    ):
        for _, rows in read_in_force(unit, gone):
            raw += rows.num_rows
            for source, row, fields, split, problem in zip(
                *(column.to_pylist() for column in rows.columns), strict=True
            ):
                try:
                    ticket, outcome, unread = checked_row(fields, problem, dataset, source, row, arrived=unit.day)
                except Refused as refused:
                    quarantine.append((source, row, fields, STEP, refused.reason, refused.detail), len(fields))
                    reasons[refused.reason] += 1
                    examples.setdefault(refused.reason, refused.detail)
                    continue
                misread += unread
                tickets.append((*ticket_values(ticket), split), len(ticket.body))
                places.append((ticket.ticket_id, source, row))
                if outcome is not None:
                    if replies is not None and outcome.reply:
                        outcome = replace(outcome, template_id=match_reply(outcome.reply, replies))
                    outcomes.append(outcome_values(ticket, outcome, source, row, keep_reply=keep_reply))
    return Cleaned(unit.day, raw, tickets.rows, misread, dict(reasons), examples)


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
    check_ticket(ticket, arrived, dataset)
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


def outcome_values(
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
    """Where a ticket stands twice in a day, its last row counts: of a file, of the file imported last, of any file
    rather than the service's own copy, and of rows that people corrected rather than any file."""
    return sorted(parts, key=lambda path: (not path.name.startswith(SERVICE), path.name.startswith(PREFIX), path.name))


def _publish(workspace: Workspace, aside: Path, day: str) -> None:
    """Put the day's partitions in place. Of a run that dies in between, the first and the last carry other
    fingerprints, so the day is not done, even where what changed has been changed back since."""
    refused = parts_in(aside / QUARANTINE.name / f"arrived={day}")
    workspace.publish(aside / IMPORTED_OUTCOMES.name, IMPORTED_OUTCOMES, [day])
    replace_parts(workspace, QUARANTINE, day, prefix=f"{STEP}-", parts=refused)
    workspace.publish(aside / TICKETS.name, TICKETS, [day])


def _reply_index(workspace: Workspace, dataset: Dataset) -> ReplyIndex | None:
    """For teams whose helpdesk does not say which template was sent: the replies tell. None for all others. When
    people approve mined templates, all history is read through them once."""
    if "reply" not in dataset.outcome or "template_id" in dataset.outcome:
        return None
    templates = [template for template in read_templates(workspace) if template.active]
    return index_replies(templates) if templates else None


def _follows_from(inputs: Mapping[str, str], day: str) -> str:
    names = ("catalogue/dataset.toml", partition_name(RAW, day), _TEMPLATES)
    return follows_from({name: inputs[name] for name in names if name in inputs}, RULES_VERSION)
