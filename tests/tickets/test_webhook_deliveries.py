"""Deliveries in the database: when they are forgotten, and what is known of their tickets then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tests.logged import log_suggestions
from tickets import webhook_deliveries as deliveries
from tickets.database import webhook_deliveries
from tickets.records import Suggestion, Ticket

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def ticket(number: str) -> Ticket:
    return Ticket(ticket_id=number, created_at=AT, body="I cannot sign in")


def finish(engine: sa.Engine, status: str) -> None:
    for delivery in deliveries.claim(engine, now=AT + DAY, lease=60, limit=10):
        deliveries.finish(engine, delivery, status)


def test_what_is_done_and_old_is_forgotten_and_what_waits_is_not(engine: sa.Engine) -> None:
    assert deliveries.take(engine, "zammad", "done", "1", ticket("1"), now=AT)
    finish(engine, "written back")
    assert deliveries.take(engine, "zammad", "waits", "2", ticket("2"), now=AT)
    deliveries.note(engine, "zammad", "judged", "feedback", now=AT)
    deliveries.note(engine, "zammad", "newer", "feedback", now=AT + DAY)
    assert deliveries.count_done(engine, before=AT + DAY) == 2
    assert deliveries.prune(engine, before=AT + DAY) == 2
    assert deliveries.prune(engine, before=AT + DAY) == 0
    with engine.connect() as connection:
        assert set(connection.scalars(sa.select(webhook_deliveries.c.delivery_id))) == {"waits", "newer"}


def test_a_ticket_is_known_by_its_suggestion_when_its_delivery_is_forgotten(engine: sa.Engine) -> None:
    assert deliveries.take(engine, "zammad", "first", "1", ticket("1"), now=AT)
    finish(engine, "written back")
    made = Suggestion(
        suggestion_id=deliveries.suggestion_id_of("zammad", "1"),
        ticket_id="1",
        model_version="m",
        created_at=AT,
        contact_types=(),
        templates=(),
    )
    log_suggestions(engine, [(ticket("1"), made)])
    deliveries.prune(engine, before=AT + DAY)
    assert deliveries.has_ticket(engine, "zammad", "1")
    assert not deliveries.take(engine, "zammad", "again", "1", ticket("1"), now=AT)
    assert not deliveries.has_ticket(engine, "zammad", "2")


def test_a_ticket_whose_delivery_failed_may_come_again(engine: sa.Engine) -> None:
    assert deliveries.take(engine, "zammad", "first", "1", ticket("1"), now=AT)
    finish(engine, "failed")
    assert not deliveries.has_ticket(engine, "zammad", "1")
    assert deliveries.take(engine, "zammad", "second", "1", ticket("1"), now=AT + DAY)
