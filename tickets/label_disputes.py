"""Items whose labels do not agree: a third person sees what was said of them, not by whom, and settles it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from tickets.database import label_queue, labels
from tickets.label_answers import CLAIM_LASTS, STANDS, writing
from tickets.label_queue import LabelRequest, request_of


@dataclass(frozen=True, slots=True)
class Dispute:
    """An item and the contact types it was given, most often given first."""

    item: LabelRequest
    contact_types: tuple[str, ...]


def claim_dispute(engine: sa.Engine, person: str, *, at: datetime, first: str = "") -> Dispute | None:
    """The next dispute for someone who took no part in it, the item `first` before others; nobody else gets it until
    CLAIM_LASTS is over."""
    query = (
        sa.select(label_queue)
        .where(settleable(person, at=at))
        .order_by(sa.case((label_queue.c.item_id == first, 0), else_=1))
        .order_by(label_queue.c.priority.desc(), label_queue.c.item_id)
        .limit(1)
    )
    with writing(engine) as connection:
        row = connection.execute(query.with_for_update(skip_locked=True)).first()
        if row is None:
            return None
        mine = sa.update(label_queue).where(label_queue.c.item_id == row.item_id)
        connection.execute(mine.values(claimed_by=person, claimed_at=at))
        said = (
            sa.select(labels.c.contact_type)
            .where(labels.c.item_id == row.item_id, STANDS)
            .group_by(labels.c.contact_type)
            .order_by(sa.func.count().desc(), labels.c.contact_type)
        )
        return Dispute(request_of(row), tuple(connection.scalars(said)))


def settleable(person: str, *, at: datetime) -> sa.ColumnElement[bool]:
    """Disputes that a person may settle now."""
    own = sa.exists().where(labels.c.item_id == label_queue.c.item_id, labels.c.labeler == person, STANDS)
    free = sa.or_(
        label_queue.c.claimed_by.is_(None),
        label_queue.c.claimed_by == person,
        label_queue.c.claimed_at < at - CLAIM_LASTS,
    )
    return sa.and_(label_queue.c.status == "disputed", free, ~own)
