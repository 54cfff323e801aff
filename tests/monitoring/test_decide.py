"""The retrain decision: each reason on its own, and an alarm without anything to learn from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from monitoring.decide import Situation, decide
from monitoring.policy import Policy
from tickets.monitor_log import Alarm

POLICY = Policy(retrain_after_labels=500, retrain_after_days=90, retrain_every_days=0, labels_to_learn_from=50)
CALM = Situation(
    as_of=date(2026, 3, 9), open_alarms=(), new_labels=10, tried_until=date(2026, 3, 1), trained_on=date(2026, 3, 1)
)


def alarm(detector: str) -> Alarm:
    return Alarm(
        alarm_id=detector,
        run_id="run",
        detector=detector,
        severity="warning",
        message="",
        raised_at=datetime(2026, 3, 9, tzinfo=UTC),
    )


def test_a_calm_night_retrains_nothing_and_says_so() -> None:
    decision = decide(CALM, POLICY)
    assert not decision.retrain
    assert decision.reasons == ("no alarm, too few new labels, and the model is young enough.",)


def test_an_alarm_with_labels_to_learn_from_retrains() -> None:
    decision = decide(replace(CALM, open_alarms=[alarm("predictions.types")], new_labels=60), POLICY)
    assert decision.retrain
    assert decision.reasons == ("alarms are open: predictions.types; 60 new labels to learn from.",)


def test_an_alarm_with_nothing_to_learn_from_waits_for_labels() -> None:
    decision = decide(replace(CALM, open_alarms=[alarm("predictions.types")]), POLICY)
    assert not decision.retrain
    assert "only 10 of 50 new labels" in decision.reasons[0]


def test_an_alarm_that_trainings_do_not_close_waits_twice_as_long_for_each_further_one() -> None:
    def labels_needed(failed: int) -> int:
        situation = replace(CALM, open_alarms=[alarm("predictions.types")], failed=failed)
        return next(n for n in range(1000) if decide(replace(situation, new_labels=n), POLICY).retrain)

    assert [labels_needed(failed) for failed in range(6)] == [50, 50, 50, 100, 200, 400]
    waits = decide(replace(CALM, open_alarms=[alarm("predictions.types")], new_labels=60, failed=3), POLICY)
    assert "only 60 of 100 new labels to learn from, as 3 challengers have failed." in waits.reasons[0]


@pytest.mark.parametrize(("failed", "needed"), [(0, 1), (3, 2), (5, 8)])
def test_an_alarm_never_retrains_on_nothing_and_waits_longer_each_time_even_if_none_are_asked_for(
    failed: int, needed: int
) -> None:
    none = replace(POLICY, labels_to_learn_from=0)
    situation = replace(CALM, open_alarms=[alarm("predictions.types")], failed=failed)
    assert not decide(replace(situation, new_labels=needed - 1), none).retrain
    assert decide(replace(situation, new_labels=needed), none).retrain


def test_more_tickets_alone_are_no_reason() -> None:
    decision = decide(replace(CALM, open_alarms=[alarm("volume")], new_labels=60), POLICY)
    assert not decision.retrain
    assert decision.reasons[0].startswith("no alarm that is a reason to train, ")


def test_alarms_can_be_switched_off() -> None:
    situation = replace(CALM, open_alarms=[alarm("predictions.types")], new_labels=60)
    assert not decide(situation, replace(POLICY, retrain_on_alarm=False)).retrain


def test_enough_labels_retrain() -> None:
    assert not decide(replace(CALM, new_labels=499), POLICY).retrain
    assert decide(replace(CALM, new_labels=500), POLICY).reasons == ("500 new labels; 500 are worth a training.",)


def test_an_old_model_retrains() -> None:
    assert not decide(replace(CALM, tried_until=date(2025, 12, 10)), POLICY).retrain
    assert decide(replace(CALM, tried_until=date(2025, 12, 9)), POLICY).retrain
    assert not decide(replace(CALM, tried_until=None), POLICY).retrain


def test_a_fixed_schedule_retrains() -> None:
    weekly = replace(POLICY, retrain_every_days=7)
    assert decide(replace(CALM, trained_on=date(2026, 3, 2)), weekly).retrain
    assert not decide(replace(CALM, trained_on=date(2026, 3, 3)), weekly).retrain
    assert not decide(replace(CALM, trained_on=date(2020, 1, 1)), POLICY).retrain


def test_several_reasons_are_all_told() -> None:
    situation = replace(CALM, open_alarms=[alarm("attributes")], new_labels=600, tried_until=date(2025, 1, 1))
    assert len(decide(situation, POLICY).reasons) == 3
