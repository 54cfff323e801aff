"""The queue on both databases: which tickets wait, which are found, in which order, and pages that do not slip."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.logged import log_suggestions
from tickets.feedback_log import new_id, record_feedback, withdraw_feedback
from tickets.records import Band, Feedback, RankedContactType, Suggestion, Ticket
from tickets.ticket_queue import (
    QueueFilter,
    count_waiting,
    recently_chosen,
    seen_values,
    standing_feedback,
    stands,
    waiting,
)

START = datetime(2026, 3, 1, tzinfo=UTC)


def arrives(
    engine: sa.Engine,
    name: str,
    *,
    body: str = "please refund my ride",
    contact_type: str = "refund",
    probability: float = 0.9,
    band: Band = "high",
    hours: float = 0,
    language: str = "en",
    channel: str = "email",
    **more: object,
) -> Suggestion:
    """A ticket of this name with a suggestion, `hours` after START."""
    at = START + timedelta(hours=hours)
    ticket = Ticket(
        ticket_id=name, created_at=at, subject=f"About {name}", body=body, language=language, channel=channel
    )
    ranked = RankedContactType(contact_type=contact_type, path=contact_type, probability=probability, band=band)
    made = Suggestion(
        suggestion_id=new_id(),
        ticket_id=name,
        model_version="v1",
        created_at=at,
        contact_types=(ranked,) if contact_type else (),
        templates=(),
    )
    made = replace(made, **more)  # type: ignore[arg-type]
    log_suggestions(engine, [(ticket, made)])
    return made


def answered(engine: sa.Engine, made: Suggestion, *, agent: str = "Ana", contact_type: str = "refund") -> str:
    feedback_id = new_id()
    given = Feedback(
        feedback_id=feedback_id,
        suggestion_id=made.suggestion_id,
        ticket_id=made.ticket_id,
        action="accepted",
        at=made.created_at + timedelta(minutes=5),
        contact_type=contact_type,
        agent=agent,
    )
    assert record_feedback(engine, given)
    return feedback_id


def names(engine: sa.Engine, wanted: QueueFilter | None = None, **more: object) -> list[str]:
    return [ticket.ticket_id for ticket, _ in waiting(engine, wanted or QueueFilter(), **more)]  # type: ignore[arg-type]


def test_a_ticket_waits_until_feedback_stands_and_shows_its_newest_suggestion(engine: sa.Engine) -> None:
    first = arrives(engine, "a")
    second = arrives(engine, "a", hours=1, contact_type="login")
    ((_, shown),) = waiting(engine, QueueFilter())
    assert shown.suggestion_id == second.suggestion_id
    assert names(engine, QueueFilter(contact_types=("refund",))) == []  # what it said before is not what it says
    feedback_id = answered(engine, first)
    assert names(engine) == []
    assert standing_feedback(engine, ["a"])["a"]["agent"] == "Ana"
    assert stands(engine, feedback_id)
    assert not stands(engine, feedback_id, since=START + timedelta(hours=1))
    assert withdraw_feedback(engine, feedback_id, at=START + timedelta(minutes=6), within=timedelta(minutes=10))
    assert not stands(engine, feedback_id)
    assert names(engine) == ["a"]


def test_filters_hold_together(engine: sa.Engine) -> None:
    arrives(engine, "sure", hours=1)
    arrives(engine, "likely", band="medium", contact_type="login", channel="chat", hours=2)
    arrives(engine, "unsure", abstained=True, contact_type="login", band="low", probability=0.2, hours=30)
    arrives(engine, "none", contact_type="", language="de", hours=50)
    cases = (
        (QueueFilter(contact_types=("login", "delete")), ["unsure", "likely"]),
        (QueueFilter(sureness="high"), ["sure"]),
        (QueueFilter(sureness="medium"), ["likely"]),
        (QueueFilter(sureness="low"), []),
        (QueueFilter(sureness="unsure"), ["none", "unsure"]),
        (QueueFilter(language="de"), ["none"]),
        (QueueFilter(channel="chat"), ["likely"]),
        (QueueFilter(since=START + timedelta(hours=2), until=START + timedelta(hours=50)), ["unsure", "likely"]),
        (QueueFilter(contact_types=("login",), channel="email", text="UNSURE refund"), ["unsure"]),
        (QueueFilter(order="oldest"), ["sure", "likely", "unsure", "none"]),
    )
    for wanted, expected in cases:
        assert names(engine, wanted) == expected, wanted
        assert count_waiting(engine, wanted) == len(expected)
    assert seen_values(engine) == (("de", "en"), ("chat", "email"))


def test_words_are_found_in_any_script_and_signs_stand_for_themselves(engine: sa.Engine) -> None:
    arrives(engine, "T-1", body="Die Gebühr für die Fahrt ist falsch")
    arrives(engine, "T-2", body="100% wrong, order_id is 5")
    arrives(engine, "T-3", body="100 percent wrong, orderXid is 5")
    arrives(engine, "T-4", body="料金が二重に請求されました")
    for text, expected in (
        ("gebühr", ["T-1"]),
        ("GEBÜHR fahrt", ["T-1"]),
        ("100%", ["T-2"]),
        ("order_id", ["T-2"]),
        ("二重", ["T-4"]),
        ("t-3", ["T-3"]),
        ("about WRONG", ["T-3", "T-2"]),
        ("back\\slash", []),
    ):
        assert sorted(names(engine, QueueFilter(text=text))) == sorted(expected), text


@pytest.mark.parametrize("order", ["newest", "oldest", "unsure"])
def test_pages_do_not_slip_when_tickets_arrive(engine: sa.Engine, order: str) -> None:
    for number in range(9):  # some in the same moment, some equally sure
        arrives(engine, f"t{number}", hours=number // 2, probability=(number % 3) / 4)
    wanted = QueueFilter(order=order)  # type: ignore[arg-type]
    whole = waiting(engine, wanted)
    first = waiting(engine, wanted, limit=4)
    mark = first[-1][1].suggestion_id
    arrives(engine, "newcomer", hours=99, probability=0.001)
    arrives(engine, "latecomer", hours=-99, probability=0.002)
    second = waiting(engine, wanted, after=mark, limit=99)
    seen = [ticket.ticket_id for ticket, _ in (*first, *second)]
    assert [name for name in seen if "comer" not in name] == [ticket.ticket_id for ticket, _ in whole]
    assert len(seen) == len(set(seen))
    now = waiting(engine, wanted)
    here = now.index(second[0])
    assert waiting(engine, wanted, before=second[0][1].suggestion_id, limit=3) == now[here - 3 : here]
    answered(engine, first[-1][1])  # the mark itself leaves the queue; the place stays
    assert waiting(engine, wanted, after=mark, limit=99) == second


def test_the_least_sure_come_first(engine: sa.Engine) -> None:
    for name, probability in (("half", 0.5), ("sure", 0.99), ("hardly", 0.1)):
        arrives(engine, name, probability=probability)
    arrives(engine, "nothing", contact_type="")
    assert names(engine, QueueFilter(order="unsure")) == ["nothing", "hardly", "half", "sure"]


def test_what_was_said_of_a_held_out_ticket_cannot_be_filtered_by(engine: sa.Engine) -> None:
    arrives(engine, "held out", arm="holdout", probability=0.99)
    arrives(engine, "shown", probability=0.5)
    assert names(engine, QueueFilter(contact_types=("refund",))) == ["shown"]
    assert names(engine, QueueFilter(sureness="high")) == ["shown"]
    assert names(engine, QueueFilter(order="unsure")) == ["held out", "shown"]
    assert len(names(engine)) == 2


def test_recently_chosen_types_are_the_agents_own_newest_first(engine: sa.Engine) -> None:
    for number, (agent, contact_type) in enumerate(
        (("Ana", "refund"), ("Ana", "login"), ("Bea", "delete"), ("Ana", "refund"), ("Ana", "invoice"))
    ):
        answered(engine, arrives(engine, f"t{number}", hours=number), agent=agent, contact_type=contact_type)
    now = START + timedelta(days=1)
    assert recently_chosen(engine, "Ana", now=now) == ["invoice", "refund", "login"]
    assert recently_chosen(engine, "Ana", now=now, limit=1) == ["invoice"]
    assert recently_chosen(engine, "Ana", now=now + timedelta(days=40)) == []


def test_a_suggestion_that_nobody_knows_marks_no_place(engine: sa.Engine) -> None:
    for hour in range(4):
        arrives(engine, f"t-{hour}", hours=hour)
    first = ["t-3", "t-2"]
    assert names(engine, limit=2) == first
    assert names(engine, after="gone", limit=2) == names(engine, before="gone", limit=2) == first
