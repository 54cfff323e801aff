"""The tickets that wait for an agent: filtered, searched, in order, page by page.

A ticket waits while no feedback stands for it; its newest suggestion is shown. A page begins after a suggestion, not at
a number, so it does not slip when tickets arrive. Only ids are sorted; texts are read for the tickets of one page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from tickets.database import feedback, suggestions
from tickets.records import Suggestion, Ticket, suggestion_from_json, ticket_from_json

Order = Literal["newest", "oldest", "unsure"]
Sureness = Literal["high", "medium", "low", "unsure"]
COUNTED = 1000  # a count goes no further: nobody needs to know whether 4,000 or 4,100 tickets wait
_LOOKED_AT = 2000  # newest suggestions among which languages and channels are looked for
_ESCAPE = "\\"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """Which tickets, in which order. `contact_types` are ids, None for all; `since <= received < until`, where received
    is when the ticket reached the service. Every word of `text` must stand in subject, body or ticket id."""

    contact_types: tuple[str, ...] | None = None
    sureness: Sureness | None = None
    language: str | None = None
    channel: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""
    order: Order = "newest"


def waiting(
    engine: sa.Engine,
    wanted: QueueFilter,
    *,
    after: str | None = None,
    before: str | None = None,
    limit: int = 25,
) -> list[tuple[Ticket, Suggestion]]:
    """Waiting tickets with their newest suggestion, in order: those right after the suggestion `after`, right before
    `before`, or the first. A suggestion that nobody knows marks no place, and the first are given."""
    keys = _order(wanted.order)
    with engine.connect() as connection:
        query = sa.select(suggestions.c.suggestion_id).where(*_waits(), *_matches(engine, wanted)).limit(limit)
        mark = before or after
        place = _place(connection, wanted.order, mark) if mark else None
        backwards = before is not None and place is not None
        if place is not None:
            query = query.where(_beyond(keys, place, backwards=backwards))
        query = query.order_by(*(_direction(key, rising, backwards) for key, rising in keys))
        found = list(connection.scalars(query))
        rows = connection.execute(sa.select(suggestions).where(suggestions.c.suggestion_id.in_(found))).all()
    by_id = {row.suggestion_id: row for row in rows}
    ordered = [by_id[suggestion_id] for suggestion_id in (reversed(found) if backwards else found)]
    return [(ticket_from_json(row.ticket), suggestion_from_json(row.suggestion)) for row in ordered]


def count_waiting(engine: sa.Engine, wanted: QueueFilter) -> int:
    """How many wait; COUNTED + 1 stands for more than COUNTED."""
    some = (
        sa.select(suggestions.c.suggestion_id).where(*_waits(), *_matches(engine, wanted)).limit(COUNTED + 1).subquery()
    )
    with engine.connect() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0)


def seen_values(engine: sa.Engine) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The languages and the channels of the newest tickets, sorted: what a filter can offer."""
    newest = (
        sa.select(suggestions.c.language, suggestions.c.channel)
        .order_by(suggestions.c.created_at.desc())
        .limit(_LOOKED_AT)
        .subquery()
    )
    with engine.connect() as connection:
        pairs = connection.execute(sa.select(newest).distinct()).all()
    return tuple(sorted({row[0] for row in pairs if row[0]})), tuple(sorted({row[1] for row in pairs if row[1]}))


def standing_feedback(engine: sa.Engine, ticket_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """ticket id -> the newest feedback that stands for it: action, contact_type, template_id, agent, at."""
    columns = (feedback.c.ticket_id, feedback.c.action, feedback.c.contact_type, feedback.c.template_id)
    query = (
        sa.select(*columns, feedback.c.agent, feedback.c.at)
        .where(feedback.c.ticket_id.in_(list(ticket_ids)), feedback.c.withdrawn_at.is_(None))
        .order_by(feedback.c.at)
    )
    with engine.connect() as connection:
        return {row.ticket_id: dict(row._mapping) for row in connection.execute(query)}


def stands(engine: sa.Engine, feedback_id: str, *, since: datetime | None = None) -> bool:
    """Whether there is such a feedback, given at or after `since`, that was not taken back."""
    query = sa.select(feedback.c.at).where(feedback.c.feedback_id == feedback_id, feedback.c.withdrawn_at.is_(None))
    with engine.connect() as connection:
        at = connection.scalar(query)
    return at is not None and (since is None or at >= since)


def recently_chosen(engine: sa.Engine, agent: str, *, now: datetime, limit: int = 5) -> list[str]:
    """The contact types that an agent settled on in the last month, newest first, each once."""
    query = (
        sa.select(feedback.c.contact_type, sa.func.max(feedback.c.at).label("last"))
        .where(
            feedback.c.at >= now - timedelta(days=30),
            feedback.c.agent == agent,
            feedback.c.contact_type.is_not(None),
            feedback.c.withdrawn_at.is_(None),
        )
        .group_by(feedback.c.contact_type)
        .order_by(sa.desc("last"))
        .limit(limit)
    )
    with engine.connect() as connection:
        return [row.contact_type for row in connection.execute(query)]


def _waits() -> tuple[sa.ColumnElement[bool], ...]:
    """No feedback stands, and no newer suggestion was made for the same ticket. Both are looked up by ticket_id."""
    newer = suggestions.alias("newer")
    later = sa.or_(
        newer.c.created_at > suggestions.c.created_at,
        sa.and_(newer.c.created_at == suggestions.c.created_at, newer.c.suggestion_id > suggestions.c.suggestion_id),
    )
    answered = sa.exists().where(feedback.c.ticket_id == suggestions.c.ticket_id, feedback.c.withdrawn_at.is_(None))
    return ~answered, ~sa.exists().where(newer.c.ticket_id == suggestions.c.ticket_id, later)


def _matches(engine: sa.Engine, wanted: QueueFilter) -> list[sa.ColumnElement[bool]]:
    row, ticket = suggestions.c, suggestions.c.ticket
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(row.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(row.created_at < wanted.until)
    if wanted.contact_types is not None:
        conditions += [row.contact_type.in_(wanted.contact_types), _shown()]
    if wanted.sureness == "unsure":
        conditions += [sa.or_(row.abstained, row.contact_type.is_(None)), _shown()]
    elif wanted.sureness is not None:
        band = row.suggestion[("contact_types", 0, "band")].as_string()
        conditions += [~row.abstained, band == wanted.sureness, _shown()]
    if wanted.language is not None:
        conditions.append(ticket["language"].as_string() == wanted.language)
    if wanted.channel is not None:
        conditions.append(ticket["channel"].as_string() == wanted.channel)
    return conditions + [_says(engine, word) for word in wanted.text.split()]


def _shown() -> sa.ColumnElement[bool]:
    """What was said of a held-out ticket is shown to nobody, so it cannot be filtered by either."""
    return sa.func.coalesce(suggestions.c.suggestion["arm"].as_string(), "champion") != "holdout"


def _says(engine: sa.Engine, word: str) -> sa.ColumnElement[bool]:
    """Subject, body or ticket id hold the word, in any case; % and _ stand for themselves.

    SQLite's LIKE tells no capitals of A to Z apart, but those of all other letters, so there a word with such letters
    is looked for as written, in small and in capital letters, and with a capital first.
    """
    places = (suggestions.c.ticket["subject"].as_string(), suggestions.c.ticket["body"].as_string())
    columns = (suggestions.c.ticket_id, *places)
    if engine.dialect.name != "sqlite":
        return sa.or_(*(column.ilike(f"%{_literal(word)}%", escape=_ESCAPE) for column in columns))
    spellings = (word,) if word.isascii() else (word, word.lower(), word.upper(), word.capitalize())
    patterns = [f"%{_literal(spelling)}%" for spelling in dict.fromkeys(spellings)]
    return sa.or_(*(column.like(pattern, escape=_ESCAPE) for column in columns for pattern in patterns))


def _literal(word: str) -> str:
    for sign in (_ESCAPE, "%", "_"):
        word = word.replace(sign, _ESCAPE + sign)
    return word


def _order(order: Order) -> list[tuple[sa.ColumnElement[Any], bool]]:
    """The keys of an order, each with whether it rises. The last is the id, so no two tickets share a place."""
    row = suggestions.c
    if order == "unsure":
        # Held-out tickets and those without any contact type come first: their sureness is unknown to the agent.
        sure = sa.case((_shown(), sa.func.coalesce(row.probability, -1.0)), else_=-1.0)
        return [(sure, True), (row.created_at, False), (row.suggestion_id, False)]
    rising = order == "oldest"
    return [(row.created_at, rising), (row.suggestion_id, rising)]


def _direction(key: sa.ColumnElement[Any], rising: bool, backwards: bool) -> sa.UnaryExpression[Any]:
    return key.asc() if rising != backwards else key.desc()


def _place(connection: sa.Connection, order: Order, suggestion_id: str) -> tuple[Any, ...] | None:
    keys = [key for key, _ in _order(order)]
    found = connection.execute(sa.select(*keys).where(suggestions.c.suggestion_id == suggestion_id)).first()
    return tuple(found) if found else None


def _beyond(
    keys: Sequence[tuple[sa.ColumnElement[Any], bool]], place: Sequence[Any], *, backwards: bool
) -> sa.ColumnElement[bool]:
    """The rows on the far side of a place: the first key beyond it, or equal and the second beyond, and so on."""
    ways = []
    for depth, (key, rising) in enumerate(keys):
        equal = [earlier == at for (earlier, _), at in zip(keys[:depth], place[:depth], strict=True)]
        ways.append(sa.and_(*equal, key > place[depth] if rising != backwards else key < place[depth]))
    first, rising = keys[0]
    near = first >= place[0] if rising != backwards else first <= place[0]  # implied; lets an index begin there
    return sa.and_(near, sa.or_(*ways))
