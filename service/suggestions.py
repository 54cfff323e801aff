"""POST /v1/suggestions: from a ticket to contact types and templates, kept in the suggestion log before it is shown."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.answering import Wanted, answer
from service.examples import SUGGESTION
from service.idempotency import answer_once, derived_id
from service.problems import FieldError, Problem, documented
from service.schemas import BatchAnswer, BatchRequest, SuggestionRequest, TicketFields
from service.serving import Serving, held_by
from service.wire import REPLAYED, answers, idempotency_key, json_answer, read_json, reads
from tickets.feedback_log import new_id
from tickets.records import Suggestion, Ticket

router = APIRouter(prefix="/v1", tags=["suggestions"])

_KEY = (
    "Names this request. Sent again with the same key and content, it gets the answer of the first time and nothing "
    "new is kept; with another content it is refused."
)


@router.post(
    "/suggestions",
    response_model=Suggestion,
    responses=answers(SUGGESTION, replays=True) | documented(400, 413, 415, 422, 429, 503),
    openapi_extra=reads(SuggestionRequest, key=_KEY),
)
async def suggest(request: Request) -> Response:
    """Suggest contact types and reply templates for one ticket."""
    held, key = held_by(request), idempotency_key(request)
    asked = await read_json(request, SuggestionRequest)
    wanted = [wanted_of(held, asked.ticket, asked.top_types, asked.top_templates, pointer="/ticket", key=key)]
    (made,), replayed = await _answer(held, wanted, [asked.ticket], key)
    return json_answer(made, headers=REPLAYED if replayed else None)


@router.post(
    "/suggestions/batch",
    response_model=BatchAnswer,
    responses=answers({"suggestions": [SUGGESTION]}, replays=True) | documented(400, 413, 415, 422, 429, 503),
    openapi_extra=reads(BatchRequest, key=_KEY),
)
async def suggest_batch(request: Request) -> Response:
    """Suggest for several tickets. All or none: the tickets that cannot be read are named, and nothing is kept. For any
    number of tickets, each answered by itself, there is /v1/suggestions/stream."""
    held, key = held_by(request), idempotency_key(request)
    asked = await read_json(request, BatchRequest)
    if len(asked.tickets) > held.options.max_batch:
        raise Problem(
            422,
            "batch-too-large",
            f"the batch has {len(asked.tickets)} tickets; at most {held.options.max_batch} are taken at once.",
            hint="Send several batches, or one stream to /v1/suggestions/stream.",
            errors=[FieldError(where="body", pointer="/tickets", detail="has too many items")],
        )
    now = held.options.clock()
    wanted = [
        wanted_of(
            held, fields, asked.top_types, asked.top_templates, pointer=f"/tickets/{row}", key=key, row=row, now=now
        )
        for row, fields in enumerate(asked.tickets)
    ]
    made, replayed = await _answer(held, wanted, asked.tickets, key)
    return json_answer({"suggestions": made}, headers=REPLAYED if replayed else None)


async def _answer(
    held: Serving, wanted: list[Wanted], given: list[TicketFields], key: str | None
) -> tuple[list[Suggestion], bool]:
    if key is None:
        return await answer(held, wanted), False
    return await answer_once(held, wanted, timed=[fields.created_at is not None for fields in given])


def wanted_of(
    held: Serving,
    fields: TicketFields,
    top_types: int,
    top_templates: int,
    *,
    pointer: str = "",
    key: str | None = None,
    row: int = 0,
    now: datetime | None = None,
) -> Wanted:
    """What is wanted for a request's ticket. With a key its ids follow from that."""
    made_id = derived_id(key, row) if key is not None else new_id()
    return Wanted(
        ticket=_ticket(held, fields, otherwise=made_id, now=now or held.options.clock()),
        pointer=pointer,
        suggestion_id=made_id,
        top_types=top_types,
        top_templates=top_templates,
    )


def _ticket(held: Serving, fields: TicketFields, *, otherwise: str, now: datetime) -> Ticket:
    """The record of a request's ticket: id and time made where they were left out, the customer's key hashed."""
    return Ticket(
        ticket_id=fields.ticket_id or otherwise,
        created_at=fields.created_at or now,
        body=fields.body,
        subject=fields.subject,
        channel=fields.channel,
        language=fields.language,
        customer_key=held.choices.customer_key(fields.customer_key),
        attributes=fields.attributes,
    )
