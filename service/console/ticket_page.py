"""One ticket beside its suggestions, and what the agent drafts before sending: a template put in, a type searched."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse

from service.answering import find_kept
from service.console.queue_page import Address, LastStep
from service.console.ticket_view import Draft, reply_box, ticket_view
from service.pages import render
from service.problems import Problem
from service.serving import Held, Serving
from tickets.records import Suggestion, Ticket

router = APIRouter(prefix="/console/suggestions")


@router.get("/{suggestion_id}")
def read_ticket(request: Request, held: Held, suggestion_id: str, address: Address, told: LastStep) -> HTMLResponse:
    """One ticket with what was suggested for it. The address carries the queue it was opened from."""
    ticket, suggestion = ticket_of(held, suggestion_id)
    context = ticket_view(request, held, ticket, suggestion)
    return render(request, "ticket.html", address=address, notice=told.shown(held), problem=None, **context)


@router.post("/{suggestion_id}/draft")
def draft_reply(
    request: Request, held: Held, suggestion_id: str, form: Annotated[Draft, Form()], address: Address
) -> HTMLResponse:
    """The reply box for the chosen template; without a script the whole page, with all that was chosen and written.
    Nothing is kept."""
    ticket, suggestion = ticket_of(held, suggestion_id)
    if "hx-request" in request.headers:
        return render(request, "reply_box.html", reply=reply_box(request, held, ticket, form))
    context = ticket_view(request, held, ticket, suggestion, form)
    return render(request, "ticket.html", address=address, notice=None, problem=None, **context)


def ticket_of(held: Serving, suggestion_id: str) -> tuple[Ticket, Suggestion]:
    """The suggestion with its ticket. Raises Problem 404."""
    found = find_kept(held, suggestion_id)
    if found is None:
        raise Problem(
            404,
            "unknown-suggestion",
            "there is no such suggestion.",
            hint="Take a ticket from the queue: this one may be of another workspace, or no longer be kept.",
        )
    return found
