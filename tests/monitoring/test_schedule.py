"""Trainings that only time is a reason for: a fixed schedule, and the age of what the champion was judged on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from monitoring.night import NightReport, run_night
from monitoring.policy import Limits, Policy
from monitoring.windows import LONG_AGO
from tickets.feedback_log import feedback_with_suggestions
from tickets.monitor_log import EventKind, record_event

FIRST = date(2026, 3, 2)
WEEKLY = replace(
    Policy(
        limits=Limits(replays=0),
        sample=200,
        permutations=199,
        evidently=False,
        label_budget=0,
        retrain_after_labels=0,
        retrain_after_days=0,
    ),
    retrain_on_alarm=False,
    retrain_every_days=7,
)


def evening(day: int) -> datetime:
    return datetime.combine(FIRST + timedelta(days=day), datetime.max.time(), tzinfo=UTC)


def test_a_schedule_counts_from_the_last_training_won_or_lost(world: Any) -> None:
    world.arrive(300, day=FIRST, days=15, seed=3)
    champion = world.reader.release.version

    def night(day: int) -> NightReport:
        as_of = FIRST + timedelta(days=day)
        return run_night(world.workspace, world.engine, as_of=as_of, policy=WEEKLY, suggester=world.reader)

    record_event(world.engine, "trained", at=evening(0), model_version=champion, details={})
    assert not night(6).decision.retrain
    assert night(7).decision.retrain
    record_event(world.engine, "trained", at=evening(7), model_version="challenger", details={})
    record_event(world.engine, "rejected", at=evening(7), model_version="challenger", details={"champion": champion})
    assert not night(8).decision.retrain
    assert night(14).decision.retrain


@pytest.mark.parametrize("every", [1, 7])
def test_a_schedule_counts_days_of_tickets_though_each_night_runs_on_the_day_after(world: Any, every: int) -> None:
    world.arrive(300, day=FIRST, days=15, seed=3)
    policy = replace(WEEKLY, retrain_every_days=every, retrain_after_days=14)

    def retrains(day: int) -> bool:
        as_of, now = FIRST + timedelta(days=day), evening(day) + timedelta(hours=2)
        night = run_night(world.workspace, world.engine, as_of=as_of, policy=policy, suggester=world.reader, now=now)
        if not night.decision.retrain:
            return False
        at, details = now + timedelta(hours=1), {"as_of": as_of.isoformat(), "champion": world.reader.release.version}
        for kind in ("trained", "rejected"):
            record_event(world.engine, kind, at=at, model_version=f"challenger-{day}", details=details)
        return True

    record_event(world.engine, "trained", at=evening(0), model_version=world.reader.release.version, details={})
    assert [day for day in range(1, 15) if retrains(day)] == list(range(every, 15, every))
    by_age = replace(policy, retrain_every_days=0)
    last = FIRST + timedelta(days=14)
    for days, old in ((13, False), (14, True)):
        as_of = last + timedelta(days=days)
        night = run_night(world.workspace, world.engine, as_of=as_of, policy=by_age, suggester=world.reader)
        assert night.decision.retrain is old


def test_what_came_while_a_successor_was_served_is_new_when_it_is_rolled_back(world: Any) -> None:
    """It learned from the days before its training alone, however long it was served."""
    world.arrive(600, day=FIRST, days=60, seed=3, accepted=0.5)
    champion, successor = world.reader.release.version, "20260312-000000-fedcba"
    policy = replace(WEEKLY, retrain_every_days=0, retrain_after_labels=100, validation_days=3, gate_days=4)
    trained = {"as_of": (FIRST + timedelta(days=10)).isoformat()}
    record_event(world.engine, "trained", at=evening(10), model_version=successor, details=trained)
    record_event(world.engine, "promoted", at=evening(12), model_version=successor, details={})
    record_event(world.engine, "rolled back", at=evening(57), model_version=champion, details={"from": successor})
    night = run_night(
        world.workspace,
        world.engine,
        as_of=FIRST + timedelta(days=58),
        policy=policy,
        suggester=world.reader,
        now=evening(58),
    )
    (reason,) = night.decision.reasons
    expected = sum(_in(row, first=4, last=51) for row in _corrected(world.engine))
    assert reason == f"{expected} new labels; 100 are worth a training."


def _corrected(engine: sa.Engine) -> list[datetime]:
    """When the tickets were opened that agents corrected."""
    given = feedback_with_suggestions(engine, LONG_AGO, evening(90))
    return [datetime.fromisoformat(row["ticket"]["created_at"]) for row in given if row["action"] == "corrected"]


def _in(opened: datetime, *, first: int, last: int) -> bool:
    return FIRST + timedelta(days=first) <= opened.date() <= FIRST + timedelta(days=last)


@pytest.mark.parametrize(
    ("kind", "failed_after", "judged", "needed"),
    [
        *[
            ("rejected", -3, True, 50),
            ("rejected", 0, True, 100),
            ("rejected", 1, True, 100),
            ("rejected", 1, False, 50),
        ],
        ("rolled back", -3, True, 100),  # its promotion closed the alarm that it was trained for
    ],
)
def test_an_alarm_waits_for_more_labels_only_for_challengers_that_failed_while_it_was_open(
    world: Any, kind: EventKind, failed_after: int, judged: bool, needed: int
) -> None:
    """It is raised on the second night of a new topic, which earlier trainings on a schedule say nothing of."""
    world.arrive(300, day=FIRST, days=5, seed=3, accepted=0.9)
    world.arrive(300, day=FIRST + timedelta(days=5), days=3, seed=4, new_topic=0.5)
    champion = world.reader.release.version
    raised = 6

    def night(day: int) -> NightReport:
        as_of, now = FIRST + timedelta(days=day), evening(day)
        policy = replace(WEEKLY, retrain_on_alarm=True, retrain_every_days=0, validation_days=1, gate_days=1)
        return run_night(world.workspace, world.engine, as_of=as_of, policy=policy, suggester=world.reader, now=now)

    night(raised - 1)
    assert night(raised).raised
    for number in range(3):
        at, details = evening(raised + failed_after), {"champion": champion, "judged": judged}
        version = champion if kind == "rolled back" else f"challenger-{number}"
        record_event(world.engine, kind, at=at, model_version=version, details=details)
    assert f" of {needed} new labels to learn from" in night(raised + 1).decision.reasons[0]


@pytest.mark.parametrize(
    ("kind", "judged"),
    [("rejected", True), ("rejected", False), ("rolled back", True)],
    ids=["rejected", "too few tickets to judge", "rolled back"],
)
def test_age_counts_anew_when_the_champion_met_a_challenger_and_stays(
    world: Any, kind: EventKind, judged: bool
) -> None:
    """The champion's own validation ended on March 1; one training a night on the same tickets would change nothing."""
    champion = world.reader.release.version
    old = replace(WEEKLY, retrain_every_days=0, retrain_after_days=10)

    def reasons(day: int) -> tuple[str, ...]:
        night = run_night(
            world.workspace, world.engine, as_of=FIRST + timedelta(days=day), policy=old, suggester=world.reader
        )
        return night.decision.reasons if night.decision.retrain else ()

    assert reasons(8) == ()
    assert reasons(9) == ("the model was last judged, or met a challenger, on tickets 10 days old; 10 is the limit.",)
    if kind == "rejected":
        loser, details = "challenger", {"champion": champion, "judged": judged}
    else:
        loser, details = champion, {"from": "challenger"}
    record_event(world.engine, "trained", at=evening(9), model_version="challenger", details={})
    record_event(world.engine, kind, at=evening(9), model_version=loser, details=details)
    assert reasons(10) == reasons(18) == ()
    assert len(reasons(19)) == 1
