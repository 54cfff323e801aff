"""What was suggested and what agents did with it, in the operational database.

The service writes, the nightly extract and the monitoring job read. A write that returns is committed.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tickets.database import challenger_answers, feedback, suggestions
from tickets.records import Feedback, Suggestion, Ticket, suggestion_from_json, ticket_from_json

_AT_ONCE = 5_000  # suggestions forgotten in a transaction
_FEEDBACK_COLUMNS = tuple(column for column in feedback.columns if column is not feedback.c.withdrawn_at)


def suggestion_columns(ticket: Ticket, suggestion: Suggestion) -> dict[str, Any]:
    """What the suggestions table keeps beside `ticket` and `suggestion` themselves."""
    first = suggestion.contact_types[0] if suggestion.contact_types else None
    return {
        "suggestion_id": suggestion.suggestion_id,
        "ticket_id": ticket.ticket_id,
        "created_at": suggestion.created_at,
        "model_version": suggestion.model_version,
        "contact_type": first.contact_type if first else None,
        "probability": first.probability if first else None,
        "abstained": suggestion.abstained,
        "language": ticket.language,
        "channel": ticket.channel,
        "arm": suggestion.arm,
    }


def feedback_columns(given: Feedback) -> dict[str, Any]:
    """What the feedback table keeps of a feedback that stands."""
    return {column.name: getattr(given, column.name) for column in _FEEDBACK_COLUMNS}


def insert_new(engine: sa.Engine, table: sa.Table) -> sa.Insert:
    """An insert that passes over rows whose primary key is there already, so that it can be sent again."""
    if engine.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def find_suggestion(engine: sa.Engine, suggestion_id: str) -> tuple[Ticket, Suggestion] | None:
    """None when nothing was suggested under this id."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(suggestions).where(suggestions.c.suggestion_id == suggestion_id)).first()
    return (ticket_from_json(row.ticket), suggestion_from_json(row.suggestion)) if row else None


def record_feedback(engine: sa.Engine, given: Feedback) -> bool:
    """Commit a feedback; False when this feedback_id is there already (a retry), which changes nothing."""
    try:
        with engine.begin() as connection:
            connection.execute(sa.insert(feedback).values(**feedback_columns(given)))
    except sa.exc.IntegrityError:
        if find_feedback(engine, given.feedback_id) is None:
            raise
        return False
    return True


def find_feedback(engine: sa.Engine, feedback_id: str) -> Feedback | None:
    """Also one that was withdrawn."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(*_FEEDBACK_COLUMNS).where(feedback.c.feedback_id == feedback_id)).first()
    return Feedback(**row._mapping) if row else None


def withdraw_feedback(engine: sa.Engine, feedback_id: str, *, at: datetime, within: timedelta) -> bool:
    """Take a feedback back: it stays in the table and counts for nothing. False when there is none under this id, or
    none given in the time `within`. Withdrawing again changes nothing."""
    known = sa.and_(feedback.c.feedback_id == feedback_id, feedback.c.at >= at - within)
    with engine.begin() as connection:
        connection.execute(sa.update(feedback).where(known, feedback.c.withdrawn_at.is_(None)).values(withdrawn_at=at))
        return connection.execute(sa.select(feedback.c.feedback_id).where(known)).first() is not None


def suggestions_between(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Rows of the suggestions table with start <= created_at < end, oldest first, streamed."""
    return _between(engine, sa.select(suggestions), (suggestions.c.created_at, suggestions.c.suggestion_id), start, end)


def feedback_between(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Feedback with start <= at < end that was not withdrawn, oldest first, streamed."""
    stands = sa.select(*_FEEDBACK_COLUMNS).where(feedback.c.withdrawn_at.is_(None))
    return _between(engine, stands, (feedback.c.at, feedback.c.feedback_id), start, end)


def feedback_with_suggestions(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Feedback as `feedback_between` gives it, each beside what it judged: the feedback's columns, and
    `model_version`, `ticket` and `suggestion` (JSON) of its suggestion."""
    both = (
        sa.select(*_FEEDBACK_COLUMNS, suggestions.c.model_version, suggestions.c.ticket, suggestions.c.suggestion)
        .join(suggestions, feedback.c.suggestion_id == suggestions.c.suggestion_id)
        .where(feedback.c.withdrawn_at.is_(None))
    )
    return _between(engine, both, (feedback.c.at, feedback.c.feedback_id), start, end)


def count_suggestions(engine: sa.Engine, start: datetime, end: datetime) -> int:
    """Different tickets that got a suggestion with start <= created_at < end."""
    tickets = sa.func.count(sa.distinct(suggestions.c.ticket_id))
    query = sa.select(tickets).where(suggestions.c.created_at >= start, suggestions.c.created_at < end)
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def count_older(engine: sa.Engine, *, before: datetime) -> int:
    """How many suggestions `prune` would forget."""
    with engine.connect() as connection:
        counted = sa.select(sa.func.count()).select_from(suggestions).where(*_older(before))
        return int(connection.execute(counted).scalar_one())


def prune(engine: sa.Engine, *, before: datetime) -> int:
    """Forget suggestions made before a time, and what agents and challengers said of them; how many suggestions. One
    that was judged since stays. Some thousands are one transaction, so that a service can write in between."""
    gone, some = 0, sa.select(suggestions.c.suggestion_id).where(*_older(before)).limit(_AT_ONCE)
    while True:
        with engine.begin() as connection:
            old = list(connection.scalars(some))
            if not old:
                return gone
            for table in (feedback, challenger_answers, suggestions):
                connection.execute(sa.delete(table).where(table.c.suggestion_id.in_(old)))
            gone += len(old)


def _older(before: datetime) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    judged_since = sa.exists().where(feedback.c.suggestion_id == suggestions.c.suggestion_id, feedback.c.at >= before)
    return suggestions.c.created_at < before, ~judged_since


def new_id() -> str:
    return uuid.uuid4().hex


def _between(
    engine: sa.Engine,
    rows: sa.Select[Any],
    order: tuple[sa.Column[datetime], sa.Column[str]],
    start: datetime,
    end: datetime,
) -> Iterator[Mapping[str, Any]]:
    """Rows of a period, by their time and, of one time, by their id: in the same order each time."""
    time, _ = order
    query = rows.where(time >= start, time < end).order_by(*order)
    with engine.connect().execution_options(yield_per=1000) as connection:
        yield from (dict(row._mapping) for row in connection.execute(query))
