"""What a replay compares: when each policy trains and which tickets people label for it, and how much of everything.

A label is a person's answer to the question what one ticket is about: a row of the table `labels`. That is what every
policy is charged for, whether the queue asked for it or the policy wants all tickets answered. What agents do with
suggestions while they work (accept, correct) is free, wrong now and then, and open to all policies alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.config import TrainConfig, preset
from monitoring.policy import Limits, Policy
from tickets.errors import InputError

Labelled = Literal["nothing", "what the queue asks", "all since the last training", "everything"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPolicy:
    """A way to keep a model right. `night` is what the monitoring job is told; all decisions to train are its own."""

    name: str
    told: str
    labelled: Labelled
    night: Policy
    nights_every: int = 7  # days; a schedule needs no more, an alarm is worth looking for each night


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """What all policies share."""

    learn_days: int  # at the beginning of the history: what the first model learns from
    live_days: int  # of the simulated company after that; a workspace's history has as many as it has
    tickets_per_day: int  # of the simulated company
    training: TrainConfig
    retraining: TrainConfig  # starts from the champion, so fewer passes do
    validation_days: int = 3
    gate_days: int = 4
    batch_every: int = 28  # days after which the pipeline and the scoring run; before a training they always do
    seed: int = 7


# A replay has some tens of tickets a day: its windows are small, so a quiet night may alarm in five of a hundred. And
# nobody reads its Evidently reports.
_NIGHT = Policy(
    sample=500,
    evidently=False,
    look_for_themes=False,
    limits=Limits(family_wise=0.05, replays=100),
    label_budget=0,
    retrain_on_alarm=False,
    retrain_after_labels=0,
    retrain_after_days=0,
)
NEVER = ReplayPolicy(name="never", told="the first model for good", labelled="nothing", night=_NIGHT)
FIXED_INTERVAL = ReplayPolicy(
    name="fixed interval",
    told="every 28 days, on tickets that people have all labelled",
    labelled="all since the last training",
    night=replace(_NIGHT, retrain_every_days=28),
)
ALARM_DRIVEN = ReplayPolicy(
    name="alarm-driven",
    told="when monitoring alarms and there is enough to learn from; 12 labels a night",
    labelled="what the queue asks",
    night=replace(_NIGHT, label_budget=12, retrain_on_alarm=True, labels_to_learn_from=150, retrain_after_days=90),
    nights_every=1,
)
ALL_LABELS = ReplayPolicy(
    name="all labels",
    told="every 14 days, every ticket labelled on its day",
    labelled="everything",
    night=replace(_NIGHT, retrain_every_days=14),
)
POLICIES = (NEVER, FIXED_INTERVAL, ALARM_DRIVEN, ALL_LABELS)

FULL = ReplayPlan(
    learn_days=42,
    live_days=182,
    tickets_per_day=60,
    training=replace(preset("cpu-quick"), max_train_tickets=6000),
    retraining=replace(preset("cpu-quick"), epochs=1, max_train_tickets=4000),
)
QUICK = ReplayPlan(
    learn_days=21,
    live_days=42,
    tickets_per_day=40,
    training=replace(preset("cpu-quick"), epochs=2),
    retraining=replace(preset("cpu-quick"), epochs=1, max_train_tickets=1200),
)


def policies_named(names: Sequence[str]) -> tuple[ReplayPolicy, ...]:
    """In the order of POLICIES; all of them without names. Raises InputError for a name that is none."""
    known = {policy.name: policy for policy in POLICIES}
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"there is no policy {unknown[0]!r}.", hint=f"Policies: {', '.join(known)}.")
    return tuple(policy for policy in POLICIES if not names or policy.name in names)
