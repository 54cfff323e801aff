"""Counts of tickets, judgements, templates and labels, on both databases."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

import tickets
from tests.service.dashboard.traffic import judge, label, suggest
from tickets import label_queue
from tickets.database import suggestions, upgrade
from tickets.traffic import (
    DayOfJudgements,
    Slice,
    TemplateUse,
    TypeCount,
    judgements_by_day,
    labels_given,
    newest_suggestion,
    newest_time,
    template_use,
    tickets_by_day,
)

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = Slice(since=MONDAY, until=MONDAY + timedelta(days=7))


def part(**kind: str) -> Slice:
    return Slice(since=WEEK.since, until=WEEK.until, **kind)


def test_tickets_are_counted_by_day_in_utc_and_by_type(engine: sa.Engine) -> None:
    last_moment = MONDAY + timedelta(hours=23, minutes=59, seconds=59)
    suggest(engine, 1, MONDAY)
    suggest(engine, 2, last_moment, language="de")
    suggest(engine, 3, last_moment, ticket_id="t-2", language="de")  # the same ticket again
    suggest(engine, 4, last_moment + timedelta(seconds=1), "login", channel="chat")
    suggest(engine, 5, MONDAY + timedelta(days=1), None)
    suggest(engine, 8, MONDAY + timedelta(days=1), "refund", ticket_id="t-5")  # counts under both types
    suggest(engine, 6, MONDAY - timedelta(seconds=1))
    suggest(engine, 7, MONDAY + timedelta(days=7))
    for number in (91, 92):
        suggest(engine, number, MONDAY - timedelta(days=1), ticket_id="t-9")
    assert tickets_by_day(engine, WEEK) == [
        TypeCount("2026-03-02", "refund", 2),
        TypeCount("2026-03-03", None, 1),
        TypeCount("2026-03-03", "login", 1),
        TypeCount("2026-03-03", "refund", 1),
    ]
    assert tickets_by_day(engine, part(language="de")) == [TypeCount("2026-03-02", "refund", 1)]
    assert tickets_by_day(engine, part(language="en", channel="chat")) == [TypeCount("2026-03-03", "login", 1)]
    assert tickets_by_day(engine, part(language="'; --")) == []
    assert newest_time(engine) == MONDAY + timedelta(days=7)
    assert newest_suggestion(engine, "t-4") == "s-4"
    assert newest_suggestion(engine, "t-9") == "s-92"  # of one time that which the queue shows
    assert newest_suggestion(engine, "none") is None


def test_the_last_word_counts_and_what_was_withheld_or_taken_back_does_not(engine: sa.Engine) -> None:
    judge(engine, suggest(engine, 1, MONDAY))
    twice = suggest(engine, 2, MONDAY)
    judge(engine, twice, "accepted", minutes=1)
    judge(engine, twice, "corrected", minutes=2)
    judge(engine, twice, "corrected", minutes=2.0)  # of the same moment: one of both counts
    undone = suggest(engine, 3, MONDAY)
    judge(engine, undone, "corrected", minutes=1)
    judge(engine, undone, "accepted", minutes=2, withdrawn=True)
    judge(engine, suggest(engine, 4, MONDAY, arm="holdout"), "corrected")
    judge(engine, suggest(engine, 5, MONDAY), "ignored")
    judge(engine, suggest(engine, 6, MONDAY, language="de"), minutes=24 * 60)
    assert judgements_by_day(engine, WEEK) == [
        DayOfJudgements("2026-03-02", 1, 2),
        DayOfJudgements("2026-03-03", 1, 0),
    ]
    assert judgements_by_day(engine, part(language="de")) == [DayOfJudgements("2026-03-03", 1, 0)]


def test_templates_are_counted_with_their_edits(engine: sa.Engine) -> None:
    for number, edited in enumerate((0.0, 0.04, 0.5, None)):
        judge(engine, suggest(engine, number, MONDAY), template="t-refund", edited=edited)
    judge(engine, suggest(engine, 8, MONDAY, channel="chat"), template="t-login", edited=0.2)
    judge(engine, suggest(engine, 9, MONDAY), template="t-login", withdrawn=True)
    refund, login = template_use(engine, WEEK)
    assert (refund.template_id, refund.sent, refund.measured, refund.edited) == ("t-refund", 4, 3, 1)
    assert refund.changed == pytest.approx(0.18)
    assert login == TemplateUse("t-login", 1, 1, 1, 0.2)
    assert [use.template_id for use in template_use(engine, part(channel="chat"))] == ["t-login"]


def test_a_label_tells_its_share_and_its_seconds_unless_it_was_taken_back(engine: sa.Engine) -> None:
    label(engine, "t-1", "random", MONDAY, seconds=40)
    label(engine, "t-2", "unsure", MONDAY + timedelta(hours=1), seconds=72)
    item_id = label(engine, "t-3", "unsure", MONDAY + timedelta(hours=2), seconds=9)
    label_queue.undo(engine, item_id, labeler="ann", at=MONDAY + timedelta(hours=2, minutes=1))
    assert [(given.share, given.seconds) for given in labels_given(engine, WEEK)] == [("random", 40), ("unsure", 72)]
    assert labels_given(engine, part(language="de")) == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_suggestions_from_before_the_columns_are_found_by_language_too(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    old = empty_database(kind, request, tmp_path)
    before = ScriptDirectory(str(Path(tickets.__file__).parent / "migrations")).get_revision("0006").down_revision
    assert isinstance(before, str)
    upgrade(old, before)
    ticket, made = {"language": "de", "channel": "chat"}, {"arm": "holdout"}
    facts = {"id": "s-1", "at": datetime(2026, 3, 2), "ticket": json.dumps(ticket), "made": json.dumps(made)}  # noqa: DTZ001  # as SQLite keeps it
    with old.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO suggestions"
                " (suggestion_id, ticket_id, created_at, model_version, abstained, ticket, suggestion) "
                "VALUES (:id, 't-1', :at, 'm1', false, :ticket, :made)"
            ),
            facts,
        )
    upgrade(old)
    with old.connect() as connection:
        row = connection.execute(sa.select(suggestions.c.language, suggestions.c.channel, suggestions.c.arm)).one()
    assert tuple(row) == ("de", "chat", "holdout")
    old.dispose()


def empty_database(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> sa.Engine:
    """A database of its own, without any table."""
    if kind == "sqlite":
        return sa.create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    url = sa.make_url(request.getfixturevalue("postgres_url")).set(drivername="postgresql+psycopg")
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text("DROP DATABASE IF EXISTS before_the_columns"))
        connection.execute(sa.text("CREATE DATABASE before_the_columns"))
    server.dispose()
    return sa.create_engine(url.set(database="before_the_columns"))
