"""What was suggested and what agents did with it, in the operational database.

The service writes, the nightly extract and the monitoring job read. A write that returns is committed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tickets.database import feedback, suggestions
from tickets.records import Feedback, Suggestion, Ticket, suggestion_from_json, ticket_from_json, to_json


def log_suggestions(engine: sa.Engine, pairs: Sequence[tuple[Ticket, Suggestion]]) -> None:
    """Commit suggestions with the (cleaned, masked) tickets they were made for."""
    if not pairs:
        return
    rows = [
        {
            "suggestion_id": suggestion.suggestion_id,
            "ticket_id": ticket.ticket_id,
            "created_at": suggestion.created_at,
            "model_version": suggestion.model_version,
            "contact_type": suggestion.contact_types[0].contact_type if suggestion.contact_types else None,
            "probability": suggestion.contact_types[0].probability if suggestion.contact_types else None,
            "abstained": suggestion.abstained,
            "ticket": to_json(ticket),
            "suggestion": to_json(suggestion),
        }
        for ticket, suggestion in pairs
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(suggestions), rows)


def find_suggestion(engine: sa.Engine, suggestion_id: str) -> tuple[Ticket, Suggestion] | None:
    with engine.connect() as connection:
        row = connection.execute(sa.select(suggestions).where(suggestions.c.suggestion_id == suggestion_id)).first()
    return (ticket_from_json(row.ticket), suggestion_from_json(row.suggestion)) if row else None


def record_feedback(engine: sa.Engine, given: Feedback) -> bool:
    """Commit a feedback; False when this feedback_id is there already (a retry), which changes nothing."""
    try:
        with engine.begin() as connection:
            connection.execute(sa.insert(feedback).values(**{column: getattr(given, column) for column in _FEEDBACK}))
    except sa.exc.IntegrityError:
        if find_feedback(engine, given.feedback_id) is None:
            raise
        return False
    return True


def find_feedback(engine: sa.Engine, feedback_id: str) -> Feedback | None:
    with engine.connect() as connection:
        row = connection.execute(sa.select(feedback).where(feedback.c.feedback_id == feedback_id)).first()
    return Feedback(**row._mapping) if row else None


def open_suggestions(engine: sa.Engine, *, limit: int = 50, offset: int = 0) -> list[tuple[Ticket, Suggestion]]:
    """The newest suggestion of each ticket that no feedback was given for, newest ticket first: the console's queue."""
    newest = (
        sa.select(suggestions.c.ticket_id, sa.func.max(suggestions.c.created_at).label("created_at"))
        .where(~sa.exists().where(feedback.c.ticket_id == suggestions.c.ticket_id))
        .group_by(suggestions.c.ticket_id)
        .subquery()
    )
    query = (
        sa.select(suggestions)
        .join(
            newest,
            sa.and_(suggestions.c.ticket_id == newest.c.ticket_id, suggestions.c.created_at == newest.c.created_at),
        )
        .order_by(suggestions.c.created_at.desc(), suggestions.c.suggestion_id)
        .limit(limit)
        .offset(offset)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [(ticket_from_json(row.ticket), suggestion_from_json(row.suggestion)) for row in rows]


def suggestions_between(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Rows of the suggestions table with start <= created_at < end, oldest first, streamed."""
    return _between(engine, suggestions, suggestions.c.created_at, start, end)


def feedback_between(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Rows of the feedback table with start <= at < end, oldest first, streamed."""
    return _between(engine, feedback, feedback.c.at, start, end)


def feedback_with_suggestions(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Feedback with start <= at < end, oldest first, streamed, each beside what it judged: the feedback's columns, and
    `model_version`, `ticket` and `suggestion` (JSON) of its suggestion."""
    query = (
        sa.select(feedback, suggestions.c.model_version, suggestions.c.ticket, suggestions.c.suggestion)
        .join(suggestions, feedback.c.suggestion_id == suggestions.c.suggestion_id)
        .where(feedback.c.at >= start, feedback.c.at < end)
        .order_by(feedback.c.at, feedback.c.feedback_id)
    )
    with engine.connect().execution_options(yield_per=1000) as connection:
        for row in connection.execute(query).mappings():
            yield dict(row)


def count_suggestions(engine: sa.Engine, start: datetime, end: datetime) -> int:
    """Different tickets that got a suggestion with start <= created_at < end."""
    tickets = sa.func.count(sa.distinct(suggestions.c.ticket_id))
    query = sa.select(tickets).where(suggestions.c.created_at >= start, suggestions.c.created_at < end)
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def new_id() -> str:
    return uuid.uuid4().hex


def _between(
    engine: sa.Engine, table: sa.Table, time: sa.Column[datetime], start: datetime, end: datetime
) -> Iterator[Mapping[str, Any]]:
    query = sa.select(table).where(time >= start, time < end).order_by(time)
    with engine.connect().execution_options(yield_per=1000) as connection:
        yield from (dict(row._mapping) for row in connection.execute(query))


_FEEDBACK = tuple(column.name for column in feedback.columns)
