"""A person's tickets in the operational database: found, counted, removed.

Rows about a ticket go. Rows about others stay, and lose the part that names one: the tickets shown as similar, the
examples of a theme or an alarm.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from tickets.database import (
    alone,
    audit_log,
    challenger_answers,
    feedback,
    label_queue,
    labels,
    metadata,
    suggestions,
    webhook_deliveries,
)

_LOCK = 7418529641  # of those who forget; any number that no other lock has
_AT_ONCE = 100  # ids looked for in one pass over JSON
_LISTS_OF_IDS = ("examples", "ticket_ids")

_Key = tuple[sa.Table, tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Rows that hold something of a person's tickets. `shortened`: they are about other tickets, and only the part that
    names one of the person's goes. `gone` once it has."""

    place: Literal["database", "lake"]
    table: str
    rows: int
    shortened: bool = False
    gone: bool = False


def tickets_of(engine: sa.Engine, customer_key: str) -> frozenset[str]:
    """The ids of the customer's tickets, by the hash that stands in each ticket."""
    found: set[str] = set()
    with engine.connect() as connection:
        for table in (suggestions, label_queue, webhook_deliveries):
            own = table.c.ticket["customer_key"].as_string() == customer_key
            found.update(connection.scalars(sa.select(table.c.ticket["ticket_id"].as_string()).where(own).distinct()))
    return frozenset(found)


def held_rows(engine: sa.Engine, tickets: Collection[str]) -> list[Held]:
    """What `forget_rows` would remove or shorten, by table."""
    with engine.connect() as connection:
        counted = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table).where(own)).scalar_one()
            for table, own in _rows_of(connection, tickets)
        }
        shortened = [table.name for table, _ in _mentioning(connection, tickets)]
    return _told(counted, {name: shortened.count(name) for name in shortened}, gone=False)


def forget_rows(engine: sa.Engine, tickets: Collection[str], *, at: datetime, actor: str) -> list[Held]:
    """Remove the tickets everywhere, in one transaction. The audit log is told how many rows went, and not whose."""
    with engine.connect() as connection:
        mentioning = list(_mentioning(connection, tickets))  # a pass over everything: before anybody has to wait
    shortened: dict[str, int] = {}
    with alone(engine, _LOCK) as connection:
        removed = {
            table.name: connection.execute(sa.delete(table).where(own)).rowcount
            for table, own in _rows_of(connection, tickets)
        }
        for table, key in mentioning:
            shortened[table.name] = shortened.get(table.name, 0) + _shorten(connection, table, key, tickets)
        done = _told(removed, shortened, gone=True)
        if done:
            record_forgotten(connection, done, at=at, actor=actor)
    return done


def record_forgotten(connection: sa.Connection, done: Collection[Held], *, at: datetime, actor: str) -> None:
    """An entry of the audit log: rows by place and table. Neither the person nor a ticket is named."""
    details = {f"{held.place}: {held.table}{', shortened' * held.shortened}": held.rows for held in done}
    entry = {"event_id": uuid.uuid4().hex, "at": at, "actor": actor, "action": "person forgotten", "details": details}
    connection.execute(sa.insert(audit_log).values(**entry))


def without_tickets(value: Any, tickets: Collection[str]) -> Any:
    """JSON without what is about these tickets: objects of a list that name one, and ids in a list of ids."""
    if isinstance(value, list):
        kept = (one for one in value if not (isinstance(one, Mapping) and one.get("ticket_id") in tickets))
        return [without_tickets(one, tickets) for one in kept]
    if isinstance(value, Mapping):
        return {name: without_tickets(_without_ids(name, inner, tickets), tickets) for name, inner in value.items()}
    return value


def _without_ids(name: str, value: Any, tickets: Collection[str]) -> Any:
    if name not in _LISTS_OF_IDS or not isinstance(value, list):
        return value
    return [one for one in value if not (isinstance(one, str) and one in tickets)]


def _rows_of(connection: sa.Connection, tickets: Collection[str]) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
    """The rows about the tickets, by table: those that refer to others first."""
    suggested = sa.select(suggestions.c.suggestion_id).where(suggestions.c.ticket_id.in_(tickets))
    queued = sa.select(label_queue.c.item_id).where(label_queue.c.ticket_id.in_(tickets))
    yield challenger_answers, challenger_answers.c.suggestion_id.in_(suggested)
    yield feedback, feedback.c.ticket_id.in_(tickets) | feedback.c.suggestion_id.in_(suggested)
    yield labels, labels.c.ticket_id.in_(tickets) | labels.c.item_id.in_(queued)
    yield webhook_deliveries, _delivered(connection, tickets, suggested)
    yield suggestions, suggestions.c.ticket_id.in_(tickets)
    yield label_queue, label_queue.c.ticket_id.in_(tickets)


def _delivered(
    connection: sa.Connection, tickets: Collection[str], suggested: sa.Select[tuple[str]]
) -> sa.ColumnElement[bool]:
    """A delivery knows its ticket by the helpdesk's own id, without TICKET_PREFIX: what it was answered with, or the
    ticket that still waits in it, says which one that is, and then all deliveries of that id are the ticket's."""
    own, other = webhook_deliveries, webhook_deliveries.alias()

    def surely(one: Any) -> sa.ColumnElement[bool]:
        waiting = one.c.ticket["ticket_id"].as_string().in_(tickets)
        return sa.or_(one.c.suggestion_id.in_(suggested), sa.and_(one.c.ticket.is_not(None), waiting))

    pairs = sa.select(other.c.helpdesk, other.c.ticket_id).where(surely(other), other.c.ticket_id.is_not(None))
    same = sa.tuple_(own.c.helpdesk, own.c.ticket_id).in_(pairs)
    plain = sa.and_(own.c.ticket.is_(None), own.c.ticket_id.in_(tickets))
    key = sa.tuple_(*own.primary_key.columns)
    # Looked up now: a delivery that is gone already would no longer say which id is the ticket's.
    found = connection.execute(sa.select(*own.primary_key.columns).where(sa.or_(surely(own), same, plain)))
    return key.in_([tuple(row) for row in found])


def _mentioning(connection: sa.Connection, tickets: Collection[str]) -> Iterator[_Key]:
    """The rows about other tickets whose JSON names one of these, by table and primary key."""
    leaving = dict(_rows_of(connection, tickets))
    for table in metadata.sorted_tables:
        columns = _json_columns(table)
        if table is audit_log or not columns:
            continue
        found: set[tuple[Any, ...]] = set()
        for some in _in_parts(sorted(tickets)):
            texts = [sa.cast(column, sa.Text) for column in columns]
            told = sa.or_(*(text.contains(_as_written(one), autoescape=True) for text in texts for one in some))
            stays = sa.not_(leaving[table]) if table in leaving else sa.true()
            rows = connection.execute(sa.select(*table.primary_key.columns, *columns).where(told, stays))
            width = len(table.primary_key.columns)
            found.update(tuple(row[:width]) for row in rows if _shortened(columns, row[width:], tickets))
        yield from ((table, key) for key in sorted(found))


def _in_parts(tickets: Sequence[str]) -> Iterator[Sequence[str]]:
    yield from (tickets[start : start + _AT_ONCE] for start in range(0, len(tickets), _AT_ONCE))


def _as_written(ticket_id: str) -> str:
    return json.dumps(ticket_id)


def _json_columns(table: sa.Table) -> list[sa.Column[Any]]:
    return [column for column in table.columns if isinstance(column.type, sa.JSON)]


def _shortened(columns: list[sa.Column[Any]], values: Any, tickets: Collection[str]) -> dict[str, Any]:
    """The columns that change, and what they become."""
    before = dict(zip((column.name for column in columns), values, strict=True))
    after = without_tickets(before, tickets)
    return {name: value for name, value in after.items() if value != before[name]}


def _shorten(connection: sa.Connection, table: sa.Table, key: tuple[Any, ...], tickets: Collection[str]) -> int:
    columns = _json_columns(table)
    this = sa.and_(*(column == value for column, value in zip(table.primary_key.columns, key, strict=True)))
    row = connection.execute(sa.select(*columns).where(this)).one_or_none()
    changed = _shortened(columns, row, tickets) if row is not None else {}
    if changed:
        connection.execute(sa.update(table).where(this).values(**changed))
    return bool(changed)


def _told(removed: Mapping[str, int], shortened: Mapping[str, int], *, gone: bool) -> list[Held]:
    whole = [Held(place="database", table=name, rows=rows, gone=gone) for name, rows in sorted(removed.items())]
    parts = [
        Held(place="database", table=name, rows=rows, shortened=True, gone=gone)
        for name, rows in sorted(shortened.items())
    ]
    return [held for held in (*whole, *parts) if held.rows]
