"""TRIAGE_MONITORING__*: every setting fills a knob, with the knob's own default."""

from __future__ import annotations

from dataclasses import fields

import pytest

from monitoring.alarms import holm
from monitoring.gate import GatePolicy
from monitoring.policy import Limits, Policy
from monitoring.probation import ProbationPolicy
from tickets.errors import InputError
from triage.monitoring_settings import MonitoringSettings
from triage.night_options import gate_policy, night_policy, probation_policy
from triage.settings import read_settings

OF_THE_RETRAINING = {"retrain_start"}


def test_every_setting_fills_a_knob_and_has_its_default() -> None:
    knobs = {field.name: field.default for field in fields(Policy)}
    knobs |= {f"alarm_{field.name}": field.default for field in fields(Limits)}
    knobs |= {f"gate_{field.name}": field.default for field in fields(GatePolicy)}
    knobs |= {f"probation_{field.name}": field.default for field in fields(ProbationPolicy)}
    for name, default in MonitoringSettings():
        assert name in OF_THE_RETRAINING or knobs[name] == default, name
    assert {name for name in knobs if name.startswith(("gate_", "probation_"))} <= set(MonitoringSettings.model_fields)


def test_what_is_set_reaches_the_night_the_gate_and_the_probation(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "TRIAGE_MONITORING__LABEL_BUDGET": "7",
        "TRIAGE_MONITORING__RETRAIN_ON_ALARM": "false",
        "TRIAGE_MONITORING__GATE_LARGE_TYPE": "12",
        "TRIAGE_MONITORING__GATE_DAYS": "4",
        "TRIAGE_MONITORING__PROBATION_DAYS": "3",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = read_settings().monitoring
    assert night_policy(settings) == Policy(label_budget=7, retrain_on_alarm=False, gate_days=4)
    assert gate_policy(settings) == GatePolicy(large_type=12)
    assert probation_policy(settings) == ProbationPolicy(days=3)


def test_a_plan_keeps_what_nobody_set() -> None:
    plan = Policy(sample=500, label_budget=40, retrain_after_labels=0)
    settings = MonitoringSettings(label_budget=9)
    assert night_policy(settings, plan) == Policy(sample=500, label_budget=9, retrain_after_labels=0)


def test_shares_of_more_than_one_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAGE_MONITORING__UNSURE_SHARE", "0.9")
    with pytest.raises(InputError, match="together are more than 1"):
        read_settings()
    monkeypatch.setenv("TRIAGE_MONITORING__UNSURE_SHARE", "2")
    with pytest.raises(InputError, match="TRIAGE_MONITORING__UNSURE_SHARE is '2'"):
        read_settings()


def test_a_level_that_permutations_cannot_reach_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    floor = next(
        rule.ge for rule in MonitoringSettings.model_fields["alarm_family_wise"].metadata if hasattr(rule, "ge")
    )
    smallest = 1 / (Policy().permutations + 1)
    night = {"embeddings.domain": smallest, **dict.fromkeys(Limits().least_effects.keys() - {"embeddings.domain"}, 1.0)}
    assert holm(night)["embeddings.domain"] <= floor
    monkeypatch.setenv("TRIAGE_MONITORING__ALARM_FAMILY_WISE", "0.005")
    with pytest.raises(InputError, match=r"ALARM_FAMILY_WISE is '0.005': .* greater than or equal to 0.01"):
        read_settings()
