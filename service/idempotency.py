"""The same request again: an Idempotency-Key names the suggestion, so that asking again finds the first answer.

The key becomes the suggestion's id (SHA-256), so no table of keys is needed: the log of suggestions is the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

import sqlalchemy as sa
import structlog
from anyio import to_thread

from pipeline.text.clean import Refused, clean_ticket
from service.access.privacy import kept_ticket
from service.answering import Wanted, answer, find_kept
from service.problems import Problem
from service.serving import Serving
from tickets.records import Suggestion, Ticket

log = structlog.get_logger()


def derived_id(key: str, row: int = 0) -> str:
    """The suggestion_id of the ticket in this row of a request with this key."""
    return sha256(f"suggestion {row} {key}".encode()).hexdigest()[:32]


async def answer_once(
    held: Serving, wanted: Sequence[Wanted], *, timed: Sequence[bool]
) -> tuple[list[Suggestion], bool]:
    """One suggestion a ticket, those of an earlier request where they were kept; and whether all of them were.

    `wanted` have derived ids; `timed` says which tickets came with a time. With the database away nothing can be looked
    up: all are answered anew, under the same ids. Raises Problem as `answer` does, and 422 for a key that was used for
    something else.
    """
    kept = await to_thread.run_sync(_kept, held, wanted, timed)
    missing = [one for one, found in zip(wanted, kept, strict=True) if found is None]
    made = iter(await answer(held, missing) if missing else [])
    return [found or next(made) for found in kept], not missing


def _kept(held: Serving, wanted: Sequence[Wanted], timed: Sequence[bool]) -> list[Suggestion | None]:
    try:
        found = [find_kept(held, one.suggestion_id) for one in wanted]
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as error:
        log.warning("idempotency keys not looked up", kind=type(error).__qualname__)
        return [None] * len(wanted)
    for one, has_time, pair in zip(wanted, timed, found, strict=True):
        if pair is not None and not _same(held, one, has_time, *pair):
            raise reused("another ticket, or for more suggestions of it")
    return [pair[1] if pair else None for pair in found]


def _same(held: Serving, wanted: Wanted, timed: bool, kept: Ticket, suggestion: Suggestion) -> bool:
    """Whether the kept answer is one to this request. What was filled in (a time, a language) does not count."""
    given = replace(
        wanted.ticket,
        created_at=wanted.ticket.created_at if timed else kept.created_at,
        language=wanted.ticket.language or kept.language,
    )
    try:
        cleaned = clean_ticket(given, ())
    except Refused:
        return False
    fits = len(suggestion.contact_types) <= wanted.top_types and len(suggestion.templates) <= wanted.top_templates
    return kept_ticket(cleaned, held.options.keep_text) == kept and fits


def reused(what: str) -> Problem:
    return Problem(
        422,
        "idempotency-key-reused",
        f"this Idempotency-Key was sent before for {what}; what was kept then stays as it was.",
        hint="Make a new key for each request; repeat a key only with the same content.",
    )
