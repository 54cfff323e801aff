"""Trainings that only time is a reason for: a fixed schedule, and the age of what the champion was judged on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from monitoring.night import NightReport, run_night
from monitoring.policy import Limits, Policy
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
