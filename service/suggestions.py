"""POST /v1/suggestions: from a ticket to contact types and templates, kept in the database before it is shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from anyio import to_thread
from fastapi import APIRouter
from fastapi.responses import JSONResponse

from models.suggest import Suggester
from pipeline.text.clean import Refused, clean_ticket
from service.problems import FieldError, Problem, documented
from service.schemas import BatchAnswer, BatchRequest, SuggestionRequest, TicketFields
from service.serving import Held, Serving
from tickets.feedback_log import log_suggestions, new_id
from tickets.records import Suggestion, Ticket, to_json

router = APIRouter(prefix="/v1", tags=["suggestions"])


@router.post("/suggestions", response_model=Suggestion, responses=documented(400, 413, 422, 503))
async def suggest(asked: SuggestionRequest, held: Held) -> JSONResponse:
    """Suggest contact types and reply templates for one ticket."""
    ticket = _ticket(held, asked.ticket, now=held.options.clock())
    made = await answer(held, [ticket], ["/ticket"], top_types=asked.top_types, top_templates=asked.top_templates)
    return JSONResponse(to_json(made[0]))


@router.post("/suggestions/batch", response_model=BatchAnswer, responses=documented(400, 413, 422, 503))
async def suggest_batch(asked: BatchRequest, held: Held) -> JSONResponse:
    """Suggest for several tickets. All or none: the tickets that cannot be read are named, and nothing is kept."""
    if len(asked.tickets) > held.options.max_batch:
        raise Problem(
            422,
            "batch-too-large",
            f"the batch has {len(asked.tickets)} tickets; at most {held.options.max_batch} are taken at once.",
            hint="Send several batches.",
            errors=[FieldError(where="body", pointer="/tickets", detail="has too many items")],
        )
    now = held.options.clock()
    tickets = [_ticket(held, fields, now=now) for fields in asked.tickets]
    pointers = [f"/tickets/{row}" for row in range(len(tickets))]
    made = await answer(held, tickets, pointers, top_types=asked.top_types, top_templates=asked.top_templates)
    return JSONResponse({"suggestions": [to_json(suggestion) for suggestion in made]})


async def answer(
    held: Serving, tickets: Sequence[Ticket], pointers: Sequence[str], *, top_types: int = 3, top_templates: int = 3
) -> list[Suggestion]:
    """One suggestion a ticket, committed to the database with the cleaned tickets before it is returned.

    `pointers` say where each ticket stands in the request. Raises Problem: 503 without a release, 422 for tickets that
    cleaning refuses; a database that is away becomes a 503 as well, so nothing is shown that was not kept.
    """
    suggester = held.releases.require(retry_after=held.options.retry_after_seconds).suggester
    with held.metrics.queue_depth.track_inprogress():
        pairs = await to_thread.run_sync(
            lambda: _infer(held, suggester, tickets, pointers, top_types=top_types, top_templates=top_templates),
            limiter=held.inference_turn,
        )
    await to_thread.run_sync(log_suggestions, held.engine, pairs)
    made = [suggestion for _, suggestion in pairs]
    held.metrics.suggested(made)
    return made


def _ticket(held: Serving, fields: TicketFields, *, now: datetime) -> Ticket:
    """The record of a request's ticket: id and time made where they were left out, the customer's key hashed."""
    return Ticket(
        ticket_id=fields.ticket_id or new_id(),
        created_at=fields.created_at or now,
        body=fields.body,
        subject=fields.subject,
        channel=fields.channel,
        language=fields.language,
        customer_key=held.choices.customer_key(fields.customer_key),
        attributes=fields.attributes,
    )


def _infer(
    held: Serving,
    suggester: Suggester,
    tickets: Sequence[Ticket],
    pointers: Sequence[str],
    *,
    top_types: int,
    top_templates: int,
) -> list[tuple[Ticket, Suggestion]]:
    """Cleaned tickets with their suggestions. Runs in the inference thread."""
    started = time.perf_counter()
    cleaned = _clean(tickets, pointers, suggester.release.languages)
    made = suggester.suggest_cleaned(
        cleaned, top_types=top_types, top_templates=top_templates, now=held.options.clock()
    )
    held.metrics.inference.observe(time.perf_counter() - started)
    held.metrics.batch_size.observe(len(tickets))
    return list(zip(cleaned, made, strict=True))


def _clean(tickets: Sequence[Ticket], pointers: Sequence[str], languages: Sequence[str]) -> list[Ticket]:
    """The tickets as the pipeline would keep them: cleaned and masked. Raises Problem naming every one it refuses."""
    cleaned, errors = [], []
    for ticket, pointer in zip(tickets, pointers, strict=True):
        try:
            cleaned.append(clean_ticket(ticket, languages))
        except Refused as refused:
            errors.append(FieldError(where="body", pointer=pointer, detail=f"{refused.reason}: {refused.detail}"))
    if errors:
        raise Problem(
            422,
            "ticket-refused",
            errors[0].detail if len(tickets) == 1 else f"{len(errors)} of {len(tickets)} tickets cannot be read.",
            hint="Send what the customer wrote in `body`.",
            errors=errors,
        )
    return cleaned
