"""One ticket, cleaned: the same pure function in the nightly batch and in the service. No Spark, no pandas.

Cleaning twice is cleaning once: each text is cleaned until nothing changes any more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC

from pipeline.language import tell_language
from pipeline.markup import strip_markup
from pipeline.quoted_mail import cut_mail
from pipeline.redact import mask
from tickets.errors import InputError
from tickets.records import AttributeValue, Ticket

RULES_VERSION = "1"  # raise it when cleaning changes, and the next night cleans every day again
READ_AT_MOST = 1_000_000  # characters of a body; mail programs put 100 kB of style before the first word
KEEP_AT_MOST = 100_000  # characters of a cleaned body; the model reads about 2,000
SUBJECT_AT_MOST = 500
ATTRIBUTE_AT_MOST = 200
_ROUNDS = 12

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_ODD_SPACE = re.compile(r"[^\S\n ][^\S\n]*| [^\S\n]+")  # anything but one plain space, which most are
_REPLY_PREFIX = re.compile(r"(?:(?:re|fwd?|aw|wg|sv|tr|rv|enc|antw)\s?(?:\[\d{1,3}\])?\s?:\s*)+", re.IGNORECASE)


class Refused(InputError):  # noqa: N818  # reads as what it says: the row was refused
    """A row that cannot become a ticket. `reason` is a short fixed phrase, `detail` says what was found and what to
    do."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def clean_ticket(ticket: Ticket, languages: Sequence[str]) -> Ticket:
    """The ticket without HTML, quoted mail, signatures and personal data, its language told, its time in UTC.

    `languages` are the ones to tell apart when the ticket names none. The first 1,000,000 characters of a body are
    read and at most 100,000 kept. Raises Refused when no words are left.
    """
    if not ticket.ticket_id.strip():
        raise Refused("no ticket id", "the ticket id is empty; give every ticket its own.")
    subject, body = clean_subject(ticket.subject), clean_body(ticket.body)
    if not body:
        found = "no text" if not ticket.body.strip() else f"{len(ticket.body)} characters that hold no text"
        raise Refused("empty body", f"the body holds {found}; a ticket needs the customer's words.")
    created_at = ticket.created_at if ticket.created_at.tzinfo else ticket.created_at.replace(tzinfo=UTC)
    return replace(
        ticket,
        ticket_id=ticket.ticket_id.strip(),
        created_at=created_at.astimezone(UTC),
        subject=subject,
        body=body,
        channel=_label(ticket.channel),
        language=_language_code(ticket.language) or tell_language(f"{subject}\n{body}", languages),
        attributes=clean_attributes(ticket.attributes),
    )


def clean_body(text: str) -> str:
    """The customer's own words, personal data masked; "" when there are none."""
    return _until_settled(text[:READ_AT_MOST], mail=True)


def clean_subject(text: str) -> str:
    """One line, without `Re:` and `Fwd:`, personal data masked."""
    return _until_settled(text[: SUBJECT_AT_MOST * 2], mail=False)


def clean_attributes(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Numbers as floats, texts trimmed; what says nothing (empty, not a number, infinite) is None."""
    return {name: _attribute(value) for name, value in attributes.items()}


def _until_settled(text: str, *, mail: bool) -> str:
    """Clean again until nothing changes: stripping one layer (an entity, a tag) may bring another to light."""
    for _ in range(_ROUNDS):
        cleaned = _pass(text, mail=mail)
        if cleaned == text:
            return text
        text = cleaned
    raise Refused(
        "text never settles", "cleaning kept changing the text; was it escaped many times over? Unescape it first."
    )


def _pass(text: str, *, mail: bool) -> str:
    text = (
        text.replace("\r\n", "\n")
        .replace("\r", "\n")
        .replace("\x85", "\n")
        .replace("\u2028", "\n")
        .replace("\u2029", "\n")
    )
    text = _tidy(strip_markup(_INVISIBLE.sub("", text)))
    if mail:
        text = _shorten(cut_mail(text), KEEP_AT_MOST)
        return _shorten(_tidy(mask(text)), KEEP_AT_MOST)  # a mask may be longer than what it hides
    text = (
        _REPLY_PREFIX.sub("", text.replace("\n", " "), count=1)
        if _REPLY_PREFIX.match(text)
        else text.replace("\n", " ")
    )
    return _shorten(_tidy(mask(text)), SUBJECT_AT_MOST)


def _tidy(text: str) -> str:
    """Single spaces, no spaces at the ends of lines, at most one empty line between paragraphs."""
    text = _ODD_SPACE.sub(" ", text)
    if " \n" in text or "\n " in text:
        text = text.replace(" \n", "\n").replace("\n ", "\n")
    if "\n\n\n" in text:
        text = re.sub(r"\n{3,}", "\n\n", text)
    return text.strip()


def _shorten(text: str, limit: int) -> str:
    """The first `limit` characters at most, cut between words where there are words."""
    if len(text) <= limit:
        return text
    kept = text[:limit]
    words, _, _ = kept.rpartition(" ")
    return (words if len(words) > limit // 2 else kept).strip()


def _label(text: str) -> str:
    return _tidy(_INVISIBLE.sub("", text[:ATTRIBUTE_AT_MOST])).replace("\n", " ")


def _language_code(language: str | None) -> str | None:
    """`en` of `en-US`; None when nothing was said."""
    code = re.split(r"[-_]", language.strip().lower())[0] if language else ""
    return code[:8] or None


def _attribute(value: AttributeValue) -> AttributeValue:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        return _label(value) or None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
