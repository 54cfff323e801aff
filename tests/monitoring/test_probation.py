"""A new champion on probation: it goes when it does clearly worse, and stays when the world changed or chance spoke."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count

import numpy as np
import pytest
import sqlalchemy as sa

from models.release import Release, promote
from monitoring.probation import Probationer, ProbationPolicy, Verdict, compare, is_worse, judge_probation, probationer
from tests.logged import log_suggestions, suggested
from tickets import label_queue, monitor_log
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.database import feedback
from tickets.label_queue import LabelRequest
from tickets.workspace import Workspace

PROMOTED = datetime(2026, 3, 16, 2, tzinfo=UTC)
NEW = Probationer(version="new", predecessor="old", since=PROMOTED)
NIGHT = date(2026, 3, 18)
NAMES = ("refund", "hard", "launched yesterday", "login", "left", "right")
TODAY = ContactTypeTree(
    nodes=tuple(ContactType(id=name, name=name) for name in NAMES),
    mapping={"repayment": ("refund",), "whole": ("left", "right")},
)


class Desk:
    """Agents who judge suggestions of either champion: so many of a contact type, so many accepted."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.numbers: Iterator[int] = count()

    def judge(self, version: str, tickets: int, accepted: int, contact_type: str = "refund") -> None:
        at = PROMOTED + timedelta(hours=5) if version == "new" else PROMOTED - timedelta(days=3)
        pairs, given = [], []
        for number in range(tickets):
            took = number < accepted
            ticket, made = suggested(
                f"t{next(self.numbers)}",
                at=at,
                version=version,
                contact_type=contact_type if took else f"not {contact_type}",
            )
            pairs.append((ticket, made))
            given.append(
                {
                    "feedback_id": f"f-{ticket.ticket_id}",
                    "suggestion_id": made.suggestion_id,
                    "ticket_id": ticket.ticket_id,
                    "action": "accepted" if took else "corrected",
                    "at": at,
                    "contact_type": contact_type,
                }
            )
        log_suggestions(self.engine, pairs)
        with self.engine.begin() as connection:
            connection.execute(sa.insert(feedback), given)

    def label(self, version: str, tickets: int, right: int) -> None:
        """Random labels of tickets, on which so many suggestions are right."""
        at = PROMOTED + timedelta(hours=5) if version == "new" else PROMOTED - timedelta(days=3)
        made = [
            suggested(
                f"t{next(self.numbers)}", at=at, version=version, contact_type="refund" if number < right else "login"
            )
            for number in range(tickets)
        ]
        requests = [LabelRequest(ticket=one, suggestion=said, share="random", priority=1.0) for one, said in made]
        label_queue.enqueue(self.engine, requests, at=at, run_id=f"run-{version}")
        while claimed := label_queue.claim(self.engine, "ann", at=at, count=100):
            for item in claimed:
                label_queue.answer(self.engine, item.item_id, contact_type="refund", labeler="ann", at=at)


@pytest.fixture
def desk(engine: sa.Engine) -> Desk:
    return Desk(engine)


def verdict(engine: sa.Engine, policy: ProbationPolicy | None = None, as_of: date = NIGHT) -> Verdict:
    return judge_probation(engine, NEW, as_of=as_of, today=TODAY, policy=policy)


def test_a_champion_that_agents_accept_clearly_less_is_rolled_back_with_its_figures(desk: Desk) -> None:
    desk.judge("old", 400, 340)
    desk.judge("new", 200, 130)
    found = verdict(desk.engine)
    assert found.roll_back
    assert "agents accept 65.0% against 85.0%" in found.reasons[0]
    figures = found.figures["acceptance"]
    assert (figures["tickets"], figures["tickets_before"]) == (200, 400)
    assert figures["difference"] == pytest.approx(-0.2)
    assert figures["p_value"] < 0.001


def test_a_champion_that_does_as_well_stays(desk: Desk) -> None:
    desk.judge("old", 400, 340)
    desk.judge("new", 200, 168)
    found = verdict(desk.engine)
    assert not found.roll_back
    assert found.reasons == ("agents accept 84.0% against 85.0% of its predecessor: no reason to go back.",)


def test_more_tickets_of_a_hard_type_are_no_fault_of_the_champion(desk: Desk) -> None:
    desk.judge("old", 400, 360, "refund")
    desk.judge("old", 100, 50, "hard")
    desk.judge("new", 100, 90, "refund")
    desk.judge("new", 300, 150, "hard")
    found = verdict(desk.engine)
    assert not found.roll_back
    assert found.figures["acceptance"]["champion"] == pytest.approx(0.6)
    assert found.figures["acceptance"]["predecessor"] == pytest.approx(0.82)
    assert found.figures["acceptance"]["difference"] == pytest.approx(0.0)


def test_a_type_that_is_new_says_nothing_about_the_champion(desk: Desk) -> None:
    desk.judge("old", 300, 270)
    desk.judge("new", 150, 135)
    desk.judge("new", 200, 0, "launched yesterday")
    assert not verdict(desk.engine).roll_back


def test_a_type_that_was_renamed_is_compared_with_what_it_was(desk: Desk) -> None:
    desk.judge("old", 400, 340, "repayment")
    desk.judge("new", 200, 130, "refund")
    found = verdict(desk.engine)
    assert found.roll_back
    assert found.figures["acceptance"]["tickets"] == 200


def test_a_type_that_was_split_is_not_compared_with_its_parts(desk: Desk) -> None:
    desk.judge("old", 400, 400, "whole")
    desk.judge("new", 200, 100, "left")
    found = verdict(desk.engine)
    assert not found.roll_back
    assert found.figures["acceptance"]["tickets_before"] == 0


def test_few_tickets_are_too_early_to_tell(desk: Desk) -> None:
    desk.judge("old", 400, 340)
    desk.judge("new", 60, 10)
    found = verdict(desk.engine)
    assert not found.roll_back
    assert found.reasons == ("too early to tell: 60 judged tickets now and 400 before, 100 of each are needed.",)
    assert verdict(desk.engine, ProbationPolicy(least=50)).roll_back


def test_nobody_judged_anything(engine: sa.Engine) -> None:
    found = verdict(engine)
    assert not found.roll_back
    assert found.figures["acceptance"]["champion"] is None
    assert "too early" in found.reasons[0]


def test_random_labels_alone_can_end_a_probation(desk: Desk) -> None:
    desk.judge("old", 200, 180)
    desk.judge("new", 200, 178)  # agents lean towards what they are shown
    desk.label("old", 50, 46)
    desk.label("new", 50, 25)
    found = verdict(desk.engine, ProbationPolicy(least=50))
    assert found.roll_back
    assert "random labels agree with 50.0% against 92.0%" in found.reasons[0]


def test_after_its_days_the_champion_is_watched_no_more(desk: Desk) -> None:
    desk.judge("old", 400, 340)
    desk.judge("new", 200, 60)
    assert verdict(desk.engine, as_of=date(2026, 3, 29)).roll_back
    late = verdict(desk.engine, as_of=date(2026, 3, 31))
    assert (late.roll_back, late.figures) == (False, {})
    assert not verdict(desk.engine, ProbationPolicy(days=0)).roll_back
    assert not verdict(desk.engine, as_of=date(2026, 3, 10)).roll_back  # before it was promoted


def test_who_is_on_probation(workspace: Workspace, engine: sa.Engine, make: Callable[..., Release]) -> None:
    first, second = (
        make(workspace, version).version for version in ("20260301-000000-aaaaaa", "20260316-020000-bbbbbb")
    )
    assert probationer(workspace, engine) is None
    promote(workspace, first)
    assert probationer(workspace, engine) is None  # nobody was before it
    promote(workspace, second)
    monitor_log.record_event(engine, "promoted", at=PROMOTED, model_version=second, details={})
    assert probationer(workspace, engine) == Probationer(version=second, predecessor=first, since=PROMOTED)
    at = PROMOTED + timedelta(hours=1)
    monitor_log.record_event(engine, "promoted", at=at, model_version=second, details={"forced": True})
    assert probationer(workspace, engine) is None


def test_a_champion_as_good_as_the_one_before_is_hardly_ever_rolled_back() -> None:
    """Fourteen looks at growing evidence, as the nights take them; 5 % promised over all of them together."""
    policy, rng = ProbationPolicy(), np.random.default_rng(4)
    ended = 0
    for _ in range(200):
        types = rng.dirichlet(np.ones(8) * 3)
        easy = rng.uniform(0.5, 0.95, 8)

        def judged(tickets: int, types=types, easy=easy) -> list[tuple[str, bool]]:  # type: ignore[no-untyped-def]
            drawn = rng.choice(8, tickets, p=types)
            return [(f"type {one}", bool(rng.random() < easy[one])) for one in drawn]

        before, now = judged(700), []
        for _night in range(policy.days):
            now += judged(50)
            if is_worse(compare(now, before), policy):
                ended += 1
                break
    assert ended <= 10
