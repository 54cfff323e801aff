"""One ticket, cleaned: the same pure function in the nightly batch and in the service. No Spark, no pandas.

Cleaning twice is cleaning once: each text goes through the stages until none of them changes it any more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from functools import lru_cache

from pipeline.text.boilerplate import cut_external_mark
from pipeline.text.language import tell_language
from pipeline.text.markup import strip_markup
from pipeline.text.quoted_mail import cut_mail
from pipeline.text.redact import mask
from tickets.errors import InputError
from tickets.records import AttributeValue, Ticket

RULES_VERSION = "3"  # raise it when rows are read or cleaned otherwise, and the next night cleans every day again
READ_AT_MOST = 1_000_000  # characters of a body; mail programs put 100 kB of style before the first word
KEEP_AT_MOST = 100_000  # characters of a cleaned body; the model reads about 2,000
SUBJECT_AT_MOST = 500
ATTRIBUTE_AT_MOST = 200
_ROUNDS = 12

# Most texts are of printable ASCII, line breaks, Latin letters, quotes and dashes as printed, and the euro.
_ODD = re.compile("[^\n -~¡-¬®-ʯ‐-‧€]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LINE_BREAK = re.compile("\r\n?|[\x85\u2028\u2029]")
_SPACES = re.compile(r"[^\S\n][^\S\n]+|[^\S\n ]")  # anything but one plain space, which most are
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
        language=_language_code(ticket.language) or tell_language(f"{body}\n{subject}", languages),
        attributes=clean_attributes(ticket.attributes),
    )


def clean_body(text: str) -> str:
    """The customer's own words, personal data masked; "" when there are none."""
    return _until_settled(text[:READ_AT_MOST], _BODY_STAGES)


def clean_subject(text: str) -> str:
    """One line, without `Re:` and `Fwd:`, personal data masked."""
    return _until_settled(text[: SUBJECT_AT_MOST * 2], _SUBJECT_STAGES)


def clean_attributes(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Numbers as floats, texts trimmed; what says nothing (empty, not a number, infinite) is None."""
    return {name: _attribute(value) for name, value in attributes.items()}


def _until_settled(text: str, stages: Sequence[Callable[[str], str]]) -> str:
    """Stage after stage until all of them left the text as it was: stripping one layer (an entity, a tag) may bring
    another to light."""
    unchanged = 0
    for number in range(_ROUNDS * len(stages)):
        cleaned = stages[number % len(stages)](text)
        unchanged = unchanged + 1 if cleaned == text else 0
        text = cleaned
        if unchanged == len(stages):
            return text
    raise Refused(
        "text never settles", "cleaning kept changing the text; was it escaped many times over? Unescape it first."
    )


def _plain_text(text: str) -> str:
    """Without markup and invisible characters, lines broken by \\n alone."""
    odd = _ODD.search(text) is not None
    if odd:
        text = _INVISIBLE.sub("", _LINE_BREAK.sub("\n", text))
    if "&" in text:
        odd = True  # the entity of an odd space may be among them
    if "<" in text or "&" in text:
        text = strip_markup(text)
    return _tidy(_SPACES.sub(" ", text) if odd else text)


def _own_words(text: str) -> str:
    return _shorten(_tidied(cut_mail(text), text), KEEP_AT_MOST)


def _masked_body(text: str) -> str:
    return _shorten(_tidied(mask(text), text), KEEP_AT_MOST)  # a mask may be longer than what it hides


def _own_title(text: str) -> str:
    text = cut_external_mark(text.replace("\n", " "))
    prefix = _REPLY_PREFIX.match(text)
    return _tidy(text[prefix.end() :] if prefix else text)


def _masked_title(text: str) -> str:
    return _shorten(_tidied(mask(text), text), SUBJECT_AT_MOST)


_BODY_STAGES = (_plain_text, _own_words, _masked_body)
_SUBJECT_STAGES = (_plain_text, _own_title, _masked_title)


def _tidied(text: str, before: str) -> str:
    """The text, tidy; what it was before the stage is tidy already, and most stages change nothing."""
    return text if text == before else _tidy(text)


def _tidy(text: str) -> str:
    """Single spaces, no spaces at the ends of lines, at most one empty line between paragraphs. The only spaces in the
    text are plain ones."""
    if "  " in text:
        text = re.sub(" {2,}", " ", text)
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


@lru_cache(maxsize=1024)  # of categories there are few
def _label(text: str) -> str:
    return _tidy(_SPACES.sub(" ", _INVISIBLE.sub("", text[:ATTRIBUTE_AT_MOST]))).replace("\n", " ")


def _language_code(language: str | None) -> str | None:
    """`en` of `en-US`; None when nothing was said that could be a code."""
    code = re.split(r"[-_]", language.strip().lower())[0] if language else ""
    return code if re.fullmatch("[a-z]{2,8}", code) else None


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
