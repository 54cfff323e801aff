"""What came in and what agents made of it, counted in SQL: tickets by day, judgements by day, templates sent.

Only counts leave the database, so a million rows cost a second or two. Tickets are counted by an index that holds all
the count asks for; no ticket is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tickets.database import feedback, label_queue, labels, suggestions

EDITED = 0.05  # a template counts as edited when more of its text than this was changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A part of the traffic: since <= time < until, of one language and one channel; None for all."""

    since: datetime
    until: datetime
    language: str | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class TypeCount:
    """Different tickets of a day that were suggested a contact type first; None where nothing was suggested. A ticket
    that was suggested for again on the day counts once for each type."""

    day: str
    contact_type: str | None
    tickets: int


@dataclass(frozen=True, slots=True)
class DayOfJudgements:
    """How many suggestions agents accepted and corrected on a day."""

    day: str
    accepted: int
    corrected: int


@dataclass(frozen=True, slots=True)
class TemplateUse:
    """How often a template was sent; of the sends whose edits are known (`measured`), how many were edited, and the
    mean share of the text that was changed, 0 to 1."""

    template_id: str
    sent: int
    measured: int
    edited: int
    changed: float | None


@dataclass(frozen=True, slots=True)
class GivenLabel:
    """A label: when it was given, why it was asked, and the seconds since its page was drawn, where they are
    known."""

    at: datetime
    share: str
    seconds: float | None


def tickets_by_day(engine: sa.Engine, part: Slice) -> list[TypeCount]:
    """By the day (UTC) of the suggestion, oldest first. A ticket that was suggested for twice on a day counts once, but
    under both types where the second was another."""
    row = suggestions.c
    day = _day(engine, row.created_at).label("day")
    query = (
        sa.select(day, row.contact_type, sa.func.count(sa.distinct(row.ticket_id)))
        .where(row.created_at >= part.since, row.created_at < part.until, *_of_kind(part))
        .group_by(day, row.contact_type)
    )
    with engine.connect() as connection:
        counts = [TypeCount(str(day), name, tickets) for day, name, tickets in connection.execute(query)]
    return sorted(counts, key=lambda count: (count.day, count.contact_type or ""))


def judgements_by_day(engine: sa.Engine, part: Slice) -> list[DayOfJudgements]:
    """By the day (UTC) of the judgement, oldest first; the last word on each suggestion counts. Suggestions that were
    withheld are left out, since nothing of them can be accepted."""
    row, newer = feedback.c, feedback.alias("newer")
    day = _day(engine, row.at).label("day")
    later = sa.exists().where(
        newer.c.suggestion_id == row.suggestion_id,
        newer.c.withdrawn_at.is_(None),
        sa.or_(newer.c.at > row.at, sa.and_(newer.c.at == row.at, newer.c.feedback_id > row.feedback_id)),
    )
    query = (
        sa.select(day, row.action, sa.func.count())
        .join(suggestions, row.suggestion_id == suggestions.c.suggestion_id)
        .where(row.at >= part.since, row.at < part.until, row.withdrawn_at.is_(None), ~later, *_of_kind(part))
        .where(row.action.in_(["accepted", "corrected"]))
        .where(sa.func.coalesce(suggestions.c.arm, "champion") != "holdout")
        .group_by(day, row.action)
    )
    counts: dict[str, dict[str, int]] = {}
    with engine.connect() as connection:
        for of_day, action, number in connection.execute(query):
            counts.setdefault(str(of_day), {})[action] = number
    return [DayOfJudgements(d, c.get("accepted", 0), c.get("corrected", 0)) for d, c in sorted(counts.items())]


def template_use(engine: sa.Engine, part: Slice) -> list[TemplateUse]:
    """Of the templates that were sent at all, most used first."""
    row = feedback.c
    edited = sa.func.sum(sa.case((row.edit_distance > EDITED, 1), else_=0))
    counted = (sa.func.count(), sa.func.count(row.edit_distance), edited, sa.func.avg(row.edit_distance))
    query = (
        sa.select(row.template_id, *counted)
        .where(row.at >= part.since, row.at < part.until, row.withdrawn_at.is_(None), row.template_id.is_not(None))
        .group_by(row.template_id)
        .order_by(sa.func.count().desc(), row.template_id)
    )
    if kinds := _of_kind(part):
        query = query.join(suggestions, row.suggestion_id == suggestions.c.suggestion_id).where(*kinds)
    with engine.connect() as connection:
        return [TemplateUse(*found) for found in connection.execute(query)]


def labels_given(engine: sa.Engine, part: Slice) -> list[GivenLabel]:
    """Labels of the period, oldest first. Those that were taken back count for nothing."""
    ticket = label_queue.c.ticket
    query = (
        sa.select(labels.c.at, labels.c.share, labels.c.seconds)
        .join(label_queue, labels.c.item_id == label_queue.c.item_id)
        .where(labels.c.at >= part.since, labels.c.at < part.until, labels.c.withdrawn_at.is_(None))
        .order_by(labels.c.at)
    )
    for name, value in (("language", part.language), ("channel", part.channel)):
        if value is not None:
            query = query.where(ticket[name].as_string() == value)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [GivenLabel(at, share, seconds) for at, share, seconds in rows]


def newest_suggestion(engine: sa.Engine, ticket_id: str) -> str | None:
    """The id of the suggestion for a ticket that the queue shows: the newest, of one time the greatest id."""
    row = suggestions.c
    newest = (row.created_at.desc(), row.suggestion_id.desc())
    query = sa.select(row.suggestion_id).where(row.ticket_id == ticket_id).order_by(*newest).limit(1)
    with engine.connect() as connection:
        return connection.scalar(query)


def newest_time(engine: sa.Engine) -> datetime | None:
    """When the newest suggestion was made; None when there is none."""
    with engine.connect() as connection:
        return connection.scalar(sa.select(suggestions.c.created_at).order_by(suggestions.c.created_at.desc()).limit(1))


def _of_kind(part: Slice) -> Sequence[sa.ColumnElement[bool]]:
    wanted = ((suggestions.c.language, part.language), (suggestions.c.channel, part.channel))
    return [column == value for column, value in wanted if value is not None]


def _day(engine: sa.Engine, time: sa.Column[datetime]) -> sa.ColumnElement[Any]:
    """The day in UTC. SQLite keeps times as text in UTC, which begins with the day."""
    if engine.dialect.name == "sqlite":
        return sa.func.substr(time, 1, 10, type_=sa.String)
    return sa.cast(sa.func.timezone("UTC", time), sa.Date)
