"""From tickets to suggestions: clean, wait for the model, keep, answer. Every way in comes through here: the API, the
console, the helpdesks.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from anyio import to_thread
from opentelemetry.context import Context

from models.suggest import Suggester
from pipeline.text.clean import Refused, clean_ticket
from service.access.privacy import kept_suggestion, kept_ticket
from service.arms import Shares
from service.logs import where
from service.problems import FieldError, Problem, database_away
from service.serving import Serving
from tickets.feedback_log import find_suggestion, new_id
from tickets.records import Arm, Suggestion, Ticket, shown

log = structlog.get_logger()

_QUICK = 4_000  # characters that are cleaned at once; longer ones would hold up other requests
_SETTLES_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A ticket to suggest for. `pointer` says where it stands in the request (RFC 6901); `suggestion_id` may be given,
    so that asking again finds the first answer."""

    ticket: Ticket
    pointer: str = ""
    suggestion_id: str = field(default_factory=new_id)
    top_types: int = 3
    top_templates: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A cleaned ticket on its way to the model. One in shadow is neither kept nor shown."""

    ticket: Ticket
    wanted: Wanted
    suggester: Suggester
    arm: Arm = "champion"
    shadow: bool = False
    span: Context | None = None  # of the request, while traces are made
    since: int = 0  # when it began to wait, in nanoseconds as time.time_ns() tells them


async def answer(held: Serving, wanted: Sequence[Wanted]) -> list[Suggestion]:
    """One suggestion a ticket, kept with the cleaned ticket before it is returned.

    Raises Problem: 503 without a release or with a full queue, 422 for tickets that cleaning refuses.
    """
    champion = held.releases.require(retry_after=held.options.retry_after_seconds).suggester
    with held.options.traces.span("cleaning", tickets=len(wanted)):
        tickets = await cleaned(wanted, champion.release.languages)
    span, now = held.options.traces.here(), time.time_ns()
    challenger = held.releases.challenger
    shares = Shares(
        holdout=held.options.holdout_share,
        canary=challenger.challenge.canary if challenger else 0.0,
        shadow=challenger.challenge.shadow if challenger else 0.0,
    )
    asked = []
    for one, ticket in zip(wanted, tickets, strict=True):
        arm = shares.arm(ticket.ticket_id)
        suggester = challenger.release.suggester if challenger and arm == "canary" else champion
        asked.append(Asked(ticket=ticket, wanted=one, suggester=suggester, arm=arm, span=span, since=now))
    made = await ask(held, asked)
    held.metrics.suggested(made)
    if challenger and shares.shadow:
        watched = [
            (dataclasses.replace(one, suggester=challenger.release.suggester, shadow=True), suggestion)
            for one, suggestion in zip(asked, made, strict=True)
            if one.arm != "canary" and shares.shadowed(one.ticket.ticket_id)
        ]
        if watched:
            held.in_background(_ask_shadow(held, watched))
    return [shown(suggestion) for suggestion in made]


async def ask(held: Serving, asked: Sequence[Asked], *, bulk: bool = False) -> list[Suggestion]:
    """What the model says, in order, through the queue; `bulk` as MicroBatcher.submit has it."""
    lengths = [_length(one.ticket) for one in asked]
    return await held.batcher.submit(asked, lengths, groups=[one.suggester for one in asked], bulk=bulk)


def infer(held: Serving, asked: Sequence[Asked]) -> list[Suggestion]:
    """Suggest for tickets of one release, and write down those that are to be kept. Runs in an inference thread."""
    began = time.time_ns()
    made = asked[0].suggester.suggest_cleaned(
        [one.ticket for one in asked],
        top_types=max(one.wanted.top_types for one in asked),
        top_templates=max(one.wanted.top_templates for one in asked),
        now=held.options.clock(),
    )
    named = [
        dataclasses.replace(
            suggestion,
            suggestion_id=one.wanted.suggestion_id,
            contact_types=suggestion.contact_types[: one.wanted.top_types],
            templates=suggestion.templates[: one.wanted.top_templates],
            arm=one.arm,
        )
        for one, suggestion in zip(asked, made, strict=True)
    ]
    said_at = time.time_ns()
    policy = held.options.keep_text
    held.spool.keep(
        [
            (kept_ticket(one.ticket, policy), kept_suggestion(said, policy))
            for one, said in zip(asked, named, strict=True)
            if not one.shadow
        ]
    )
    _trace(held, asked, began, said_at)
    return named


def _trace(held: Serving, asked: Sequence[Asked], began: int, said: int) -> None:
    """The spans of tickets that were read together: each has waited for itself."""
    traces, kept = held.options.traces, time.time_ns()
    for one in asked:
        if one.span is not None and not one.shadow:
            traces.record("waiting", one.span, one.since, began)
            traces.record("inference", one.span, began, said, tickets=len(asked))
            traces.record("keeping", one.span, said, kept)


def find_kept(held: Serving, suggestion_id: str) -> tuple[Ticket, Suggestion] | None:
    """A suggestion that was answered, as it was shown, with its cleaned ticket; None for an unknown id, whatever
    characters it holds. Raises Problem (503) while it may still be on its way to the database."""
    if "\x00" in suggestion_id:
        return None
    knew_all = held.spool.knows_all  # asked first: what is taken up while the database looks may be what is sought
    found = held.spool.find(suggestion_id) or find_suggestion(held.engine, suggestion_id)
    if found is None and not knew_all:
        settled = held.spool.settle(seconds=_SETTLES_SECONDS)
        found = find_suggestion(held.engine, suggestion_id)
        if found is None and not settled:
            raise Problem(
                503,
                "not-yet-known",
                "suggestions are still on their way to the database, this one perhaps among them.",
                hint="Send it again, with the same Idempotency-Key if it had one.",
                retry_after=held.options.retry_after_seconds,
            )
    return (found[0], shown(found[1])) if found else None


def settle(held: Serving) -> None:
    """Wait a moment until what was answered before is in the database, where pages look for it."""
    held.spool.settle(seconds=_SETTLES_SECONDS)


def settle_one(held: Serving, suggestion_id: str) -> None:
    """Wait until the database has this suggestion, which feedback belongs to. Raises Problem (503) when it has not."""
    if held.spool.find(suggestion_id) is None:
        return
    held.spool.settle(seconds=_SETTLES_SECONDS)
    if held.spool.find(suggestion_id) is not None:
        raise database_away(retry_after=held.options.retry_after_seconds)


async def _ask_shadow(held: Serving, watched: Sequence[tuple[Asked, Suggestion]]) -> None:
    """Ask the challenger about tickets the champion has answered, and keep how the two compare. Nobody waits for it, so
    it stands behind those who do, and whatever goes wrong drops it."""
    try:
        answers = await ask(held, [one for one, _ in watched], bulk=True)
        rows = _compared(held, watched, answers)
        await to_thread.run_sync(held.spool.keep_challenger_answers, rows)
    except Exception as error:
        held.metrics.refused("shadow")
        if not isinstance(error, Problem):
            log.error("shadow failed", kind=type(error).__qualname__, at=where(error))


def _compared(
    held: Serving, watched: Sequence[tuple[Asked, Suggestion]], answers: Sequence[Suggestion]
) -> list[dict[str, object]]:
    """Rows of challenger_answers."""
    rows = list[dict[str, object]]()
    for (_, champion), challenger in zip(watched, answers, strict=True):
        first = challenger.contact_types[0] if challenger.contact_types else None
        agreed = bool(first and champion.contact_types and first.contact_type == champion.contact_types[0].contact_type)
        held.metrics.compared(challenger.model_version, agreed=agreed)
        rows.append(
            {
                "suggestion_id": champion.suggestion_id,
                "model_version": challenger.model_version,
                "at": challenger.created_at,
                "contact_type": first.contact_type if first else None,
                "probability": first.probability if first else None,
                "abstained": challenger.abstained,
                "agreed": agreed,
            }
        )
    return rows


async def cleaned(wanted: Sequence[Wanted], languages: Sequence[str]) -> list[Ticket]:
    """The tickets as the pipeline would keep them: cleaned and masked. Raises Problem (422) naming each that it
    refuses."""
    if sum(_length(one.ticket) for one in wanted) > _QUICK:
        return await asyncio.to_thread(_clean, wanted, languages)
    return _clean(wanted, languages)


def _length(ticket: Ticket) -> int:
    """Characters that are cleaned and read."""
    return len(ticket.subject) + len(ticket.body)


def _clean(wanted: Sequence[Wanted], languages: Sequence[str]) -> list[Ticket]:
    tickets, errors = [], []
    for one in wanted:
        try:
            tickets.append(clean_ticket(one.ticket, languages))
        except Refused as refused:
            errors.append(FieldError(where="body", pointer=one.pointer, detail=f"{refused.reason}: {refused.detail}"))
    if errors:
        raise Problem(
            422,
            "ticket-refused",
            errors[0].detail if len(wanted) == 1 else f"{len(errors)} of {len(wanted)} tickets cannot be read.",
            hint="Send what the customer wrote in `body`.",
            errors=errors,
        )
    return tickets
