"""What labelling has come to: what waits for whom, what each person did, how far people agree, what it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from statistics import median

import sqlalchemy as sa

from tickets.contact_types import ContactTypeTree
from tickets.database import label_queue, labels
from tickets.label_answers import COUNTS, STANDS, counting
from tickets.label_disputes import settleable
from tickets.label_queue import UNFINISHED, LabelRequest, claimable, request_of

# Labelled blind where two people do it; suspects show what is doubted.
MEASURED = ("unsure", "diverse", "random", "theme")
_NEWEST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Items by who can work on them: this person, or others alone. `suspects` are among `mine`."""

    mine: int
    suspects: int
    disputes: int
    others: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Labels of one person, or of all: how many, how many today, their median and whole time where it is known."""

    labels: int
    today: int
    seconds: float | None
    hours: float


@dataclass(frozen=True, slots=True)
class Hits:
    """`hits` of `compared` labels agree, with another person's or with the known answer."""

    hits: int
    compared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One labeler: labels given, the mean time of those that were timed, how often others said the same, known answers
    that were hit."""

    name: str
    labels: int
    seconds: float | None
    agreed: Hits
    gold: Hits


def waiting(engine: sa.Engine, person: str, *, at: datetime) -> Waiting:
    """What waits for a person, and what waits for somebody else."""
    mine, suspect = claimable(person, at=at), label_queue.c.share == "suspect"
    with engine.connect() as connection:

        def count(*wanted: sa.ColumnElement[bool]) -> int:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(label_queue).where(*wanted)) or 0)

        own, disputes = count(mine), count(settleable(person, at=at))
        unfinished = count(label_queue.c.status.in_(UNFINISHED))
        return Waiting(mine=own, suspects=count(mine, suspect), disputes=disputes, others=unfinished - own - disputes)


def work(engine: sa.Engine, *, at: datetime, person: str | None = None) -> Work:
    """Labels that stand, of gold and of settled disputes too: all of them cost time. The median is that of the newest
    thousand."""
    own = STANDS if person is None else sa.and_(STANDS, labels.c.labeler == person)
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    today = sa.func.sum(sa.case((labels.c.at >= midnight, 1), else_=0))
    sums = sa.select(sa.func.count(), today, sa.func.sum(labels.c.seconds)).where(own)
    timed = sa.select(labels.c.seconds).where(own, labels.c.seconds.is_not(None))
    with engine.connect() as connection:
        count, since_midnight, whole = connection.execute(sums).one()
        seconds = list(connection.scalars(timed.order_by(labels.c.at.desc()).limit(_NEWEST)))
    return Work(
        labels=count,
        today=since_midnight or 0,
        seconds=median(seconds) if seconds else None,
        hours=(whole or 0.0) / 3600,
    )


def labels_by_item(engine: sa.Engine, *, since: datetime, until: datetime | None = None) -> dict[str, dict[str, str]]:
    """item_id -> labeler -> contact type, of items that several people labelled blind, settled disputes without the
    settling label; those with a label given since then, where `until` is given without labels given after it."""
    given = sa.and_(STANDS, labels.c.kind == "label", _before(until))
    several = (
        sa.select(labels.c.item_id)
        .where(given, labels.c.share.in_(MEASURED))
        .group_by(labels.c.item_id)
        .having(sa.and_(sa.func.count() > 1, sa.func.max(labels.c.at) >= since))
    )
    query = sa.select(labels.c.item_id, labels.c.labeler, labels.c.contact_type).where(
        given, labels.c.item_id.in_(several)
    )
    found: dict[str, dict[str, str]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query.order_by(labels.c.item_id, labels.c.at)):
            found.setdefault(row.item_id, {})[row.labeler] = row.contact_type
    return found


def gold_hits(
    engine: sa.Engine, tree: ContactTypeTree, *, since: datetime, until: datetime | None = None
) -> dict[str, Hits]:
    """By labeler: how many labels of gold tickets hit the known answer. Both are read as today's tree has them; where
    it has no one leaf for the answer, nothing is measured by it."""
    query = (
        sa.select(labels.c.labeler, labels.c.contact_type, label_queue.c.known_type, sa.func.count().label("given"))
        .join(label_queue, labels.c.item_id == label_queue.c.item_id)
        .where(STANDS, labels.c.share == "gold", labels.c.at >= since, _before(until))
        .group_by(labels.c.labeler, labels.c.contact_type, label_queue.c.known_type)
    )
    found: dict[str, Hits] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            known = tree.leaf_today(row.known_type)
            if known is not None:
                before = found.get(row.labeler, Hits(0, 0))
                hits = row.given if tree.leaf_today(row.contact_type) == known else 0
                found[row.labeler] = Hits(before.hits + hits, before.compared + row.given)
    return found


def _before(until: datetime | None) -> sa.ColumnElement[bool]:
    return sa.true() if until is None else labels.c.at <= until


def agreement_of(person: str, given: Mapping[str, Mapping[str, str]]) -> Hits:
    """How often others said what this person said, over `labels_by_item`."""
    pairs = [
        said == own[person] for own in given.values() if person in own for other, said in own.items() if other != person
    ]
    return Hits(sum(pairs), len(pairs))


def people(engine: sa.Engine, tree: ContactTypeTree, *, since: datetime) -> list[Person]:
    """Everybody who labelled since then, who did most first."""
    query = (
        sa.select(labels.c.labeler, sa.func.count().label("given"), sa.func.avg(labels.c.seconds).label("seconds"))
        .where(STANDS, labels.c.at >= since)
        .group_by(labels.c.labeler)
        .order_by(sa.desc("given"), labels.c.labeler)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    shared, gold = labels_by_item(engine, since=since), gold_hits(engine, tree, since=since)
    return [
        Person(
            name=row.labeler,
            labels=row.given,
            seconds=row.seconds,
            agreed=agreement_of(row.labeler, shared),
            gold=gold.get(row.labeler, Hits(0, 0)),
        )
        for row in rows
    ]


def labelers_since(engine: sa.Engine, since: datetime) -> set[str]:
    """Who labelled lately."""
    query = sa.select(labels.c.labeler).where(STANDS, labels.c.at >= since).distinct()
    with engine.connect() as connection:
        return set(connection.scalars(query))


def known_answers(
    engine: sa.Engine, tree: ContactTypeTree, *, until: datetime, limit: int
) -> list[tuple[LabelRequest, str]]:
    """Items that several people agreed on, or a third settled, last labelled before `until`, with their final contact
    type as today's tree has it; those least often asked again first. Left out are tickets that a later label speaks of,
    and contact types that are no one leaf any more."""
    asked = sa.func.count().label("asked")
    rounds = sa.select(label_queue.c.ticket_id, asked).group_by(label_queue.c.ticket_id).subquery()
    waits = sa.select(label_queue.c.ticket_id).where(label_queue.c.status.in_(UNFINISHED))
    later = labels.alias("later")
    overruled = sa.exists().where(
        later.c.ticket_id == label_queue.c.ticket_id,
        counting(later),
        later.c.final_at > labels.c.final_at,
    )
    second = labels.alias("second")
    agreed = sa.exists().where(
        second.c.item_id == labels.c.item_id,
        second.c.label_id != labels.c.label_id,
        second.c.contact_type == labels.c.contact_type,
        second.c.withdrawn_at.is_(None),
    )
    query = (
        sa.select(label_queue, labels.c.contact_type.label("answer"))
        .join(labels, sa.and_(labels.c.item_id == label_queue.c.item_id, COUNTS))
        .join(rounds, rounds.c.ticket_id == label_queue.c.ticket_id)
        .where(
            sa.or_(agreed, labels.c.kind == "adjudication"),
            labels.c.final_at < until,
            label_queue.c.ticket_id.not_in(waits),
            ~overruled,
        )
        .order_by(rounds.c.asked, labels.c.final_at.desc(), label_queue.c.item_id)
    )
    with engine.connect().execution_options(yield_per=100) as connection, connection.execute(query) as found:
        rows = ((row, tree.leaf_today(row.answer)) for row in found)
        known = ((request_of(row), answer) for row, answer in rows if answer is not None)
        return list(islice(known, limit))


def waiting_suspects(engine: sa.Engine, *, limit: int) -> list[LabelRequest]:
    """Suspects that nobody has looked at yet, the likeliest mistakes first."""
    query = (
        sa.select(label_queue)
        .where(
            label_queue.c.share == "suspect",
            label_queue.c.status.in_(UNFINISHED),
            label_queue.c.doubt.is_not(None),
        )
        .order_by(label_queue.c.priority.desc(), label_queue.c.item_id)
        .limit(limit)
    )
    with engine.connect() as connection:
        return [request_of(row) for row in connection.execute(query)]
