"""POST /v1/suggestions: from a ticket to contact types and templates, kept in the database before it is shown."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from service.answering import Wanted, answer
from service.problems import FieldError, Problem, documented
from service.schemas import BatchAnswer, BatchRequest, SuggestionRequest, TicketFields
from service.serving import Held, Serving
from tickets.feedback_log import new_id
from tickets.records import Suggestion, Ticket, to_json

router = APIRouter(prefix="/v1", tags=["suggestions"])


@router.post("/suggestions", response_model=Suggestion, responses=documented(400, 413, 422, 503))
async def suggest(asked: SuggestionRequest, held: Held) -> JSONResponse:
    """Suggest contact types and reply templates for one ticket."""
    ticket = _ticket(held, asked.ticket, now=held.options.clock())
    wanted = Wanted(ticket=ticket, pointer="/ticket", top_types=asked.top_types, top_templates=asked.top_templates)
    (made,) = await answer(held, [wanted])
    return JSONResponse(to_json(made))


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
    made = await answer(
        held,
        [
            Wanted(
                ticket=_ticket(held, fields, now=now),
                pointer=f"/tickets/{row}",
                top_types=asked.top_types,
                top_templates=asked.top_templates,
            )
            for row, fields in enumerate(asked.tickets)
        ],
    )
    return JSONResponse({"suggestions": [to_json(suggestion) for suggestion in made]})


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
