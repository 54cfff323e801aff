"""What the agent did, kept like feedback of the API, and taken back within ten minutes."""

from __future__ import annotations

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import Field, ValidationError

from service.console.queue_page import Address
from service.console.ticket_page import ticket_of
from service.console.ticket_view import Draft, changed_share, ticket_view
from service.feedback import give_feedback
from service.pages import render, wants_page
from service.pages.opened import seconds_since
from service.pages.person import person_of
from service.problems import Problem, as_problem, invalid
from service.schemas import FeedbackRequest
from service.serving import Held, Serving
from tickets.feedback_log import find_feedback, withdraw_feedback
from tickets.label_answers import UNDO_WITHIN
from tickets.records import FeedbackAction
from tickets.ticket_queue import stands

_LONGEST_HANDLING_SECONDS = 4 * 3600

router = APIRouter(prefix="/console")


class FeedbackForm(Draft):
    """What the ticket's page sends. `opened` is when it was opened, in Unix seconds."""

    action: FeedbackAction
    feedback_id: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[0-9a-f-]+$")]


@router.post("/suggestions/{suggestion_id}/feedback")
def send_feedback(
    request: Request, held: Held, suggestion_id: str, form: Annotated[FeedbackForm, Form()], address: Address
) -> Response:
    """Keep what the agent did, and go on to the next ticket. When that fails, what was chosen and written comes back:
    for a while, with a button that sends it again; for what was chosen, on the ticket's page with what to mend."""
    try:
        _keep(request, held, suggestion_id, form)
    except (Problem, sa.exc.SQLAlchemyError) as error:
        problem = as_problem(error, retry_after=held.options.retry_after_seconds)
        if problem.status_code not in (422, 429, 503) or not wants_page(request.headers):
            raise
        if problem.status_code != 422:
            return _try_again(request, problem, suggestion_id, form, address.query())
        context = ticket_view(request, held, *ticket_of(held, suggestion_id), form) | {"address": address}
        return render(request, "ticket.html", status_code=422, notice=None, problem=problem, **context)
    told = {"done": form.action, "undo": form.feedback_id, "after": suggestion_id}
    return RedirectResponse(f"/console/next{address.query(**told)}", status_code=303)


@router.post("/feedback/{feedback_id}/undo")
def undo(request: Request, held: Held, feedback_id: str, address: Address) -> RedirectResponse:
    """Take a feedback back and open its ticket again. Raises Problem: 404 for an unknown feedback, 403 for that of
    another agent, 409 when it was given too long ago."""
    given = find_feedback(held.engine, feedback_id) if "\x00" not in feedback_id else None
    if given is None:
        raise Problem(404, "unknown-feedback", "there is no such feedback.", hint="Nothing was taken back.")
    if given.agent is not None and given.agent != person_of(request):
        hint = f"Ask {given.agent} to take it back."
        raise Problem(403, "not-yours", "this feedback was given by somebody else.", hint=hint)
    if not withdraw_feedback(held.engine, feedback_id, at=held.options.clock(), within=UNDO_WITHIN):
        hint = "Send the right contact type as a new feedback: the last one counts."
        raise Problem(409, "too-late", "this feedback was given more than ten minutes ago.", hint=hint)
    where = f"/console/suggestions/{given.suggestion_id}{address.query(done='undone')}"
    return RedirectResponse(where, status_code=303)


def _keep(request: Request, held: Serving, suggestion_id: str, form: FeedbackForm) -> None:
    contact_type = {"accepted": form.suggested_type, "corrected": form.chosen_type, "ignored": ""}[form.action]
    if form.action != "ignored" and not contact_type:
        # The API would accept the first; here nothing was pre-selected because the model abstained.
        raise Problem(422, "no-contact-type", "no contact type was chosen.", hint="Choose one, or ignore.")
    ticket, _ = ticket_of(held, suggestion_id)
    with_template = form.action != "ignored"
    try:
        given = FeedbackRequest(
            suggestion_id=suggestion_id,
            action=form.action,
            contact_type=contact_type or None,
            template_id=(form.template_id or None) if with_template else None,
            edit_distance=changed_share(request, held, ticket, form) if with_template else None,
            handle_seconds=seconds_since(held, form.opened, most=_LONGEST_HANDLING_SECONDS),
            agent=person_of(request),
        )
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_input=False), where="body") from error
    try:
        _, created = give_feedback(held, given, feedback_id=form.feedback_id)
    except Problem as problem:
        if problem.code != "idempotency-key-reused":
            raise
        hint = "Open the ticket again to send another: the last one counts."
        raise Problem(
            409, "sent-already", "feedback was sent from this page before, and stays.", hint=hint
        ) from problem
    if not created and not stands(held.engine, form.feedback_id):
        hint = "Open the ticket again from the queue and send it anew."
        raise Problem(409, "taken-back", "this feedback was sent before and taken back.", hint=hint)


def _try_again(request: Request, problem: Problem, suggestion_id: str, form: FeedbackForm, query: str) -> Response:
    kept = {name: value for name, value in form.model_dump().items() if value and name != "reply"}
    page = render(
        request,
        "try_again.html",
        status_code=problem.status_code,
        problem=problem,
        action=f"/console/suggestions/{suggestion_id}/feedback{query}",
        kept=kept,
        reply=form.reply,
    )
    page.headers.update(problem.headers or {})
    return page
