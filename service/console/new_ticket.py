"""A ticket written or pasted into a form. Whatever keeps it from being answered, the form comes back with its text."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from service.answering import Wanted, answer
from service.pages import render
from service.problems import Problem, as_problem
from service.schemas import MAX_TEXT
from service.serving import Held
from tickets.feedback_log import new_id
from tickets.records import Ticket

router = APIRouter(prefix="/console/tickets")


@router.get("/new")
def new_ticket(request: Request, held: Held) -> HTMLResponse:
    """A form to write or paste a ticket into."""
    return render(request, "new_ticket.html", problem=None, ticket=None, release=held.releases.loaded)


@router.post("")
async def paste_ticket(
    request: Request,
    held: Held,
    body: Annotated[str, Form()] = "",
    subject: Annotated[str, Form(max_length=1000)] = "",
    channel: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Suggest for a ticket written into the form, and show it."""
    ticket = Ticket(
        ticket_id=new_id(),
        created_at=held.options.clock(),
        body=body.replace("\x00", "").replace("\r\n", "\n"),  # as the form itself counts them
        subject=subject.replace("\x00", ""),
        channel=channel.replace("\x00", ""),
    )
    try:
        if len(ticket.body) > MAX_TEXT:
            detail = f"the text has {len(ticket.body):,} characters; at most {MAX_TEXT:,} are read."
            raise Problem(422, "too-long", detail, hint="Leave out what the customer did not write.")
        (made,) = await answer(held, [Wanted(ticket=ticket, pointer="/body")])
    except (Problem, sa.exc.SQLAlchemyError) as error:
        problem = as_problem(error, retry_after=held.options.retry_after_seconds)
        if problem.status_code not in (422, 429, 503):
            raise
        # The form again, with what was written and what is wrong with it.
        page = render(
            request, "new_ticket.html", status_code=problem.status_code, problem=problem, ticket=ticket, release=None
        )
        page.headers.update(problem.headers or {})
        return page
    return RedirectResponse(f"/console/suggestions/{made.suggestion_id}", status_code=303)
