"""What people make of the tickets they are asked about: labels given, passed over and taken back, disputes settled.

An item is done when it has as many labels as it needs and more than half of them agree; one of those is then final,
and what counts of the item. Labels that do not agree are a dispute, which a third person settles. Where nobody is left
to give the second label or settle a dispute, the first label counts. A gold ticket's answer is known, and its labels
measure who gave them: none is final, and where they differ there is nothing to settle.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tickets.database import label_queue, labels
from tickets.errors import InputError

CLAIM_LASTS = timedelta(minutes=30)
UNDO_WITHIN = timedelta(minutes=10)  # agents' feedback too; the lake takes neither before
STANDS = labels.c.withdrawn_at.is_(None)


def counting(given: sa.FromClause) -> sa.ColumnElement[bool]:
    """Which of these labels count. Of gold none does: an earlier version made some of them final."""
    return sa.and_(given.c.final_at.is_not(None), given.c.withdrawn_at.is_(None), given.c.share != "gold")


COUNTS = counting(labels)


def answer(
    engine: sa.Engine,
    item_id: str,
    *,
    contact_type: str,
    labeler: str,
    at: datetime,
    template_id: str | None = None,
    seconds: float | None = None,
    label_id: str | None = None,
    kept_at: datetime | None = None,
) -> None:
    """Keep one person's label of an item, given `at` and, where that was elsewhere, kept only now; `seconds` is what it
    took. Raises InputError when the item is unknown, has the labels it needs, or has one of this person."""
    with writing(engine) as connection:
        item = locked_item(connection, item_id)
        if item.status not in ("open", "claimed"):
            raise InputError(f"the item {item_id!r} was {item.status} already.", hint="Take the next one.")
        _refuse_twice(connection, item_id, labeler)
        _insert(
            connection,
            item,
            label_id=label_id or uuid.uuid4().hex,
            contact_type=contact_type,
            template_id=template_id,
            labeler=labeler,
            at=at,
            seconds=seconds,
        )
        _conclude(connection, item, needed=item.needed, by=labeler, at=kept_at or at)


def settle(
    engine: sa.Engine, item_id: str, *, contact_type: str, labeler: str, at: datetime, seconds: float | None = None
) -> None:
    """End a dispute: this label is final. Raises InputError when there is none, or the person took part in it."""
    with writing(engine) as connection:
        item = locked_item(connection, item_id)
        if item.status != "disputed":
            raise InputError(f"the item {item_id!r} is not in dispute, but {item.status}.", hint="Take the next one.")
        _refuse_twice(connection, item_id, labeler)
        label_id = uuid.uuid4().hex
        _insert(
            connection,
            item,
            label_id=label_id,
            contact_type=contact_type,
            labeler=labeler,
            at=at,
            seconds=seconds,
            kind="adjudication",
        )
        _make_final(connection, item, label_id, at=at)
        _set(connection, item_id, status="done", claimed_by=labeler, claimed_at=at)


def skip(engine: sa.Engine, item_id: str, *, labeler: str, at: datetime) -> str:
    """Set an item aside that nobody can label; one that a label was given for does without the second. Returns its
    status: skipped, or what its labels make of it. Raises InputError when it is unknown, was answered already, or is in
    somebody else's hands."""
    with writing(engine) as connection:
        item = locked_item(connection, item_id)
        if item.status not in ("open", "claimed", "disputed"):
            raise InputError(f"the item {item_id!r} was {item.status} already.", hint="Take the next one.")
        if item.claimed_by not in (None, labeler) and item.claimed_at >= at - CLAIM_LASTS:
            raise InputError("somebody else works on this item now.", hint="Take the next one.")
        _refuse_twice(connection, item_id, labeler)
        given = len(_standing(connection, item_id))
        if given and item.status != "disputed":
            return _conclude(connection, item, needed=given, by=labeler, at=at)
        _set(connection, item_id, status="skipped", claimed_by=labeler, claimed_at=at)
        return "skipped"


def undo(engine: sa.Engine, item_id: str, *, labeler: str, at: datetime, within: timedelta = UNDO_WITHIN) -> str:
    """Take back what this person did last with an item. Returns what it is now: "claimed" by them again, "disputed"
    again, or "elsewhere", in the hands of somebody who took it meanwhile.

    Raises InputError when they did nothing there, did it longer ago than `within`, or somebody else has labelled it
    since.
    """
    with writing(engine) as connection:
        item = locked_item(connection, item_id)
        standing = _standing(connection, item_id)
        own = _own(standing, labeler)
        _refuse_late(_done_at(item, own, labeler), at=at, within=within)
        if item.status == "skipped":
            again = "disputed" if standing else "claimed"
        elif own is None:
            # They passed it over, and so the label of somebody else came to count.
            _count_none(connection, item_id)
            again = "claimed"
        else:
            _withdraw(connection, own, standing, at=at)
            again = "disputed" if own.kind == "adjudication" else "claimed"
        if item.status == "claimed" and item.claimed_by != labeler:
            return "elsewhere"  # it comes back to this person afterwards
        _set(connection, item_id, status=again, claimed_by=labeler, claimed_at=at)
        return again


def can_undo(engine: sa.Engine, item_id: str, *, labeler: str, at: datetime, within: timedelta = UNDO_WITHIN) -> bool:
    """Whether `undo` would take something back."""
    with engine.connect() as connection:
        item = connection.execute(sa.select(label_queue).where(label_queue.c.item_id == item_id)).first()
        if item is None:
            return False
        standing = _standing(connection, item_id)
    own = _own(standing, labeler)
    done_at = _done_at(item, own, labeler)
    if done_at is None or done_at < at - within:
        return False
    return item.status == "skipped" or own is None or not _labelled_since(own, standing)


def conclude_waiting(engine: sa.Engine, people: Collection[str], *, given_before: datetime, at: datetime) -> int:
    """End what waits for somebody whom there is not: items that all of these people have labelled, last before a time,
    do with the labels they have, and where those do not agree the first one counts. Returns how many those were."""
    newest = sa.select(sa.func.max(labels.c.at)).where(labels.c.item_id == label_queue.c.item_id, STANDS)
    waits = sa.and_(label_queue.c.status.in_(("open", "claimed", "disputed")), newest.scalar_subquery() < given_before)
    unclaimed = sa.or_(label_queue.c.claimed_at.is_(None), label_queue.c.claimed_at < at - CLAIM_LASTS)
    query = sa.select(label_queue).where(waits, unclaimed).with_for_update(skip_locked=True)
    ended = 0
    with writing(engine) as connection:
        for item in connection.execute(query).all():
            standing = _standing(connection, item.item_id)
            if not {row.labeler for row in standing}.issuperset(people):
                continue
            first = standing[0]
            if _conclude(connection, item, needed=len(standing), by=first.labeler, at=at) == "disputed":
                _make_final(connection, item, first.label_id, at=at)
                _set(connection, item.item_id, status="done", claimed_by=first.labeler, claimed_at=at)
            ended += 1
    return ended


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that reads what it then changes: SQLite lets nobody else write meanwhile, PostgreSQL locks the
    rows that are asked for so."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(sa.text("BEGIN IMMEDIATE"))
        yield connection


def locked_item(connection: sa.Connection, item_id: str) -> sa.Row[Any]:
    """Raises InputError for an unknown one."""
    query = sa.select(label_queue).where(label_queue.c.item_id == item_id).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise InputError(f"no label was asked under the id {item_id!r}.", hint="Reload the queue.")
    return row


def _standing(connection: sa.Connection, item_id: str) -> list[sa.Row[Any]]:
    """Labels of an item that were not taken back, oldest first."""
    query = sa.select(labels).where(labels.c.item_id == item_id, STANDS).order_by(labels.c.at, labels.c.label_id)
    return list(connection.execute(query).all())


def _refuse_twice(connection: sa.Connection, item_id: str, labeler: str) -> None:
    if any(row.labeler == labeler for row in _standing(connection, item_id)):
        raise InputError("you labelled this item already: it waits for somebody else.", hint="Take the next one.")


def _own(standing: Sequence[sa.Row[Any]], labeler: str) -> sa.Row[Any] | None:
    return next((row for row in standing if row.labeler == labeler), None)


def _done_at(item: sa.Row[Any], own: sa.Row[Any] | None, labeler: str) -> datetime | None:
    """When this person set an item aside, passed it over, or gave it the label `own`; None when they did nothing."""
    at: datetime | None
    if item.status == "skipped" or (item.status == "done" and own is None):
        at = item.claimed_at if item.claimed_by == labeler else None
    else:
        at = own.at if own is not None else None
    return at


def _refuse_late(done_at: datetime | None, *, at: datetime, within: timedelta) -> None:
    """Raises InputError when nothing was done, or too long ago."""
    if done_at is None:
        raise InputError("nothing that was done with this item was done by you.", hint="Nothing was undone.")
    if done_at < at - within:
        raise InputError("that was longer ago than can be undone.", hint="The item keeps what was said of it.")


def _withdraw(connection: sa.Connection, own: sa.Row[Any], standing: Sequence[sa.Row[Any]], *, at: datetime) -> None:
    """Raises InputError when others have had their word since."""
    if _labelled_since(own, standing):
        raise InputError("somebody else has labelled this item since.", hint="Nothing was undone.")
    connection.execute(sa.update(labels).where(labels.c.label_id == own.label_id).values(withdrawn_at=at))
    _count_none(connection, own.item_id)


def _labelled_since(own: sa.Row[Any], standing: Sequence[sa.Row[Any]]) -> bool:
    """Whether others have had their word since a label was given."""
    others = [row for row in standing if row.label_id != own.label_id]
    return any(row.at > own.at or row.kind == "adjudication" for row in others)


def _count_none(connection: sa.Connection, item_id: str) -> None:
    """The item's labels stand, and none is final."""
    connection.execute(sa.update(labels).where(labels.c.item_id == item_id, STANDS).values(final_at=None))


def _insert(connection: sa.Connection, item: sa.Row[Any], **given: Any) -> None:
    facts = {"item_id": item.item_id, "ticket_id": item.ticket_id, "share": item.share, "kind": "label"}
    connection.execute(sa.insert(labels).values(**facts | given))


def _conclude(connection: sa.Connection, item: sa.Row[Any], *, needed: int, by: str, at: datetime) -> str:
    """What the labels that stand make of the item: its status."""
    standing = _standing(connection, item.item_id)
    favourite, votes = Counter(row.contact_type for row in standing).most_common(1)[0]
    if len(standing) < needed:
        if item.status != "open" and item.claimed_by != by:
            return str(item.status)
        _set(connection, item.item_id, status="open", claimed_by=None, claimed_at=None)
        return "open"
    if 2 * votes <= len(standing) and item.share != "gold":
        _set(connection, item.item_id, status="disputed", claimed_by=None, claimed_at=None)
        return "disputed"
    _set(connection, item.item_id, status="done", claimed_by=by, claimed_at=at)
    last = [row.label_id for row in standing if row.contact_type == favourite][-1]
    _make_final(connection, item, last, at=at)
    return "done"


def _make_final(connection: sa.Connection, item: sa.Row[Any], label_id: str, *, at: datetime) -> None:
    """The label is what counts of its item; of a gold ticket none is."""
    if item.share != "gold":
        connection.execute(sa.update(labels).where(labels.c.label_id == label_id).values(final_at=at))


def _set(connection: sa.Connection, item_id: str, **values: Any) -> None:
    connection.execute(sa.update(label_queue).where(label_queue.c.item_id == item_id).values(**values))
