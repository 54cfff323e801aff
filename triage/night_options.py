"""The policy of a night as the settings have it. A knob has one name: TRIAGE_MONITORING__LABEL_BUDGET fills
`label_budget`, TRIAGE_MONITORING__GATE_CONFIDENCE the gate's `confidence`."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, TypeVar

from monitoring.gate import GatePolicy
from monitoring.policy import Limits, Policy
from monitoring.probation import ProbationPolicy
from triage.monitoring_settings import MonitoringSettings

Knobs = TypeVar("Knobs", Policy, Limits, GatePolicy, ProbationPolicy)


def night_policy(settings: MonitoringSettings, over: Policy | None = None) -> Policy:
    """What a night compares, asks and decides. With `over`, a plan's own policy, only what was set is put over it."""
    policy = _filled(settings, over or Policy())
    return replace(policy, limits=_filled(settings, policy.limits, prefix="alarm_"))


def gate_policy(settings: MonitoringSettings) -> GatePolicy:
    """Which challenger passes."""
    return _filled(settings, GatePolicy(), prefix="gate_")


def probation_policy(settings: MonitoringSettings) -> ProbationPolicy:
    """When a new champion is rolled back."""
    return _filled(settings, ProbationPolicy(), prefix="probation_")


def _filled(settings: MonitoringSettings, knobs: Knobs, *, prefix: str = "") -> Knobs:
    """`knobs` with the settings that somebody set."""
    names = {field.name for field in fields(knobs)}
    given: dict[str, Any] = settings.model_dump(include=settings.model_fields_set)
    own = {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}
    return replace(knobs, **{name: value for name, value in own.items() if name in names})
