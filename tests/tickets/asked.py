"""Tickets that people are asked about, by number, and what they say of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from tickets.contact_types import ContactType, ContactTypeTree
from tickets.label_queue import LabelRequest, Share, answer, labels_between
from tickets.records import Ticket

TREE = ContactTypeTree(tuple(ContactType(id=name, name=name.title()) for name in ("refund", "invoice", "login")))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LATER = NOON + timedelta(days=400)


def ask(number: int, *, share: Share = "random", needed: int = 1, known_type: str | None = None) -> LabelRequest:
    ticket = Ticket(ticket_id=f"t{number}", created_at=NOON, body="Where is my refund?")
    name = f"i{number}-{share}"
    return LabelRequest(ticket=ticket, share=share, priority=1.0, needed=needed, known_type=known_type, item_id=name)


def final(engine: sa.Engine) -> dict[str, str]:
    """What consumers see: item -> contact type."""
    return {row["item_id"]: row["contact_type"] for row in labels_between(engine, NOON, LATER)}


def say(engine: sa.Engine, item_id: str, contact_type: str, labeler: str, *, at: datetime = NOON) -> None:
    answer(engine, item_id, contact_type=contact_type, labeler=labeler, at=at)
