"""Gold: tickets whose answer is known. Labels of them measure who gave them, and are none that count."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from tests.tickets.asked import LATER, MINUTE, NOON, TREE, ask, final, say
from tickets import label_queue, label_work
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.database import label_queue as items
from tickets.database import labels
from tickets.label_answers import settle
from tickets.label_disputes import claim_dispute
from tickets.label_queue import claim, counts, enqueue, skip


def test_gold_measures_and_never_counts(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    assert enqueue(engine, [ask(1, share="gold", known_type="refund")], at=NOON) == 1
    assert enqueue(engine, [ask(1, share="gold", known_type="refund")], at=NOON) == 0  # one waits already
    assert claim(engine, "ann", at=NOON + timedelta(days=29)) == []  # she remembers
    assert claim(engine, "bob", at=NOON)[0].blind
    say(engine, "i1-gold", "invoice", "bob")
    assert final(engine) == {"i1-random": "refund"}
    assert [row["share"] for row in label_queue.labels_with_suggestions(engine, NOON, LATER)] == ["random"]
    assert label_work.gold_hits(engine, TREE, since=NOON) == {"bob": label_work.Hits(0, 1)}
    assert counts(engine) == {"done": 2}


def test_gold_that_people_answer_differently_is_no_dispute(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    enqueue(engine, [ask(1, share="gold", known_type="refund", needed=2)], at=NOON)
    say(engine, "i1-gold", "invoice", "bob")
    say(engine, "i1-gold", "refund", "eve")
    assert counts(engine) == {"done": 2}
    assert claim_dispute(engine, "joe", at=NOON) is None
    assert final(engine) == {"i1-random": "refund"}
    assert label_work.gold_hits(engine, TREE, since=NOON) == {
        "bob": label_work.Hits(0, 1),
        "eve": label_work.Hits(1, 1),
    }


def test_a_dispute_over_gold_that_an_earlier_version_left_is_settled_without_counting(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, share="gold", known_type="refund", needed=2)], at=NOON)
    say(engine, "i1-gold", "invoice", "bob")
    with engine.begin() as connection:
        connection.execute(sa.update(items).values(status="disputed"))
    settle(engine, "i1-gold", contact_type="login", labeler="joe", at=NOON)
    assert counts(engine) == {"done": 1}
    assert final(engine) == {}


def test_a_dispute_over_gold_that_an_earlier_version_settled_counts_no_more(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2)], at=NOON)
    for person in ("ann", "bob"):
        say(engine, "i1-random", "refund", person)
    enqueue(engine, [ask(1, share="gold", known_type="refund", needed=2)], at=NOON)
    say(engine, "i1-gold", "invoice", "joe")
    with engine.begin() as connection:
        final_now = {"kind": "adjudication", "final_at": NOON + MINUTE}
        connection.execute(sa.update(labels).where(labels.c.item_id == "i1-gold").values(final_now))
        connection.execute(sa.update(items).where(items.c.item_id == "i1-gold").values(status="done"))
    assert final(engine) == {"i1-random": "refund"}
    assert [row["share"] for row in label_queue.labels_with_suggestions(engine, NOON, LATER)] == ["random"]
    ((item, known),) = label_work.known_answers(engine, TREE, until=LATER, limit=9)  # nor does it overrule one
    assert (item.item_id, known) == ("i1-random", "refund")


def test_what_people_agreed_on_becomes_gold_when_they_have_forgotten(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2), ask(2), ask(3, needed=2)], at=NOON)
    for item, contact_type in (("i1-random", "refund"), ("i2-random", "login"), ("i3-random", "invoice")):
        say(engine, item, contact_type, "ann")
    say(engine, "i1-random", "refund", "bob")
    say(engine, "i3-random", "refund", "bob")
    assert label_work.known_answers(engine, TREE, until=NOON, limit=9) == []
    ((item, known),) = label_work.known_answers(engine, TREE, until=NOON + MINUTE, limit=9)
    assert (item.ticket.ticket_id, known) == ("t1", "refund")
    settle(engine, "i3-random", contact_type="invoice", labeler="eve", at=NOON)
    found = label_work.known_answers(engine, TREE, until=NOON + MINUTE, limit=9)
    assert {(item.ticket.ticket_id, known) for item, known in found} == {("t1", "refund"), ("t3", "invoice")}


def test_a_label_that_the_second_person_passed_over_is_no_known_answer(engine: sa.Engine) -> None:
    enqueue(engine, [ask(1, needed=2)], at=NOON)
    say(engine, "i1-random", "refund", "ann")
    assert skip(engine, "i1-random", labeler="bob", at=NOON) == "done"
    assert final(engine) == {"i1-random": "refund"}
    assert label_work.known_answers(engine, TREE, until=LATER, limit=9) == []


def test_gold_follows_the_tree_and_the_newest_label(engine: sa.Engine) -> None:
    enqueue(engine, [ask(number, needed=2) for number in range(4)], at=NOON)
    for number, contact_type in enumerate(("refund", "old name", "split", "invoice")):
        for person in ("ann", "bob"):
            say(engine, f"i{number}-random", contact_type, person)
    nodes = (*TREE.nodes, *(ContactType(id=name, name=name, active=False) for name in ("old name", "split")))
    tree = ContactTypeTree(nodes, mapping={"old name": ("login",), "split": ("refund", "login")})
    enqueue(engine, [ask(3, share="suspect", known_type="invoice")], at=NOON)
    say(engine, "i3-suspect", "login", "eve", at=NOON + MINUTE)  # what two people said of it is overruled
    known = label_work.known_answers(engine, tree, until=LATER, limit=9)
    assert {item.ticket.ticket_id: answer for item, answer in known} == {"t0": "refund", "t1": "login"}
    assert len(label_work.known_answers(engine, tree, until=LATER, limit=1)) == 1

    asked = [ask(number, share="gold", known_type=name) for number, name in ((1, "old name"), (2, "split"))]
    assert enqueue(engine, asked, at=NOON) == 2
    for number in (1, 2):
        say(engine, f"i{number}-gold", "login", "joe", at=NOON + MINUTE)
    assert label_work.gold_hits(engine, tree, since=NOON) == {"joe": label_work.Hits(1, 1)}
