"""POST /v1/feedback: what agents did with suggestions, kept once however often it is sent. The console calls it too."""

from __future__ import annotations

import dataclasses
from functools import partial

from anyio import to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.answering import find_kept, settle_one
from service.examples import FEEDBACK
from service.idempotency import reused
from service.pages.person import person_of
from service.problems import FieldError, Problem, documented
from service.schemas import FeedbackRequest
from service.serving import Serving, held_by
from service.wire import REPLAYED, answers, idempotency_key, json_answer, read_json, reads
from tickets.feedback_log import find_feedback, new_id, record_feedback
from tickets.records import Feedback, Suggestion

router = APIRouter(prefix="/v1", tags=["feedback"])

_KEY = "Becomes the feedback_id. Send the same key again after a failure: the feedback is kept once."
_KEPT_ALREADY = {
    "model": Feedback,
    **answers(FEEDBACK, replays=True)[200],
    "description": "Kept already, by an earlier request with the same key",
}


@router.post(
    "/feedback",
    response_model=Feedback,
    status_code=201,
    responses={200: _KEPT_ALREADY, 201: answers(FEEDBACK)[200], **documented(400, 404, 413, 415, 422, 429, 503)},
    openapi_extra=reads(FeedbackRequest, key=_KEY),
    operation_id="give_feedback",
)
async def post_feedback(request: Request) -> Response:
    """Keep a feedback. 201 says it is committed; 200 that it had been, by an earlier request with the same key."""
    held, key = held_by(request), idempotency_key(request)
    given = await read_json(request, FeedbackRequest)
    if not (given.agent or "").strip():
        given.agent = person_of(request)
    keep = partial(give_feedback, held, given, feedback_id=key or new_id())
    kept, created = await to_thread.run_sync(keep)
    return json_answer(kept, status=201) if created else json_answer(kept, headers=REPLAYED)


def give_feedback(held: Serving, given: FeedbackRequest, *, feedback_id: str) -> tuple[Feedback, bool]:
    """Check and commit a feedback; the feedback kept under this id, and whether this call kept it.

    Raises Problem: 404 for an unknown suggestion; 422 for a contact type or template nobody knows, for an action that
    does not fit its contact type, and for an id that was used with another content.
    """
    found = find_kept(held, given.suggestion_id)
    if found is None:
        raise Problem(
            404,
            "unknown-suggestion",
            f"there is no suggestion {given.suggestion_id!r}.",
            hint="Send the suggestion_id that POST /v1/suggestions answered.",
            errors=[FieldError(where="body", pointer="/suggestion_id", detail="is unknown")],
        )
    ticket, suggestion = found
    wanted = Feedback(
        feedback_id=feedback_id,
        suggestion_id=given.suggestion_id,
        ticket_id=ticket.ticket_id,
        action=given.action,
        at=held.options.clock(),
        contact_type=_contact_type(held, given, suggestion),
        template_id=_template(held, given),
        edit_distance=given.edit_distance,
        handle_seconds=given.handle_seconds,
        agent=given.agent,
    )
    settle_one(held, given.suggestion_id)
    if record_feedback(held.engine, wanted):
        held.metrics.feedback.labels(wanted.action).inc()
        return wanted, True
    kept = find_feedback(held.engine, feedback_id)
    # Whoever sends again also measures again: a second press of a button comes later than the first.
    if kept is None or dataclasses.replace(kept, at=wanted.at, handle_seconds=wanted.handle_seconds) != wanted:
        raise reused("another feedback")
    return kept, False


def _contact_type(held: Serving, given: FeedbackRequest, suggestion: Suggestion) -> str | None:
    """The contact type the agent settled on; None when the suggestion was ignored."""
    suggested = [ranked.contact_type for ranked in suggestion.contact_types]
    chosen = given.contact_type
    match given.action:
        case "accepted":
            chosen = chosen or (suggested[0] if suggested else None)
            if chosen not in suggested:
                raise _refusal("/contact_type", "is not among the suggested ones", "Send it as `corrected`.")
        case "corrected" if chosen is None:
            raise _refusal(
                "/contact_type", "is required when a suggestion is corrected", "Name the right contact type."
            )
        case "ignored" if chosen is not None:
            raise _refusal("/contact_type", "has no place in an ignored suggestion", "Send it as `corrected`.")
    if chosen is not None and not held.choices.knows_contact_type(chosen):
        raise _refusal("/contact_type", "is not in the tree", "GET /v1/contact-types lists the ids there are.")
    return chosen


def _template(held: Serving, given: FeedbackRequest) -> str | None:
    if given.template_id is not None and held.choices.template(given.template_id) is None:
        raise _refusal("/template_id", "is no template", "GET /v1/templates lists the ids there are.")
    return given.template_id


def _refusal(pointer: str, detail: str, hint: str) -> Problem:
    error = FieldError(where="body", pointer=pointer, detail=detail)
    return Problem(422, "invalid-feedback", f"body {pointer}: {detail}.", hint=hint, errors=[error])
