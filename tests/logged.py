"""Suggestions in the database at once, where a test begins after the service has kept them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from tickets.database import suggestions
from tickets.feedback_log import insert_new, suggestion_columns
from tickets.records import Suggestion, Ticket, to_json


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
