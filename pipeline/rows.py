"""From a source row (column -> value, as it came) to a ticket and to an outcome, as dataset.toml says. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.text.clean import Refused
from pipeline.text.redact import customer_hash
from tickets.contact_types import SEPARATOR
from tickets.dataset import Dataset
from tickets.records import AttributeValue, Ticket, ticket_from_json
from tickets.tables import SERVICE

_ISO = ""  # no pattern: read as ISO 8601
_AMERICAN = ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p", "%m/%d/%y")
_EARLIEST_YEAR = 1970
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d*)?")  # `1,299.50`, `1,00,000`; never `12,50`


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedOutcome:
    """How a ticket ended, as its source row tells it: the contact type still a written path, the reply as it was
    sent."""

    ticket_id: str
    contact_type: str
    told_by: str | None = None  # JSON object of the columns that tell the parts of a split contact type apart
    template_id: str | None = None
    resolved_at: datetime | None = None
    handle_seconds: float | None = None
    labeler: str | None = None
    reply: str | None = None


def read_row(fields: str, dataset: Dataset, *, source: str, row: int) -> tuple[Ticket, ImportedOutcome | None, int]:
    """The ticket of a raw row, not cleaned yet; how it ended, None when the row names no contact type; and how many
    attribute values could not be understood (they are None).

    `fields` is RAW.fields, parsed once; rows with source SERVICE hold a whole Ticket. Raises Refused, for example for
    a broken date.
    """
    values: dict[str, Any] = json.loads(fields)
    if source == SERVICE:
        return ticket_from_json(values), None, 0
    ticket, misread = _ticket(values, dataset, source=source, row=row)
    return ticket, _outcome(values, dataset, ticket.ticket_id), misread


def _ticket(values: Mapping[str, Any], dataset: Dataset, *, source: str, row: int) -> tuple[Ticket, int]:
    attributes: dict[str, AttributeValue] = {}
    misread = 0
    for names, parse in (
        (dataset.categorical, _text),
        (dataset.numeric, parse_number),
        (dataset.boolean, parse_boolean),
    ):
        for name in names:
            found = lookup(values, name)
            if found is None:
                attributes[name] = None
                continue
            attributes[name] = read = parse(found)
            misread += read is None and _text(found) is not None
    columns = dataset.ticket

    def field(name: str) -> str:
        return (_text(lookup(values, columns[name])) or "") if name in columns else ""

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


def who_wrote(fields: str, dataset: Dataset, *, source: str, row: int) -> tuple[str | None, str | None]:
    """The ticket id and the hashed customer of a raw row, each None where the row does not tell it. Unlike `read_row`
    it also reads rows that `clean` refuses."""
    values: dict[str, Any] = json.loads(fields)
    if source == SERVICE:
        return _text(values.get("ticket_id")), values.get("customer_key")
    try:
        identifier: str | None = ticket_id(values, dataset, source=source, row=row)
    except Refused:
        identifier = None
    column = dataset.ticket.get("customer_key")
    customer = _text(lookup(values, column)) if column else None
    return identifier, customer_hash(customer, salt=dataset.name) if customer else None


def outcome_from_row(fields: str, dataset: Dataset, *, source: str, row: int) -> ImportedOutcome | None:
    """What the source row says of how the ticket ended; None when it names no contact type or no ticket."""
    if source == SERVICE:
        return None
    values: dict[str, Any] = json.loads(fields)
    try:
        return _outcome(values, dataset, ticket_id(values, dataset, source=source, row=row))
    except Refused:
        return None


def _outcome(values: Mapping[str, Any], dataset: Dataset, identifier: str) -> ImportedOutcome | None:
    if not dataset.contact_type:
        return None
    levels = [_text(lookup(values, column)) for column in dataset.contact_type]
    if levels[0] is None:
        return None
    columns = dataset.outcome

    def field(name: str) -> str | None:
        return _text(lookup(values, columns[name])) if name in columns else None

    seconds = parse_number(field("handle_seconds"))
    return ImportedOutcome(
        ticket_id=identifier,
        contact_type=SEPARATOR.join(level for level in levels if level),
        told_by=_told_by(values, dataset.told_by) if dataset.told_by else None,
        template_id=field("template_id"),
        resolved_at=_time_or_none(field("resolved_at"), dataset),
        handle_seconds=seconds if seconds is None or seconds >= 0 else None,
        labeler=field("labeler"),
        reply=field("reply"),
    )


def _told_by(values: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    """The columns that tell the parts of a split apart, as JSON text with sorted keys, empty ones left out."""
    told = {column: found for column in columns if (found := _text(lookup(values, column))) is not None}
    return json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":")) if told else None


def _time_or_none(written: str | None, dataset: Dataset) -> datetime | None:
    try:
        return parse_time(written, dataset) if written else None
    except ValueError:
        return None


def lookup(values: Mapping[str, Any], column: str) -> Any:
    """The value of a column; a dotted path reaches inside JSON objects. None when it is not there."""
    found = values.get(column)
    if found is not None or "." not in column or column in values:
        return found
    found = values
    for name in column.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def parse_time(written: str, dataset: Dataset) -> datetime:
    """A time in UTC: in the dataset's format, ISO 8601, or month/day/year when no format is given. Times without a
    zone are in the dataset's. Raises ValueError when it is none of these or before 1970."""
    own = dataset.created_at_format
    for pattern in (own, _ISO) if own else (_ISO, *_AMERICAN):
        try:
            # The zone, where none is written, comes on the next line.
            time = datetime.strptime(written, pattern) if pattern else datetime.fromisoformat(written)  # noqa: DTZ007
            time = time if time.tzinfo else time.replace(tzinfo=ZoneInfo(dataset.timezone))
            time = time.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        if time.year >= _EARLIEST_YEAR:
            return time
    raise ValueError(f"{written[:40]!r} is no date of {_EARLIEST_YEAR} or later")


def parse_number(value: Any) -> float | None:
    """A finite number, of text too (`1,299.50`, `$12`, `7 %`); None when it is none. A comma separates thousands: a
    decimal comma (`12,50`) is not read, or it would be told as a hundred times the amount."""
    if isinstance(value, float):  # in JSON and Parquet most are
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        value = value.strip().strip("$€£%").strip()
        if "_" in value:  # which Python allows in a number
            return None
        if _GROUPED.fullmatch(value):
            value = value.replace(",", "")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def parse_boolean(value: Any) -> bool | None:
    """True or False of the usual spellings; None for anything else."""
    if value is True or value is False:
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
    """The value as trimmed text; None when it is empty, null or NaN."""
    if isinstance(value, str):
        return value.strip() or None
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # pandas writes ids of a column with gaps as 17.0
    return str(value)
