"""The queue for labels that are given elsewhere: what is open, and what came back of it."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from tickets.database import label_queue, labels
from tickets.errors import InputError
from tickets.label_answers import STANDS, answer
from tickets.label_queue import UNFINISHED, LabelRequest, enqueue, request_of
from tickets.label_studio import Annotation

Outcome = Literal["kept", "known", "answered already", "changed since it was imported"]


def open_items(engine: sa.Engine) -> list[LabelRequest]:
    """Items that wait for a label, or are in somebody's hands, first things first."""
    query = (
        sa.select(label_queue)
        .where(label_queue.c.status.in_(["open", "claimed"]))
        .order_by(label_queue.c.priority.desc(), label_queue.c.item_id)
    )
    with engine.connect() as connection:
        return [request_of(row) for row in connection.execute(query)]


def find_item(engine: sa.Engine, *, item_id: str | None, ticket_id: str | None) -> str | None:
    """The item of this id; of a ticket the one that waits, or the last. None where nothing was asked."""
    waits = sa.case((label_queue.c.status.in_(UNFINISHED), 0), else_=1)
    query = sa.select(label_queue.c.item_id).order_by(waits, label_queue.c.round.desc()).limit(1)
    by_id, by_ticket = label_queue.c.item_id == item_id, label_queue.c.ticket_id == ticket_id
    with engine.connect() as connection:
        found: str | None = connection.scalar(query.where(by_id)) or connection.scalar(query.where(by_ticket))
        return found


def kept_label(engine: sa.Engine, annotation: Annotation) -> tuple[str, str] | None:
    """The item and the id of a label that came before, taken back or not: of this id; or of a former one where it is of
    the same item or ticket, and of the same time or person. A time that lay ahead was kept as that of the import, so it
    is the person who tells."""
    asked = sa.or_(labels.c.item_id == annotation.item_id, labels.c.ticket_id == annotation.ticket_id)
    given = sa.or_(labels.c.at == annotation.at, labels.c.labeler == annotation.annotator)
    own = labels.c.label_id == annotation.label_id
    former = sa.and_(labels.c.label_id.in_(annotation.former_ids), asked, given)
    query = sa.select(labels.c.item_id, labels.c.label_id).where(sa.or_(own, former))
    with engine.connect() as connection:
        row = connection.execute(query.order_by(labels.c.label_id != annotation.label_id).limit(1)).first()
        return None if row is None else (row.item_id, row.label_id)


def expect(engine: sa.Engine, item_id: str, *, people: int) -> None:
    """An item that so many people labelled elsewhere waits for all of them."""
    more = sa.update(label_queue).where(label_queue.c.item_id == item_id, label_queue.c.needed < people)
    with engine.begin() as connection:
        connection.execute(more.where(label_queue.c.status.in_(["open", "claimed"])).values(needed=people))


def take_in(
    engine: sa.Engine,
    item_id: str,
    *,
    label_id: str,
    contact_type: str,
    labeler: str,
    at: datetime,
    kept_at: datetime,
    seconds: float | None,
) -> Outcome:
    """Keep a label under its own id, once. `at` is when it was given, `kept_at` now."""
    before = _same(engine, item_id, label_id=label_id, labeler=labeler)
    if before is not None:
        return "known" if before.contact_type == contact_type else "changed since it was imported"
    given: dict[str, Any] = {"contact_type": contact_type, "labeler": labeler, "seconds": seconds}
    try:
        answer(engine, item_id, at=at, kept_at=kept_at, label_id=label_id, **given)
    except InputError:
        return "answered already"
    return "kept"


def make_gold(engine: sa.Engine, item_id: str, *, label_id: str, contact_type: str, at: datetime) -> bool:
    """Ask about an item's ticket again, now that its answer is known: once for each label, and not while the ticket
    waits for one. Whether it was queued."""
    with engine.connect() as connection:
        item = request_of(connection.execute(sa.select(label_queue).where(label_queue.c.item_id == item_id)).one())
    gold = LabelRequest(
        item_id=_gold_id(label_id), ticket=item.ticket, share="gold", priority=item.priority, known_type=contact_type
    )
    return enqueue(engine, [gold], at=at) == 1


def _gold_id(label_id: str) -> str:
    """Always the same, and of the form of every item's id: labelers see it in the address, and must not tell gold."""
    return uuid.UUID(bytes=hashlib.sha256(f"gold:{label_id}".encode()).digest()[:16], version=4).hex


def _same(engine: sa.Engine, item_id: str, *, label_id: str, labeler: str) -> sa.Row[Any] | None:
    """A label of this id, taken back or not; or one that this person gave of the item otherwise."""
    own = sa.and_(labels.c.item_id == item_id, labels.c.labeler == labeler, STANDS)
    query = sa.select(labels).where(sa.or_(labels.c.label_id == label_id, own))
    with engine.connect() as connection:
        return connection.execute(query.order_by(labels.c.label_id != label_id).limit(1)).first()
