"""The console: the queue of tickets that wait for an agent, and one ticket with its suggestions.

What the agent does goes through the same functions as the API.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, Field, ValidationError

from service.answering import Wanted, answer, find_kept, settle
from service.feedback import give_feedback
from service.pages import render
from service.pages.person import person_of
from service.problems import Problem
from service.schemas import MAX_TEXT, FeedbackRequest
from service.serving import Held
from tickets.feedback_log import new_id, open_suggestions
from tickets.records import FeedbackAction, Suggestion, Ticket

PAGE = 25
_LONGEST_HANDLING_SECONDS = 4 * 3600  # a page left open over lunch says nothing about the ticket

router = APIRouter(prefix="/console", include_in_schema=False)


class FeedbackForm(BaseModel):
    """What the ticket's page sends. `opened` is when it was opened, in Unix seconds."""

    action: FeedbackAction
    feedback_id: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[0-9a-f-]+$")]
    opened: Annotated[float, Field(allow_inf_nan=False)]
    suggested_type: str | None = None
    chosen_type: str | None = None
    template_id: str | None = None


@router.get("")
def queue(
    request: Request, held: Held, page: Annotated[int, Query(ge=1, le=10_000)] = 1, done: FeedbackAction | None = None
) -> HTMLResponse:
    """Tickets that no feedback was given for, newest first."""
    settle(held)
    waiting = open_suggestions(held.engine, limit=PAGE + 1, offset=(page - 1) * PAGE)
    return render(
        request,
        "queue.html",
        waiting=waiting[:PAGE],
        page=page,
        more=len(waiting) > PAGE,
        done=done,
        release=held.releases.loaded.version if held.releases.loaded else None,
    )


@router.get("/next")
def next_ticket(held: Held, done: FeedbackAction | None = None) -> RedirectResponse:
    """The newest ticket that waits; the queue when none does."""
    settle(held)
    waiting = open_suggestions(held.engine, limit=1)
    said = f"?done={done}" if done else ""
    where = f"/console/suggestions/{waiting[0][1].suggestion_id}" if waiting else "/console"
    return RedirectResponse(where + said, status_code=303)


@router.get("/tickets/new")
def new_ticket(request: Request) -> HTMLResponse:
    """A form to write or paste a ticket into."""
    return render(request, "new_ticket.html", problem=None, ticket=None)


@router.post("/tickets")
async def paste_ticket(
    request: Request,
    held: Held,
    body: Annotated[str, Form(max_length=MAX_TEXT)] = "",
    subject: Annotated[str, Form(max_length=1000)] = "",
    channel: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Suggest for a ticket written into the form, and show it."""
    ticket = Ticket(
        ticket_id=new_id(),
        created_at=held.options.clock(),
        body=body.replace("\x00", ""),
        subject=subject.replace("\x00", ""),
        channel=channel.replace("\x00", ""),
    )
    try:
        (made,) = await answer(held, [Wanted(ticket=ticket, pointer="/body")])
    except Problem as problem:
        if problem.status_code != 422:
            raise
        # The form again, with what was written and what is wrong with it.
        return render(request, "new_ticket.html", status_code=problem.status_code, problem=problem, ticket=ticket)
    return RedirectResponse(f"/console/suggestions/{made.suggestion_id}", status_code=303)


@router.get("/suggestions/{suggestion_id}")
def read_ticket(request: Request, held: Held, suggestion_id: str, done: FeedbackAction | None = None) -> HTMLResponse:
    """One ticket with what was suggested for it."""
    found = find_kept(held, suggestion_id)
    if found is None:
        raise Problem(404, "unknown-suggestion", "there is no such suggestion.", hint="Take a ticket from the queue.")
    ticket, suggestion = found
    templates = [(ranked, held.choices.template(ranked.template_id)) for ranked in suggestion.templates]
    return render(
        request,
        "ticket.html",
        ticket=ticket,
        suggestion=suggestion,
        templates=templates,
        similar=[(row, held.choices.path(row.contact_type)) for row in suggestion.similar],
        among=_among(held, suggestion),
        found=held.choices.search(""),
        query="",
        feedback_id=new_id(),  # made with the page, so pressing twice sends the same feedback
        opened=held.options.clock().timestamp(),
        done=done,
    )


def _among(held: Held, suggestion: Suggestion) -> dict[str, Any] | None:
    """The answer set beside the types that are shown: how many of them are in it, the paths of others that are, and the
    path of the part of the tree that is named instead. None without a set."""
    if suggestion.answer_set is None:
        return None
    among, under = suggestion.answer_set.contact_types, suggestion.answer_set.under
    shown = [ranked.contact_type for ranked in suggestion.contact_types]
    return {
        "share": suggestion.answer_set.coverage,
        "shown": sum(contact_type in among for contact_type in shown),
        "others": [held.choices.path(contact_type) for contact_type in among if contact_type not in shown],
        "under": held.choices.path(under) if under else None,
    }


@router.post("/suggestions/{suggestion_id}/feedback")
def send_feedback(
    request: Request, held: Held, suggestion_id: str, form: Annotated[FeedbackForm, Form()]
) -> RedirectResponse:
    """Keep what the agent did, and go on to the next ticket."""
    contact_type = {"accepted": form.suggested_type, "corrected": form.chosen_type, "ignored": None}[form.action]
    if form.action == "accepted" and not contact_type:
        # The API would take the first; here nothing was pre-selected because the model abstained.
        raise Problem(422, "no-contact-type", "no contact type was chosen.", hint="Go back and choose one, or ignore.")
    seconds = held.options.clock().timestamp() - form.opened
    try:
        given = FeedbackRequest(
            suggestion_id=suggestion_id,
            action=form.action,
            contact_type=contact_type or None,
            template_id=(form.template_id or None) if form.action != "ignored" else None,
            handle_seconds=round(seconds, 1) if 0 <= seconds <= _LONGEST_HANDLING_SECONDS else None,
            agent=person_of(request),
        )
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    give_feedback(held, given, feedback_id=form.feedback_id)
    return RedirectResponse(f"/console/next?done={form.action}", status_code=303)
