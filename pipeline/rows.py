"""From a source row (column -> value, as it came) to a ticket and to an outcome, as dataset.toml says. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.clean import Refused
from pipeline.redact import customer_hash
from tickets.contact_types import SEPARATOR
from tickets.dataset import Dataset
from tickets.records import AttributeValue, Ticket, ticket_from_json
from tickets.tables import SERVICE

_AMERICAN = ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p", "%m/%d/%y")
_EARLIEST_YEAR = 1970
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedOutcome:
    """How a ticket ended, as its source row tells it: the contact type still a written path, the reply as it was
    sent."""

    ticket_id: str
    contact_type: str
    template_id: str | None = None
    resolved_at: datetime | None = None
    handle_seconds: float | None = None
    labeler: str | None = None
    reply: str | None = None


def ticket_from_row(fields: str, dataset: Dataset, *, source: str, row: int) -> tuple[Ticket, int]:
    """The ticket of a raw row, not cleaned yet, and how many attribute values could not be understood (they are None).

    `fields` is RAW.fields; rows with source SERVICE hold a whole Ticket. Raises Refused, for example for a broken date.
    """
    values: dict[str, Any] = json.loads(fields)
    if source == SERVICE:
        return ticket_from_json(values), 0
    attributes: dict[str, AttributeValue] = {}
    misread = 0
    for names, parse in (
        (dataset.categorical, _text),
        (dataset.numeric, parse_number),
        (dataset.boolean, parse_boolean),
    ):
        for name in names:
            found = lookup(values, name)
            attributes[name] = parse(found)
            misread += attributes[name] is None and _text(found) is not None

    def field(name: str) -> str:
        return (_text(lookup(values, dataset.ticket[name])) or "") if name in dataset.ticket else ""

    customer = field("customer_key")
    ticket = Ticket(
        ticket_id=ticket_id(values, dataset, source=source, row=row),
        created_at=_created_at(values, dataset),
        subject=field("subject"),
        body=field("body"),
        channel=field("channel"),
        language=field("language") or None,
        customer_key=customer_hash(customer, salt=dataset.name) if customer else None,
        attributes=attributes,
    )
    return ticket, misread


def ticket_id(values: Mapping[str, Any], dataset: Dataset, *, source: str, row: int) -> str:
    """The row's own id; where the dataset has none, the file's name and the row's number. Raises Refused when it is
    empty."""
    if "ticket_id" not in dataset.ticket:
        return f"{source.rpartition('#')[0] or source}-{row}"
    column = dataset.ticket["ticket_id"]
    if (found := _text(lookup(values, column))) is None:
        raise Refused("no ticket id", f"the column {column!r} is empty; give every ticket its own id.")
    return found


def outcome_from_row(fields: str, dataset: Dataset, *, source: str, row: int) -> ImportedOutcome | None:
    """What the source row says of how the ticket ended; None when it names no contact type."""
    if source == SERVICE or not dataset.contact_type:
        return None
    values: dict[str, Any] = json.loads(fields)
    levels = [_text(lookup(values, column)) for column in dataset.contact_type]
    if levels[0] is None:
        return None

    def field(name: str) -> str | None:
        return _text(lookup(values, dataset.outcome[name])) if name in dataset.outcome else None

    resolved = field("resolved_at")
    try:
        identifier = ticket_id(values, dataset, source=source, row=row)
        resolved_at = parse_time(resolved, dataset) if resolved else None
    except Refused:
        return None
    except ValueError:
        resolved_at = None
    return ImportedOutcome(
        ticket_id=identifier,
        contact_type=SEPARATOR.join(level for level in levels if level),
        template_id=field("template_id"),
        resolved_at=resolved_at,
        handle_seconds=parse_number(field("handle_seconds")),
        labeler=field("labeler"),
        reply=field("reply"),
    )


def lookup(values: Mapping[str, Any], column: str) -> Any:
    """The value of a column; a dotted path reaches inside JSON objects. None when it is not there."""
    if column in values or "." not in column:
        return values.get(column)
    found: Any = values
    for name in column.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def parse_time(written: str, dataset: Dataset) -> datetime:
    """A time in UTC: in the dataset's format, ISO 8601, or month/day/year when no format is given. Times without a
    zone are in the dataset's. Raises ValueError when it is none of these or before 1970."""
    formats = (dataset.created_at_format,) if dataset.created_at_format else _AMERICAN
    for reading in (*formats, None) if dataset.created_at_format else (None, *formats):
        try:
            # The zone, where none is written, comes on the next line.
            time = datetime.strptime(written, reading) if reading else datetime.fromisoformat(written)  # noqa: DTZ007
            time = time if time.tzinfo else time.replace(tzinfo=ZoneInfo(dataset.timezone))
            time = time.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        if time.year >= _EARLIEST_YEAR:
            return time
    raise ValueError(f"{written[:40]!r} is no date of {_EARLIEST_YEAR} or later")


def parse_number(value: Any) -> float | None:
    """A finite number, of text too (`1,299.50`, `$12`, `7 %`); None when it is none."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        value = value.strip().strip("$€£%").replace(",", "").replace("_", " ").strip()
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def parse_boolean(value: Any) -> bool | None:
    """True or False of the usual spellings; None for anything else."""
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower().removesuffix(".0")
    return True if text in _TRUE else False if text in _FALSE else None


def _created_at(values: Mapping[str, Any], dataset: Dataset) -> datetime:
    if "created_at" not in dataset.ticket:
        constant = dataset.created_at_constant
        assert constant is not None  # load_dataset refuses a dataset with neither
        return constant if constant.tzinfo else constant.replace(tzinfo=ZoneInfo(dataset.timezone))
    column = dataset.ticket["created_at"]
    written = _text(lookup(values, column)) or ""
    try:
        return parse_time(written, dataset)
    except ValueError as error:
        expected = dataset.created_at_format or "2026-01-31, 2026-01-31T12:00:00Z or 01/31/2026"
        raise Refused("broken date", f"{column!r} holds {written[:40]!r}; {expected} was expected.") from error


def _text(value: Any) -> str | None:
    """The value as trimmed text; None when it is empty, null or not a number."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        text = value
    elif isinstance(value, (dict, list)):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, float) and value.is_integer():
        text = str(int(value))  # pandas writes ids of a column with gaps as 17.0
    else:
        text = str(value)
    return text.strip() or None
