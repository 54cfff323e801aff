"""Is it time to train again? A policy in plain settings and a decision with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from monitoring.policy import Policy
from tickets.monitor_log import Alarm

NO_REASON_TO_RETRAIN = frozenset({"volume"})  # more tickets are no different tickets
_TRIES = 2  # challengers that may fail at no cost: the gate misses a small gain now and then


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the decision looks at. `new_labels` are labels and agents' corrections that a challenger trained now would
    learn from, and that neither the champion nor the last challenger it beat has learned from."""

    as_of: date
    open_alarms: Sequence[Alarm]
    new_labels: int
    # The newest ticket of the champion's validation period, or, when it has met challengers since and stayed, the day
    # of the last, even if there were too few tickets to judge it: else age would train another one each night.
    tried_until: date | None
    trained_on: date | None  # the day, as `as_of` is one, whose night trained last
    # Challengers of this champion that were judged and rejected since the oldest open alarm, or rolled back ever.
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to retrain, and why or why not, each reason a sentence."""

    retrain: bool
    reasons: tuple[str, ...]


def decide(situation: Situation, policy: Policy) -> Decision:
    """Any one reason suffices; an alarm alone needs enough new labels to learn from, one at least, and twice as many
    again with each challenger that fails meanwhile after the second: an alarm that no training closes would have one
    every night."""
    reasons = [
        *_by_labels(situation, policy),
        *_by_age(situation, policy),
        *_by_schedule(situation, policy),
    ]
    moved = sorted({alarm.detector for alarm in situation.open_alarms} - NO_REASON_TO_RETRAIN)
    if moved and policy.retrain_on_alarm:
        told = f"alarms are open: {', '.join(moved)}"
        needed = max(1, policy.labels_to_learn_from) * 2 ** max(0, situation.failed - _TRIES)
        if situation.new_labels >= needed:
            reasons.insert(0, f"{told}; {situation.new_labels} new labels to learn from.")
        elif not reasons:
            enough = min(needed, policy.retrain_after_labels or needed)  # so many are a reason of their own
            few = f"only {situation.new_labels} of {enough} new labels to learn from"
            few += f", as {situation.failed} challengers have failed" if situation.failed > _TRIES else ""
            return Decision(False, (f"{told}, but {few}.",))
    if reasons:
        return Decision(True, tuple(reasons))
    calm = "no alarm that is a reason to train" if situation.open_alarms else "no alarm"
    return Decision(False, (f"{calm}, too few new labels, and the model is young enough.",))


def _by_labels(situation: Situation, policy: Policy) -> list[str]:
    if 0 < policy.retrain_after_labels <= situation.new_labels:
        return [f"{situation.new_labels} new labels; {policy.retrain_after_labels} are worth a training."]
    return []


def _by_age(situation: Situation, policy: Policy) -> list[str]:
    if situation.tried_until is None or policy.retrain_after_days <= 0:
        return []
    age = (situation.as_of - situation.tried_until).days
    if age < policy.retrain_after_days:
        return []
    told = f"the model was last judged, or met a challenger, on tickets {age} days old"
    return [f"{told}; {policy.retrain_after_days} is the limit."]


def _by_schedule(situation: Situation, policy: Policy) -> list[str]:
    if policy.retrain_every_days <= 0 or situation.trained_on is None:
        return []
    days = (situation.as_of - situation.trained_on).days
    if days < policy.retrain_every_days:
        return []
    return [f"the last training is {days} days ago; the schedule says every {policy.retrain_every_days}."]
