"""Made suggestions, feedback and labels for the dashboard's tests."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from tests.logged import log_suggestions
from tickets import label_queue
from tickets.feedback_log import record_feedback, withdraw_feedback
from tickets.records import Arm, Feedback, FeedbackAction, RankedContactType, Suggestion, Ticket


def suggest(
    engine: sa.Engine,
    number: int,
    at: datetime,
    contact_type: str | None = "refund",
    *,
    language: str = "en",
    channel: str = "email",
    arm: Arm = "champion",
    ticket_id: str = "",
) -> Suggestion:
    """A ticket and its suggestion `s-<number>`."""
    ticket = Ticket(
        ticket_id=ticket_id or f"t-{number}", created_at=at, body="words", language=language, channel=channel
    )
    types = (
        (RankedContactType(contact_type=contact_type, path="", probability=0.9, band="high"),) if contact_type else ()
    )
    made = Suggestion(
        suggestion_id=f"s-{number}",
        ticket_id=ticket.ticket_id,
        model_version="m1",
        created_at=at,
        contact_types=types,
        templates=(),
        arm=arm,
    )
    log_suggestions(engine, [(ticket, made)])
    return made


def judge(
    engine: sa.Engine,
    made: Suggestion,
    action: FeedbackAction = "accepted",
    *,
    minutes: float = 5,
    template: str | None = None,
    edited: float | None = None,
    withdrawn: bool = False,
) -> None:
    """Feedback on a suggestion, some minutes later."""
    at = made.created_at + timedelta(minutes=minutes)
    feedback_id = f"{made.suggestion_id}-{minutes}"
    record_feedback(
        engine,
        Feedback(
            feedback_id=feedback_id,
            suggestion_id=made.suggestion_id,
            ticket_id=made.ticket_id,
            action=action,
            at=at,
            template_id=template,
            edit_distance=edited,
        ),
    )
    if withdrawn:
        assert withdraw_feedback(engine, feedback_id, at=at, within=timedelta(minutes=10))


def label(engine: sa.Engine, name: str, share: label_queue.Share, at: datetime, *, seconds: float) -> str:
    """A label asked, taken and answered; its item."""
    ticket = Ticket(ticket_id=name, created_at=at, body="words", language="en", channel="email")
    label_queue.enqueue(engine, [label_queue.LabelRequest(ticket=ticket, share=share, priority=1.0)], at=at)
    (taken,) = label_queue.claim(engine, "ann", at=at)
    answered = at + timedelta(seconds=seconds)
    label_queue.answer(engine, taken.item_id, contact_type="refund", labeler="ann", at=answered, seconds=seconds)
    return taken.item_id
