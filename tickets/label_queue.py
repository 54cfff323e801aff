"""The queue of tickets that people are asked to label, and their answers. A ticket is queued once and answered once."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from tickets.database import label_queue, labels
from tickets.errors import InputError
from tickets.records import Suggestion, Ticket, suggestion_from_json, ticket_from_json, to_json

Share = Literal["unsure", "diverse", "random", "theme"]
CLAIM_LASTS = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequest:
    """A ticket worth a person's label; `share` says why, `priority` orders the queue (greatest first)."""

    ticket: Ticket
    share: Share
    priority: float
    suggestion: Suggestion | None = None
    item_id: str = ""


def enqueue(engine: sa.Engine, requests: Sequence[LabelRequest], *, at: datetime, run_id: str | None = None) -> int:
    """Queue tickets that were never queued before; returns how many that were."""
    added = 0
    with engine.begin() as connection:
        for request in requests:
            known = sa.select(label_queue.c.item_id).where(label_queue.c.ticket_id == request.ticket.ticket_id)
            if connection.execute(known).first():
                continue
            connection.execute(
                sa.insert(label_queue).values(
                    item_id=request.item_id or uuid.uuid4().hex,
                    ticket_id=request.ticket.ticket_id,
                    share=request.share,
                    priority=request.priority,
                    status="open",
                    asked_at=at,
                    run_id=run_id,
                    ticket=to_json(request.ticket),
                    suggestion=to_json(request.suggestion) if request.suggestion else None,
                )
            )
            added += 1
    return added


def claim(engine: sa.Engine, labeler: str, *, at: datetime, count: int = 1) -> list[LabelRequest]:
    """Take the next items for a labeler. Two labelers never get the same one; a claim lapses after CLAIM_LASTS."""
    free = sa.or_(
        label_queue.c.status == "open",
        sa.and_(label_queue.c.status == "claimed", label_queue.c.claimed_at < at - CLAIM_LASTS),
        sa.and_(label_queue.c.status == "claimed", label_queue.c.claimed_by == labeler),
    )
    query = (
        sa.select(label_queue).where(free).order_by(label_queue.c.priority.desc(), label_queue.c.item_id).limit(count)
    )
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # The driver opens a transaction at the first write: one that changes nothing takes the lock before we read.
            connection.execute(sa.update(label_queue).where(sa.false()).values(status="open"))
        rows = connection.execute(query.with_for_update(skip_locked=True)).all()
        if rows:
            connection.execute(
                sa.update(label_queue)
                .where(label_queue.c.item_id.in_([row.item_id for row in rows]))
                .values(status="claimed", claimed_by=labeler, claimed_at=at)
            )
    return [_request(row) for row in rows]


def answer(
    engine: sa.Engine, item_id: str, *, contact_type: str, labeler: str, at: datetime, template_id: str | None = None
) -> None:
    """Keep the label of an item, once. Raises InputError when the item is unknown or was answered already."""
    with engine.begin() as connection:
        row = connection.execute(sa.select(label_queue).where(label_queue.c.item_id == item_id)).first()
        if row is None:
            raise InputError(f"no label was asked under the id {item_id!r}.", hint="Reload the queue.")
        changed = connection.execute(
            sa.update(label_queue)
            .where(label_queue.c.item_id == item_id, label_queue.c.status.in_(["open", "claimed"]))
            .values(status="done", claimed_by=labeler)
        )
        if changed.rowcount != 1:
            raise InputError(f"the item {item_id!r} was {row.status} already.", hint="Take the next one.")
        connection.execute(
            sa.insert(labels).values(
                label_id=uuid.uuid4().hex,
                item_id=item_id,
                ticket_id=row.ticket_id,
                contact_type=contact_type,
                template_id=template_id,
                labeler=labeler,
                at=at,
                share=row.share,
            )
        )


def skip(engine: sa.Engine, item_id: str, *, labeler: str) -> None:
    """Set an item aside that nobody can label. Raises InputError when it is unknown or was answered already."""
    with engine.begin() as connection:
        changed = connection.execute(
            sa.update(label_queue)
            .where(label_queue.c.item_id == item_id, label_queue.c.status.in_(["open", "claimed"]))
            .values(status="skipped", claimed_by=labeler)
        )
    if changed.rowcount != 1:
        raise InputError(f"the item {item_id!r} is unknown or was answered already.", hint="Take the next one.")


def counts(engine: sa.Engine) -> dict[str, int]:
    """Items by status: open, claimed, done, skipped (absent when none)."""
    query = sa.select(label_queue.c.status, sa.func.count().label("items")).group_by(label_queue.c.status)
    with engine.connect() as connection:
        return {row.status: row.items for row in connection.execute(query)}


def labels_between(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Rows of the labels table with start <= at < end, oldest first, streamed."""
    query = sa.select(labels).where(labels.c.at >= start, labels.c.at < end).order_by(labels.c.at)
    with engine.connect().execution_options(yield_per=1000) as connection:
        yield from (dict(row._mapping) for row in connection.execute(query))


def labels_with_suggestions(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Labels with start <= at < end, oldest first, streamed, with the `ticket` and `suggestion` (JSON) asked about."""
    query = (
        sa.select(labels, label_queue.c.ticket, label_queue.c.suggestion)
        .join(label_queue, labels.c.item_id == label_queue.c.item_id)
        .where(labels.c.at >= start, labels.c.at < end)
        .order_by(labels.c.at, labels.c.label_id)
    )
    with engine.connect().execution_options(yield_per=1000) as connection:
        for row in connection.execute(query).mappings():
            yield dict(row)


def queued_tickets(engine: sa.Engine) -> dict[str, str | None]:
    """Every ticket that was ever queued, with the run that asked for it."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(label_queue.c.ticket_id, label_queue.c.run_id)).all()
    return {row.ticket_id: row.run_id for row in rows}


def _request(row: sa.Row[Any]) -> LabelRequest:
    return LabelRequest(
        item_id=row.item_id,
        ticket=ticket_from_json(row.ticket),
        share=row.share,
        priority=row.priority,
        suggestion=suggestion_from_json(row.suggestion) if row.suggestion else None,
    )
