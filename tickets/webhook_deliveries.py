"""Webhook deliveries in the database: each is taken once, and worked on until it is done, by whichever process lives.

A taken delivery is due at a time. A process claims it by moving that time ahead, so that no other does the same work;
one that dies leaves it due again a little later.
"""

from __future__ import annotations

import uuid
from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from tickets.database import alone, suggestions, webhook_deliveries
from tickets.feedback_log import insert_new
from tickets.records import Ticket, ticket_from_json, to_json

_T = webhook_deliveries
_LOCK = 7418529632  # a ticket is taken once, by whichever delivery
_NAMESPACE = uuid.UUID("6e3f6a0e-5c0d-4a53-9d0c-0d7a3c3f1b52")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery that was taken: the helpdesk's ticket id, and the ticket as the model shall read it."""

    helpdesk: str
    delivery_id: str
    ticket_id: str
    suggestion_id: str
    ticket: Ticket
    attempts: int
    due_at: datetime


def suggestion_id_of(helpdesk: str, ticket_id: str) -> str:
    """One ticket has one suggestion, however often and by whatever delivery it is told of."""
    return uuid.uuid5(_NAMESPACE, f"{helpdesk}\n{ticket_id}").hex


def feedback_id_of(helpdesk: str, delivery_id: str) -> str:
    """One delivery has one feedback, however often it is taken."""
    return uuid.uuid5(_NAMESPACE, f"{helpdesk}\n{delivery_id}\nfeedback").hex


def seen(engine: sa.Engine, helpdesk: str, names: Set[str]) -> bool:
    """Whether a delivery came before under one of these names."""
    query = sa.select(_T.c.status).where(_T.c.helpdesk == helpdesk, _T.c.delivery_id.in_(names))
    with engine.connect() as connection:
        return connection.execute(query).first() is not None


def has_ticket(engine: sa.Engine, helpdesk: str, ticket_id: str) -> bool:
    """Whether the ticket was taken before, by another delivery that has not failed."""
    with engine.connect() as connection:
        return _is_taken(connection, helpdesk, ticket_id)


def _is_taken(connection: sa.Connection, helpdesk: str, ticket_id: str) -> bool:
    """As the deliveries say; once they are pruned, as the suggestion says that was made for the ticket."""
    suggestion_id = suggestion_id_of(helpdesk, ticket_id)
    told = sa.select(_T.c.status).where(_T.c.helpdesk == helpdesk, _T.c.suggestion_id == suggestion_id)
    statuses = set(connection.scalars(told))
    if statuses:
        return not statuses <= {"failed"}
    made = sa.select(suggestions.c.suggestion_id).where(suggestions.c.suggestion_id == suggestion_id)
    return connection.execute(made).first() is not None


def waiting(engine: sa.Engine) -> int:
    """How many are not done yet."""
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).where(_T.c.due_at.is_not(None))).scalar_one())


def take(engine: sa.Engine, helpdesk: str, delivery_id: str, ticket_id: str, ticket: Ticket, *, now: datetime) -> bool:
    """Keep a new ticket to be worked on at once; False when this delivery, or another of the ticket, was taken before,
    at the same moment by another process even."""
    row = {
        "helpdesk": helpdesk,
        "delivery_id": delivery_id,
        "at": now,
        "ticket_id": ticket_id,
        "status": "taken",
        "suggestion_id": suggestion_id_of(helpdesk, ticket_id),
        "due_at": now,
        "ticket": to_json(ticket),
    }
    with alone(engine, _LOCK) as connection:
        if _is_taken(connection, helpdesk, ticket_id):
            return False
        kept = insert_new(engine, _T).values(row).returning(_T.c.delivery_id)
        return connection.execute(kept).first() is not None


def note(
    engine: sa.Engine,
    helpdesk: str,
    delivery_id: str,
    status: str,
    *,
    now: datetime,
    ticket_id: str | None = None,
    reason: str | None = None,
) -> None:
    """Keep a delivery on which nothing is left to do; one that is there already stays as it is."""
    row = {
        "helpdesk": helpdesk,
        "delivery_id": delivery_id,
        "at": now,
        "ticket_id": ticket_id,
        "status": status,
        "reason": reason,
    }
    with engine.begin() as connection:
        connection.execute(insert_new(engine, _T).values(row))


def claim(engine: sa.Engine, *, now: datetime, lease: float, limit: int) -> list[Delivery]:
    """Up to `limit` deliveries that are due, longest due first, and from now on this process's for `lease` seconds."""
    due = sa.select(_T).where(_T.c.due_at <= now).order_by(_T.c.due_at, _T.c.delivery_id).limit(limit)
    until = now + timedelta(seconds=lease)
    claimed = []
    with engine.begin() as connection:
        for row in connection.execute(due).all():
            still = sa.and_(*_key(row.helpdesk, row.delivery_id), _T.c.due_at == row.due_at)
            change = sa.update(_T).where(still).values(due_at=until, attempts=row.attempts + 1)
            if connection.execute(change).rowcount == 1:
                claimed.append(
                    Delivery(
                        helpdesk=row.helpdesk,
                        delivery_id=row.delivery_id,
                        ticket_id=row.ticket_id,
                        suggestion_id=row.suggestion_id,
                        ticket=ticket_from_json(row.ticket),
                        attempts=row.attempts + 1,
                        due_at=until,
                    )
                )
    return claimed


def next_due(engine: sa.Engine) -> datetime | None:
    """When the next delivery is due; None when none waits."""
    with engine.connect() as connection:
        query = sa.select(_T.c.due_at).where(_T.c.due_at.is_not(None)).order_by(_T.c.due_at).limit(1)
        found: datetime | None = connection.execute(query).scalar()
        return found


def put_off(engine: sa.Engine, delivery: Delivery, *, until: datetime, reason: str) -> None:
    """Try again at a time."""
    change = sa.update(_T).where(*_key(delivery.helpdesk, delivery.delivery_id)).values(due_at=until, reason=reason)
    with engine.begin() as connection:
        connection.execute(change)


def finish(engine: sa.Engine, delivery: Delivery, status: str, *, reason: str | None = None) -> None:
    """Nothing is left to do, so the ticket as it came is forgotten."""
    done = {"status": status, "reason": reason, "due_at": None, "ticket": None}
    with engine.begin() as connection:
        connection.execute(sa.update(_T).where(*_key(delivery.helpdesk, delivery.delivery_id)).values(done))


def count_done(engine: sa.Engine, *, before: datetime) -> int:
    """How many that came before a time are done."""
    with engine.connect() as connection:
        counted = sa.select(sa.func.count()).select_from(_T).where(*_done(before))
        return int(connection.execute(counted).scalar_one())


def prune(engine: sa.Engine, *, before: datetime) -> int:
    """Forget those that came before a time and are done; how many. Those that wait stay, whatever their age."""
    with engine.begin() as connection:
        return connection.execute(sa.delete(_T).where(*_done(before))).rowcount


def _done(before: datetime) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return _T.c.due_at.is_(None), _T.c.at < before


def _key(helpdesk: str, delivery_id: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return _T.c.helpdesk == helpdesk, _T.c.delivery_id == delivery_id
