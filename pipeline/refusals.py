"""Which source rows are refused though they can be read, and when so many are that the run stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from pipeline.text.clean import Refused
from tickets.dataset import Dataset
from tickets.errors import ContractError
from tickets.records import Ticket

ID_AT_MOST = 200  # characters: what the operational database keeps as a key
COUNTED_FROM = 100  # refused rows: fewer are looked at by hand, whatever their share
FUTURE = "created in the future"
ANCIENT = "created before 1970"
LONG_ID = "ticket id too long"
OUT_OF_RANGE = "attribute out of range"
HARMLESS = frozenset({"duplicate ticket id"})  # the row was replaced by a later one; nothing is wrong with it
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXAMPLE_AT_MOST = 160


def check_ticket(ticket: Ticket, arrived: str, dataset: Dataset) -> None:
    """Raises Refused when a cleaned ticket cannot be right: its time, its id, or an attribute that dataset.toml gives a
    range. `arrived` is the day, YYYY-MM-DD; a day of grace, since in some zones it is already tomorrow."""
    if len(ticket.ticket_id) > ID_AT_MOST:
        raise Refused(LONG_ID, f"the ticket id has {len(ticket.ticket_id)} letters; {ID_AT_MOST} are the most.")
    if ticket.created_at < _EPOCH:
        raise Refused(ANCIENT, f"created on {ticket.created_at.date()}; correct the date.")
    if ticket.created_at.date() > date.fromisoformat(arrived) + timedelta(days=1):
        raise Refused(
            FUTURE, f"created on {ticket.created_at.date()}, but it arrived on {arrived}; correct the date or --as-of."
        )
    for name, (low, high) in dataset.contract.ranges.items():
        value = ticket.attributes.get(name)
        if isinstance(value, float) and not low <= value <= high:
            raise Refused(OUT_OF_RANGE, f"{name!r} is {value:g}; dataset.toml says {low:g} to {high:g}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """What a run refused: rows by reason, and of some reasons what was said of one row."""

    counts: Mapping[str, int]
    examples: Mapping[str, str] = field(default_factory=dict)


def refuse_too_many(refusals: Refusals, total: int, limit: float) -> None:
    """Stop the run when more than `limit` (a share) of `total` rows were refused, and at least COUNTED_FROM: then not
    rows are wrong but the source or its description. Rows that a later one replaced do not count. Raises ContractError
    with a summary; call it before anything is published."""
    counts = {reason: rows for reason, rows in refusals.counts.items() if reason not in HARMLESS and rows}
    among = total - sum(rows for reason, rows in refusals.counts.items() if reason in HARMLESS)
    refused = sum(counts.values())
    if refused < COUNTED_FROM or refused <= limit * among:
        return
    lines = [f"  {rows:>9,}  {reason}{_example(refusals, reason)}" for reason, rows in _most_first(counts)]
    summary = "\n".join(lines)
    raise ContractError(
        f"{refused:,} of {among:,} rows were refused ({refused / among:.1%}), more than the {limit:.1%} that a run may "
        f"refuse. Nothing was published.\n{summary}\n",
        hint="Correct the source or its dataset.toml and import again. When the rows are rightly refused, set "
        f"quarantine_at_most = {_next_share(refused / among)} under [contract] of your dataset.toml and of its copy in "
        "the workspace (catalogue/dataset.toml, which each import replaces), and run again.",
    )


def _most_first(counts: Mapping[str, int]) -> Sequence[tuple[str, int]]:
    return sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))


def _example(refusals: Refusals, reason: str) -> str:
    example = refusals.examples.get(reason, "")
    return f": {example[:_EXAMPLE_AT_MOST]}" if example else ""


def _next_share(share: float) -> str:
    """The next whole percent above it, as a share."""
    return f"{min(100, int(share * 100) + 1) / 100:g}"
