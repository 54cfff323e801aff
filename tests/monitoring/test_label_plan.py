"""The night's budget counts labels: second ones, gold, doubts come out of it; nobody alone waits for a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from monitoring.label_plan import end_vain_waiting, plan_labels, suspects_wanted
from monitoring.label_quality import label_quality
from monitoring.policy import Policy
from monitoring.relabel import Budget
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.label_disputes import claim_dispute
from tickets.label_queue import LabelRequest, Share, answer, claim, counts, enqueue, labels_between
from tickets.records import Ticket

TREE = ContactTypeTree((ContactType(id="refund", name="Refund"), ContactType(id="login", name="Login")))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
POLICY = Policy(label_budget=40, double_share=0.5, gold_share=0.1, suspects_per_night=4)


def ask(name: str, share: Share, *, needed: int = 1) -> LabelRequest:
    ticket = Ticket(ticket_id=name, created_at=NOON, body="Where is my refund?")
    return LabelRequest(ticket=ticket, share=share, priority=0.5, needed=needed, item_id=f"{name}-{share}")


def choose(budget: Budget) -> list[LabelRequest]:
    counts: Sequence[tuple[Share, int]] = (
        ("unsure", budget.unsure),
        ("diverse", budget.diverse),
        ("random", budget.random),
    )
    return [ask(f"{share}{number}", share) for share, count in counts for number in range(count)]


DOUBTS = [ask(f"doubt{number}", "suspect") for number in range(9)]


def plan(engine: sa.Engine, policy: Policy = POLICY, *, at: datetime = NOON) -> list[LabelRequest]:
    wanted = suspects_wanted(policy, [DOUBTS[0].ticket])
    return plan_labels(engine, policy, at=at, tree=TREE, doubts=DOUBTS[:wanted], choose=choose)


def labelled(engine: sa.Engine, names: Sequence[str], people: Sequence[str], *, at: datetime = NOON) -> None:
    enqueue(engine, [ask(name, "random", needed=len(people)) for name in names], at=at)
    for person in people:
        for item in claim(engine, person, at=at, count=99):
            answer(engine, item.item_id, contact_type="refund", labeler=person, at=at)


def test_one_person_alone_is_never_asked_to_wait_for_a_second(engine: sa.Engine) -> None:
    labelled(engine, ["a", "b"], ["ann"])
    requests = plan(engine)
    assert len(requests) == 40
    assert Counter(request.share for request in requests) == {"suspect": 4, "unsure": 18, "diverse": 9, "random": 9}
    assert {request.needed for request in requests} == {1}


def test_what_waits_for_a_person_who_left_counts_with_the_labels_it_has(engine: sa.Engine) -> None:
    """ann and bob labelled; bob has left, and only ann is there for the items of both."""
    asked = [ask(name, "random", needed=2) for name in ("ann-only", "bob-only", "disputed")]
    enqueue(engine, [*asked, ask("new", "random", needed=2), ask("untouched", "random", needed=2)], at=NOON)
    later = NOON + timedelta(days=29)

    def say(name: str, contact_type: str, person: str, at: datetime = NOON) -> None:
        answer(engine, f"{name}-random", contact_type=contact_type, labeler=person, at=at)

    say("ann-only", "refund", "ann")
    say("bob-only", "refund", "bob")
    say("disputed", "login", "bob")
    say("disputed", "refund", "ann", NOON + timedelta(minutes=1))
    assert end_vain_waiting(engine, at=NOON + timedelta(days=15)) == 1  # the dispute: both have labelled lately
    assert _counting(engine) == {"disputed": "login"}
    say("new", "refund", "ann", later)
    assert end_vain_waiting(engine, at=later) == 1
    assert _counting(engine) == {"disputed": "login", "ann-only": "refund"}
    assert counts(engine) == {"done": 2, "open": 3}  # bob's waits for ann, and hers of today for whoever comes back
    assert claim(engine, "ann", at=later, count=9) != []
    assert end_vain_waiting(engine, at=later + timedelta(days=15)) == 1
    gold = [request for request in plan(engine, at=later + timedelta(days=60)) if request.share == "gold"]
    assert gold == []


def test_a_dispute_waits_while_a_third_person_is_there(engine: sa.Engine) -> None:
    labelled(engine, ["a"], ["eve"])
    enqueue(engine, [ask("b", "random", needed=2)], at=NOON)
    for minute, person, contact_type in ((0, "ann", "refund"), (1, "bob", "login")):
        at = NOON + timedelta(minutes=minute)
        answer(engine, "b-random", contact_type=contact_type, labeler=person, at=at)
    assert claim_dispute(engine, "eve", at=NOON + timedelta(days=15)) is not None
    assert end_vain_waiting(engine, at=NOON + timedelta(days=16)) == 0
    assert claim_dispute(engine, "joe", at=NOON + timedelta(days=40)) is not None  # who came anew holds it
    assert end_vain_waiting(engine, at=NOON + timedelta(days=40, minutes=29)) == 0
    assert end_vain_waiting(engine, at=NOON + timedelta(days=41)) == 1
    assert _counting(engine)["b"] == "refund"


def _counting(engine: sa.Engine) -> dict[str, str]:
    given = labels_between(engine, NOON, NOON + timedelta(days=99))
    return {row["ticket_id"]: row["contact_type"] for row in given}


def test_second_labels_come_out_of_the_budget(engine: sa.Engine) -> None:
    labelled(engine, ["a", "b"], ["ann", "bob"])
    requests = plan(engine)
    assert sum(request.needed for request in requests) == 40
    twice = [request for request in requests if request.needed == 2]
    assert len(twice) == 6
    assert {request.share for request in twice} <= {"random", "suspect"}
    assert plan(engine) == requests


def test_gold_comes_from_what_several_agreed_on_and_forgot(engine: sa.Engine) -> None:
    labelled(engine, [f"g{number}" for number in range(6)], ["ann", "bob"])
    later = NOON + timedelta(days=31)
    requests = plan(engine, at=later)
    gold = [request for request in requests if request.share == "gold"]
    assert len(gold) == 4
    assert {request.known_type for request in gold} == {"refund"}
    assert len(requests) == 40  # nobody labelled lately, so none of them twice
    assert enqueue(engine, gold, at=later) == 4
    again = [request.ticket.ticket_id for request in plan(engine, at=later) if request.share == "gold"]
    assert set(again).isdisjoint(request.ticket.ticket_id for request in gold)
    taken = claim(engine, "ann", at=later, count=9)
    for item in taken:
        answer(engine, item.item_id, contact_type="login", labeler="ann", at=later)
    assert label_quality(engine, TREE, at=later)["gold_accuracy"] is None  # her labels can still be taken back
    figures = label_quality(engine, TREE, at=later + timedelta(hours=1))
    assert (figures["gold_accuracy"], figures["gold_accuracy_tickets"]) == (0.0, len(taken))
    assert figures["label_agreement"] is None


def test_a_small_budget_is_kept_too(engine: sa.Engine) -> None:
    labelled(engine, ["a"], ["ann", "bob"])
    for budget in (1, 2, 3, 5, 8):
        asked = plan(engine, replace(POLICY, label_budget=budget))
        assert 0 < sum(request.needed for request in asked) <= budget
    assert label_quality(engine, TREE, at=NOON)["label_agreement"] == pytest.approx(1.0)


def test_where_no_words_are_kept_no_old_ticket_is_brought_into_the_queue() -> None:
    kept = Ticket(ticket_id="a", created_at=NOON, body="Where is my refund?")
    assert suspects_wanted(POLICY, [kept]) == 4
    assert suspects_wanted(replace(POLICY, label_budget=8), [kept]) == 0  # what is new comes first
    assert suspects_wanted(POLICY, [replace(kept, body="")]) == suspects_wanted(POLICY, []) == 0
