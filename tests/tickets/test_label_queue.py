"""The label queue with several people: second labels, disputes, undo, rounds; and many at once."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from tests.tickets.asked import LATER, MINUTE, NOON, TREE, ask, final, say
from tickets import database, label_queue, label_work
from tickets.database import label_queue as items
from tickets.database import labels, upgrade
from tickets.errors import InputError
from tickets.label_answers import can_undo, settle, undo
from tickets.label_disputes import claim_dispute
from tickets.label_queue import answer, claim, counts, enqueue, labels_between, skip


def test_two_labels_that_agree_make_one_that_counts(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    assert final(engine) == {}
    assert claim(engine, "ann", at=NOON) == []
    assert [item.item_id for item in claim(engine, "bob", at=NOON)] == ["i1-random"]
    with pytest.raises(InputError, match="labelled this item already"):
        say(engine, "i1-random", "refund", "ann")
    say(engine, "i1-random", "refund", "bob", at=NOON + MINUTE)
    assert final(engine) == {"i1-random": "refund"}
    (kept,) = labels_between(engine, NOON + MINUTE, LATER)  # dated by when it came to count: no night misses it
    assert kept["labeler"] == "bob"
    assert counts(engine) == {"done": 1}


def test_a_dispute_is_settled_by_a_third_person_who_sees_both(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    say(engine, "i1-random", "invoice", "bob")
    assert counts(engine) == {"disputed": 1}
    assert final(engine) == {}
    assert claim(engine, "eve", at=NOON) == []
    assert claim_dispute(engine, "ann", at=NOON) is None
    found = claim_dispute(engine, "eve", at=NOON)
    assert found is not None
    assert sorted(found.contact_types) == ["invoice", "refund"]
    assert claim_dispute(engine, "joe", at=NOON) is None
    with pytest.raises(InputError, match="labelled this item already"):
        settle(engine, "i1-random", contact_type="refund", labeler="bob", at=NOON)
    settle(engine, "i1-random", contact_type="invoice", labeler="eve", at=NOON)
    assert final(engine) == {"i1-random": "invoice"}
    with pytest.raises(InputError, match="not in dispute"):
        settle(engine, "i1-random", contact_type="refund", labeler="joe", at=NOON)
    undo(engine, "i1-random", labeler="eve", at=NOON + MINUTE)
    assert final(engine) == {}
    assert counts(engine) == {"disputed": 1}
    skip(engine, "i1-random", labeler="eve", at=NOON + MINUTE)
    assert counts(engine) == {"skipped": 1}
    undo(engine, "i1-random", labeler="eve", at=NOON + MINUTE)
    assert claim_dispute(engine, "eve", at=NOON + MINUTE) is not None


def test_of_three_labels_the_majority_counts(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=3)], at=NOON)
    for labeler, contact_type in (("ann", "refund"), ("bob", "invoice"), ("eve", "refund")):
        say(engine, "i1-random", contact_type, labeler)
    assert final(engine) == {"i1-random": "refund"}


def test_a_suspect_is_reviewed_once_in_a_round_of_its_own(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, share="unsure")], at=NOON)
    doubted = ask(1, share="suspect", known_type="refund")
    assert enqueue(engine, [doubted], at=NOON) == 0  # it waits for a label anyway
    say(engine, "i1-unsure", "refund", "ann")
    assert enqueue(engine, [doubted, ask(2, share="suspect", known_type="login")], at=NOON) == 2
    say(engine, "i1-suspect", "invoice", "bob")
    assert enqueue(engine, [doubted], at=NOON) == 0
    assert final(engine) == {"i1-unsure": "refund", "i1-suspect": "invoice"}
    assert [item.ticket.ticket_id for item in claim(engine, "bob", at=NOON, share="suspect")] == ["t2"]
    assert claim(engine, "bob", at=NOON, share="random") == []


def test_undo_takes_back_ones_last_word_and_nothing_else(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1), ask(2, needed=2)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    with pytest.raises(InputError, match="done by you"):
        undo(engine, "i1-random", labeler="bob", at=NOON)
    with pytest.raises(InputError, match="longer ago"):
        undo(engine, "i1-random", labeler="ann", at=NOON + 11 * MINUTE)
    undo(engine, "i1-random", labeler="ann", at=NOON + MINUTE)
    assert final(engine) == {}
    assert "i1-random" in {item.item_id for item in claim(engine, "ann", at=NOON + MINUTE, count=9)}
    say(engine, "i1-random", "invoice", "ann", at=NOON + MINUTE)
    assert final(engine) == {"i1-random": "invoice"}

    say(engine, "i2-random", "refund", "ann")
    say(engine, "i2-random", "refund", "bob", at=NOON + MINUTE)
    with pytest.raises(InputError, match="labelled this item since"):
        undo(engine, "i2-random", labeler="ann", at=NOON + MINUTE)
    undo(engine, "i2-random", labeler="bob", at=NOON + MINUTE)
    assert final(engine) == {"i1-random": "invoice"}
    assert claim(engine, "ann", at=NOON + MINUTE) == []
    say(engine, "i2-random", "refund", "eve", at=NOON + 2 * MINUTE)
    assert final(engine)["i2-random"] == "refund"


def test_whoever_passes_over_a_labelled_ticket_leaves_the_first_label(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2), ask(2, needed=2)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    with pytest.raises(InputError, match="labelled this item already"):
        skip(engine, "i1-random", labeler="ann", at=NOON)  # nobody makes their own label the only one
    skip(engine, "i1-random", labeler="bob", at=NOON + timedelta(days=3))
    assert [row["ticket_id"] for row in labels_between(engine, NOON + timedelta(days=3), LATER)] == ["t1"]
    skip(engine, "i2-random", labeler="bob", at=NOON)
    with pytest.raises(InputError, match="skipped already"):
        skip(engine, "i2-random", labeler="ann", at=NOON)
    undo(engine, "i2-random", labeler="bob", at=NOON + MINUTE)
    assert counts(engine) == {"done": 1, "claimed": 1}


def test_many_at_once_lose_no_label_and_count_none_twice(engine: sa.Engine) -> None:
    """Six people empty a queue together, each in a thread with connections of its own, as processes would."""
    people, tickets = [f"p{number}" for number in range(6)], 30
    asked = [ask(number, needed=1 + number % 3, share="random") for number in range(tickets)]
    failures: list[BaseException] = []
    barrier = threading.Barrier(len(people))

    def work(person: str) -> None:
        try:
            barrier.wait()
            enqueue(engine, asked, at=NOON)  # nights that start at once ask once
            while taken := claim(engine, person, at=NOON, count=2):
                for item in taken:
                    say(engine, item.item_id, "refund", person)
        except BaseException as error:  # a thread's error would be lost
            failures.append(error)

    threads = [threading.Thread(target=work, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for person in people:  # what a thread left while others held the rest
        while taken := claim(engine, person, at=NOON, count=99):
            for item in taken:
                say(engine, item.item_id, "refund", person)
    assert failures == []
    assert counts(engine) == {"done": tickets}
    assert len(final(engine)) == tickets
    with engine.connect() as connection:
        given = Counter(connection.scalars(sa.select(labels.c.item_id)))
    assert given == {request.item_id: request.needed for request in asked}


def test_two_answers_to_one_item_at_once_keep_one(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1)], at=NOON)
    outcomes: list[str] = []
    barrier = threading.Barrier(4)

    def press(person: str) -> None:
        barrier.wait()
        try:
            say(engine, "i1-random", "refund", person)
            outcomes.append("kept")
        except InputError:
            outcomes.append("refused")

    threads = [threading.Thread(target=press, args=(person,)) for person in ("ann", "ann", "bob", "eve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept", "refused", "refused", "refused"]
    assert len(final(engine)) == 1


def test_the_database_itself_lets_one_label_of_an_item_count(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    say(engine, "i1-random", "refund", "bob")
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.update(labels).values(final_at=NOON))
    row = {"item_id": "i1-random", "ticket_id": "t1", "contact_type": "x", "at": NOON, "share": "random"}
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.execute(sa.insert(labels).values(label_id="again", labeler="ann", kind="label", **row))


def test_labels_from_before_survive_the_migration_and_the_way_back(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1), ask(2)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    enqueue(engine, [ask(1, share="gold", known_type="refund")], at=NOON)
    _downgrade(engine, "0002")
    with engine.connect() as connection:
        kept = connection.execute(sa.text("SELECT item_id, contact_type FROM labels")).all()
        asked = set(connection.scalars(sa.text("SELECT item_id FROM label_queue")))
    assert (kept, asked) == ([("i1-random", "refund")], {"i1-random", "i2-random"})
    upgrade(engine)
    assert final(engine) == {"i1-random": "refund"}
    assert counts(engine) == {"done": 1, "open": 1}
    with engine.connect() as connection:
        assert set(connection.scalars(sa.select(items.c.needed))) == {1}


def _downgrade(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).with_name("migrations")))
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(sa.text("BEGIN IMMEDIATE"))
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def test_what_waits_for_whom_is_told(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2), ask(2), ask(3, share="suspect", known_type="login")], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    assert label_work.waiting(engine, "ann", at=NOON) == label_work.Waiting(mine=2, suspects=1, disputes=0, others=1)
    say(engine, "i1-random", "login", "bob")
    assert label_work.waiting(engine, "eve", at=NOON) == label_work.Waiting(mine=2, suspects=1, disputes=1, others=0)
    assert label_work.waiting(engine, "ann", at=NOON) == label_work.Waiting(mine=2, suspects=1, disputes=0, others=1)
    given = label_work.labels_by_item(engine, since=NOON)
    assert given == {"i1-random": {"ann": "refund", "bob": "login"}}
    assert label_work.agreement_of("ann", given) == label_work.Hits(0, 1)
    answer(engine, "i2-random", contact_type="refund", labeler="ann", at=NOON, seconds=12.0)
    done = label_work.work(engine, at=NOON, person="ann")
    assert (done.labels, done.today, done.seconds) == (2, 2, 12.0)
    assert label_queue.asked_by(engine, "none") == 0


def test_nobody_passes_over_what_is_in_other_hands(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1), ask(2, needed=2)], at=NOON)
    assert claim(engine, "ann", at=NOON)[0].item_id == "i1-random"
    with pytest.raises(InputError, match="somebody else works"):
        skip(engine, "i1-random", labeler="bob", at=NOON + MINUTE)
    say(engine, "i2-random", "refund", "ann")
    say(engine, "i2-random", "invoice", "bob")
    assert claim_dispute(engine, "eve", at=NOON) is not None
    with pytest.raises(InputError, match="somebody else works"):
        skip(engine, "i2-random", labeler="joe", at=NOON + MINUTE)
    assert counts(engine) == {"claimed": 1, "disputed": 1}
    later = NOON + timedelta(hours=1)  # claims have lapsed
    assert skip(engine, "i1-random", labeler="bob", at=later) == "skipped"
    assert skip(engine, "i2-random", labeler="joe", at=later) == "skipped"


def test_passing_over_a_labelled_ticket_can_be_taken_back(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    assert skip(engine, "i1-random", labeler="bob", at=NOON) == "done"
    with pytest.raises(InputError, match="longer ago"):
        undo(engine, "i1-random", labeler="bob", at=NOON + 11 * MINUTE)
    with pytest.raises(InputError, match="done by you"):
        undo(engine, "i1-random", labeler="eve", at=NOON + MINUTE)
    assert undo(engine, "i1-random", labeler="bob", at=NOON + MINUTE) == "claimed"
    assert final(engine) == {}
    say(engine, "i1-random", "refund", "bob", at=NOON + 2 * MINUTE)
    assert final(engine) == {"i1-random": "refund"}


def test_what_can_be_taken_back_is_known_before(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2), ask(2)], at=NOON)

    def who_can(item_id: str, *, at: datetime = NOON + MINUTE) -> list[str]:
        return [name for name in ("ann", "bob", "eve") if can_undo(engine, item_id, labeler=name, at=at)]

    assert who_can("unknown") == who_can("i1-random") == []
    say(engine, "i1-random", "refund", "ann")
    assert who_can("i1-random") == ["ann"]
    assert skip(engine, "i1-random", labeler="bob", at=NOON) == "done"  # passed over
    assert who_can("i1-random") == ["ann", "bob"]
    assert who_can("i1-random", at=NOON + 11 * MINUTE) == []
    undo(engine, "i1-random", labeler="bob", at=NOON + MINUTE)
    say(engine, "i1-random", "refund", "bob", at=NOON + MINUTE)
    assert who_can("i1-random") == ["bob"]  # who has had the last word
    skip(engine, "i2-random", labeler="eve", at=NOON)
    assert who_can("i2-random") == ["eve"]


def test_undo_says_when_somebody_else_has_the_ticket_now(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    assert claim(engine, "bob", at=NOON) != []
    assert undo(engine, "i1-random", labeler="ann", at=NOON + MINUTE) == "elsewhere"
    say(engine, "i1-random", "invoice", "bob", at=NOON + MINUTE)
    assert counts(engine) == {"open": 1}


def test_figures_leave_out_labels_that_are_too_new(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2), ask(2, share="gold", known_type="refund")], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    say(engine, "i1-random", "refund", "bob", at=NOON + MINUTE)
    say(engine, "i2-gold", "refund", "bob", at=NOON + MINUTE)
    assert label_work.labels_by_item(engine, since=NOON, until=NOON) == {}
    assert label_work.gold_hits(engine, TREE, since=NOON, until=NOON) == {}
    assert set(label_work.labels_by_item(engine, since=NOON, until=NOON + MINUTE)) == {"i1-random"}
    assert label_work.gold_hits(engine, TREE, since=NOON, until=NOON + MINUTE) == {"bob": label_work.Hits(1, 1)}


def test_a_dispute_that_was_taken_back_comes_first(engine: sa.Engine) -> None:
    enqueue(engine, [ask(number, needed=2) for number in range(3)], at=NOON)
    for number in range(3):
        say(engine, f"i{number}-random", "refund", "ann")
        say(engine, f"i{number}-random", "invoice", "bob")
    found = claim_dispute(engine, "eve", at=NOON, first="i2-random")
    assert found is not None
    assert found.item.item_id == "i2-random"


def test_the_version_before_goes_on_writing_while_replicas_are_upgraded(engine: sa.Engine) -> None:
    """As it wrote: without the columns that came since."""
    item = {"item_id": "i1", "ticket_id": "t1", "share": "random", "priority": 1.0, "status": "done", "asked_at": NOON}
    given = {"label_id": "l1", "item_id": "i1", "ticket_id": "t1", "contact_type": "refund", "labeler": "ann"}
    with engine.begin() as connection:
        connection.execute(sa.insert(items).values(**item, ticket={}))
        connection.execute(sa.insert(labels).values(**given, at=NOON, share="random"))
        asked = connection.execute(sa.select(items.c.round, items.c.needed)).one()
        assert tuple(asked) == (1, 1)
        assert connection.scalar(sa.select(labels.c.kind)) == "label"
