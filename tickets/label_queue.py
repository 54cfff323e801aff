"""The queue of tickets that people are asked to label: asking, claiming, counting, and the labels that count.

A ticket is asked about once, unless its label is doubted or it measures labelers (gold): then again, in a round of its
own. What people answer is kept by label_answers.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from tickets.database import label_queue, labels
from tickets.feedback_log import insert_new
from tickets.label_answers import CLAIM_LASTS, COUNTS, STANDS, answer, skip, undo, writing
from tickets.records import Suggestion, Ticket, suggestion_from_json, ticket_from_json, to_json

__all__ = ["CLAIM_LASTS", "LabelRequest", "answer", "claim", "counts", "enqueue", "labels_between", "skip", "undo"]

Share = Literal["unsure", "diverse", "random", "theme", "suspect", "gold"]
AGAIN = ("suspect", "gold")  # asked also about tickets that were asked about before
UNFINISHED = ("open", "claimed", "disputed")
REMEMBERED = timedelta(days=30)  # nobody labels a ticket again while they may remember it


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequest:
    """A ticket worth a person's label; `share` says why, `priority` orders the queue (greatest first).

    `needed` people label it. `known_type` is the answer of a gold ticket, the label of a suspect that is doubted, or
    the contact type that a theme became; `doubt` says of a suspect what the model finds likelier and how surely.
    """

    ticket: Ticket
    share: Share
    priority: float
    suggestion: Suggestion | None = None
    item_id: str = ""
    needed: int = 1
    known_type: str | None = None
    doubt: Mapping[str, Any] | None = None

    @property
    def blind(self) -> bool:
        """Whether labelers see nothing of what the model says: it would lean them towards itself, and each other."""
        return self.share in ("random", "gold") or (self.needed > 1 and self.share != "suspect")


def enqueue(engine: sa.Engine, requests: Sequence[LabelRequest], *, at: datetime, run_id: str | None = None) -> int:
    """Queue tickets that were never queued before; returns how many that were. Suspects and gold are queued again when
    nothing of their ticket waits, a suspect once."""
    added = 0
    with writing(engine) as connection:
        for request in requests:
            number = _next_round(connection, request)
            if number is None:
                continue
            row = insert_new(engine, label_queue).values(
                item_id=request.item_id or uuid.uuid4().hex,
                ticket_id=request.ticket.ticket_id,
                round=number,
                share=request.share,
                needed=request.needed,
                priority=request.priority,
                status="open",
                asked_at=at,
                run_id=run_id,
                ticket=to_json(request.ticket),
                suggestion=to_json(request.suggestion) if request.suggestion else None,
                known_type=request.known_type,
                doubt=dict(request.doubt) if request.doubt is not None else None,
            )
            added += connection.execute(row.returning(label_queue.c.item_id)).first() is not None
    return added


def _next_round(connection: sa.Connection, request: LabelRequest) -> int | None:
    """The round in which a ticket may be asked about now; None when it may not."""
    query = sa.select(label_queue.c.round, label_queue.c.status, label_queue.c.share)
    before = connection.execute(query.where(label_queue.c.ticket_id == request.ticket.ticket_id)).all()
    if not before:
        return 1
    waits = any(row.status in UNFINISHED for row in before)
    doubted = request.share == "suspect" and any(row.share == "suspect" for row in before)
    return None if request.share not in AGAIN or waits or doubted else max(row.round for row in before) + 1


def claim(
    engine: sa.Engine, labeler: str, *, at: datetime, count: int = 1, share: Share | None = None, first: str = ""
) -> list[LabelRequest]:
    """Take the next items for a labeler, of one share or of all, the item `first` before others.

    Two labelers never get the same one at once; a claim lapses after CLAIM_LASTS. Nobody gets an item they labelled,
    nor a ticket they labelled in the last month.
    """
    query = sa.select(label_queue).where(claimable(labeler, at=at))
    if share is not None:
        query = query.where(label_queue.c.share == share)
    wanted = sa.case((label_queue.c.item_id == first, 0), else_=1)
    query = query.order_by(wanted, label_queue.c.priority.desc(), label_queue.c.item_id).limit(count)
    with writing(engine) as connection:
        rows = connection.execute(query.with_for_update(skip_locked=True)).all()
        if rows:
            connection.execute(
                sa.update(label_queue)
                .where(label_queue.c.item_id.in_([row.item_id for row in rows]))
                .values(status="claimed", claimed_by=labeler, claimed_at=at)
            )
    return [request_of(row) for row in rows]


def claimable(labeler: str, *, at: datetime) -> sa.ColumnElement[bool]:
    """Items that a labeler may take now."""
    open_now = sa.or_(
        label_queue.c.status == "open",
        sa.and_(label_queue.c.status == "claimed", label_queue.c.claimed_at < at - CLAIM_LASTS),
        sa.and_(label_queue.c.status == "claimed", label_queue.c.claimed_by == labeler),
    )
    own = sa.exists().where(
        labels.c.ticket_id == label_queue.c.ticket_id,
        labels.c.labeler == labeler,
        STANDS,
        sa.or_(labels.c.item_id == label_queue.c.item_id, labels.c.at > at - REMEMBERED),
    )
    return sa.and_(open_now, ~own)


def counts(engine: sa.Engine) -> dict[str, int]:
    """Items by status: open, claimed, disputed, done, skipped (absent when none)."""
    query = sa.select(label_queue.c.status, sa.func.count().label("items")).group_by(label_queue.c.status)
    with engine.connect() as connection:
        return {row.status: row.items for row in connection.execute(query)}


def labels_between(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Labels that count, one an item, which came to count in start <= time < end, in that order, streamed."""
    query = sa.select(labels).where(COUNTS, labels.c.final_at >= start, labels.c.final_at < end)
    with engine.connect().execution_options(yield_per=1000) as connection:
        rows = connection.execute(query.order_by(labels.c.final_at, labels.c.label_id))
        yield from (dict(row._mapping) for row in rows)


def labels_with_suggestions(engine: sa.Engine, start: datetime, end: datetime) -> Iterator[Mapping[str, Any]]:
    """Labels as `labels_between` gives them, with the `ticket` and `suggestion` (JSON) asked about."""
    query = (
        sa.select(labels, label_queue.c.ticket, label_queue.c.suggestion)
        .join(label_queue, labels.c.item_id == label_queue.c.item_id)
        .where(COUNTS, labels.c.final_at >= start, labels.c.final_at < end)
        .order_by(labels.c.final_at, labels.c.label_id)
    )
    with engine.connect().execution_options(yield_per=1000) as connection:
        for row in connection.execute(query).mappings():
            yield dict(row)


def queued_tickets(engine: sa.Engine) -> dict[str, str | None]:
    """Every ticket that was ever queued, with the run that asked for it first."""
    query = sa.select(label_queue.c.ticket_id, label_queue.c.run_id).order_by(label_queue.c.round.desc())
    with engine.connect() as connection:
        return {row.ticket_id: row.run_id for row in connection.execute(query)}


def unavailable(engine: sa.Engine) -> set[str]:
    """Tickets whose label cannot be doubted now: they wait for one, or were reviewed as suspects before."""
    said = sa.or_(label_queue.c.status.in_(UNFINISHED), label_queue.c.share == "suspect")
    with engine.connect() as connection:
        return set(connection.scalars(sa.select(label_queue.c.ticket_id).where(said)))


def asked_by(engine: sa.Engine, run_id: str) -> int:
    """Items that a run queued."""
    query = sa.select(sa.func.count()).select_from(label_queue).where(label_queue.c.run_id == run_id)
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def first_asked(engine: sa.Engine, run_id: str) -> datetime | None:
    """When a run queued its items; None where it queued none."""
    query = sa.select(sa.func.min(label_queue.c.asked_at)).where(label_queue.c.run_id == run_id)
    with engine.connect() as connection:
        first: datetime | None = connection.execute(query).scalar_one()
    return first


def request_of(row: sa.Row[Any]) -> LabelRequest:
    """A row of the queue as it was asked."""
    return LabelRequest(
        item_id=row.item_id,
        ticket=ticket_from_json(row.ticket),
        share=row.share,
        priority=row.priority,
        suggestion=suggestion_from_json(row.suggestion) if row.suggestion else None,
        needed=row.needed,
        known_type=row.known_type,
        doubt=row.doubt,
    )
