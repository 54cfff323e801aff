"""What a payload tells, in our words, and how to read payloads that may hold anything.

Fields that are unknown or of another kind than expected are passed over; only what a ticket cannot do without is
missed. Messages name fields and never repeat what stands in them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from service.schemas import MAX_TEXT
from tickets.records import AttributeValue

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # ids become part of addresses


class Unreadable(Exception):  # noqa: N818  # it is answered, not an error of ours
    """A payload that lacks what is needed. The message holds no ticket text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A new ticket: the helpdesk's own id and the customer's key as they came."""

    ticket_id: str
    created_at: datetime
    body: str
    subject: str = ""
    channel: str = ""
    language: str | None = None
    customer: str | None = None
    attributes: Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a ticket's field and tags say it is about. `final`: its agent is done with it, so silence is consent."""

    ticket_id: str
    values: tuple[str, ...]
    final: bool
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A payload may tell of a ticket, of a judgement, of both (where it cannot be told apart), or of neither."""

    arrived: Arrived | None = None
    judged: Judged | None = None
    otherwise: str = ""  # what it tells of when it is neither


def parse(raw: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unreadable("the body is no valid JSON.") from error
    if not isinstance(found, dict):
        raise Unreadable("the body is no JSON object.")
    return found


def part(payload: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object under a name; empty when there is none."""
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def needed_part(payload: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = payload.get(name)
    if not isinstance(found, dict):
        raise Unreadable(f"{name} is missing or no object.")
    return found


def identifier(payload: Mapping[str, Any], name: str) -> str:
    """An id as text. Raises Unreadable unless it is plain enough to stand in an address."""
    written = label(payload.get(name))
    if not _ID.fullmatch(written):
        raise Unreadable(f"{name} is missing or no id.")
    return written


def needed_text(payload: Mapping[str, Any], name: str) -> str:
    found = text(payload.get(name))
    if not found.strip():
        raise Unreadable(f"{name} is missing or empty.")
    return found


def text(value: Any) -> str:
    """A text, cut to what a ticket may hold; empty for anything else."""
    return value[:MAX_TEXT].replace("\x00", "") if isinstance(value, str) else ""


def label(value: Any) -> str:
    """A short text or a whole number as text; empty for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(value).strip()[:200]


def labels(value: Any) -> tuple[str, ...]:
    """A list of labels, or one written with commas."""
    if isinstance(value, str):
        value = value.split(",")
    return tuple(found for one in value if (found := label(one))) if isinstance(value, list) else ()


def moment(value: Any, otherwise: datetime) -> datetime:
    """ISO 8601 or seconds since 1970, in UTC; `otherwise` for anything that is no time between 1990 and 2200."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value, UTC)
        else:
            found = datetime.fromisoformat(text(value))
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return otherwise
    return found if 1990 <= found.year < 2200 else otherwise


def attributes(payload: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, AttributeValue]:
    """The configured attributes, name -> value, that the payload has. A place such as `detail.via.channel` goes down
    object by object; a value that is no text, number or truth value is left out."""
    found: dict[str, AttributeValue] = {}
    for name, place in wanted.items():
        value: Any = payload
        for step in place.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str):
            found[name] = text(value)[:1000]
        elif isinstance(value, bool):
            found[name] = value
        elif isinstance(value, int | float) and math.isfinite(value):
            found[name] = float(value)
    return found
