"""Suggestions as the service makes them, and in the database at once where a test begins after it has kept them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from tickets.database import suggestions
from tickets.feedback_log import insert_new, suggestion_columns
from tickets.records import Arm, RankedContactType, SimilarTicket, Suggestion, Ticket, to_json


def suggested(
    name: str,
    *,
    at: datetime,
    version: str = "v1",
    contact_type: str = "refund",
    arm: Arm = "champion",
    similar: Sequence[str] = (),
) -> tuple[Ticket, Suggestion]:
    """A ticket `name` and a sure suggestion for it, `s-<name>`, that shows the tickets `similar`."""
    ticket = Ticket(ticket_id=name, created_at=at, body="Where is my refund?")
    first = RankedContactType(contact_type=contact_type, path=contact_type, probability=0.9, band="high")
    shown = (SimilarTicket(ticket_id=one, snippet="x", contact_type="c", similarity=0.9) for one in similar)
    made = Suggestion(
        suggestion_id=f"s-{name}",
        ticket_id=name,
        model_version=version,
        created_at=at,
        contact_types=(first,),
        templates=(),
        similar=tuple(shown),
        arm=arm,
    )
    return ticket, made


def log_suggestions(engine: sa.Engine, pairs: Sequence[tuple[Ticket, Suggestion]]) -> None:
    """Commit suggestions with the (cleaned, masked) tickets they were made for; one that is there already stays."""
    rows = [
        {**suggestion_columns(ticket, made), "ticket": to_json(ticket), "suggestion": to_json(made)}
        for ticket, made in pairs
    ]
    if not rows:
        return
    with engine.begin() as connection:
        connection.execute(insert_new(engine, suggestions), rows)
