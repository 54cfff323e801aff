"""What a replay found: a row a day and policy, and the figures that follow from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from triage.replay.policies import ALARM_DRIVEN, ALL_LABELS, FIXED_INTERVAL

_WEEK = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class LivedDay:
    """`right`: the first suggestion was the true contact type. `labels` were answered up to this evening."""

    day: dt.date
    tickets: int
    right: int
    accepted: int
    labels: int
    model_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """Seven days, the last ones perhaps fewer. `accuracy` is None of a week without tickets."""

    start: dt.date
    tickets: int
    accuracy: float | None
    labels: int
    model_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """One policy's life. The first model, the same for all, counts as no training."""

    policy: str
    told: str
    days: tuple[LivedDay, ...]
    trainings: int
    promotions: int
    alarms: int
    minutes: float

    @property
    def tickets(self) -> int:
        return sum(day.tickets for day in self.days)

    @property
    def accuracy(self) -> float:
        """Of all tickets since the first model went live; each counts alike."""
        return sum(day.right for day in self.days) / max(self.tickets, 1)

    @property
    def accepted(self) -> float:
        return sum(day.accepted for day in self.days) / max(self.tickets, 1)

    @property
    def labels(self) -> int:
        return self.days[-1].labels if self.days else 0

    def weeks(self) -> Iterator[Week]:
        for first in range(0, len(self.days), _WEEK):
            days = self.days[first : first + _WEEK]
            tickets = sum(day.tickets for day in days)
            yield Week(
                start=days[0].day,
                tickets=tickets,
                accuracy=sum(day.right for day in days) / tickets if tickets else None,
                labels=days[-1].labels,
                model_version=days[-1].model_version,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """All policies on one history. `events` are what changed in it, where that is known."""

    history: str
    events: tuple[tuple[dt.date, str], ...]
    policies: tuple[Lived, ...]

    def lived(self, policy: str) -> Lived | None:
        return next((one for one in self.policies if one.policy == policy), None)

    @property
    def share_of_oracle_accuracy(self) -> float | None:
        """Ours over the oracle's; None when one of them was not replayed."""
        ours, oracle = self.lived(ALARM_DRIVEN.name), self.lived(ALL_LABELS.name)
        return ours.accuracy / oracle.accuracy if ours and oracle and oracle.accuracy else None

    @property
    def share_of_fixed_interval_labels(self) -> float | None:
        """Ours over those of the fixed interval; None when one was not replayed or the interval never came."""
        ours, fixed = self.lived(ALARM_DRIVEN.name), self.lived(FIXED_INTERVAL.name)
        return ours.labels / fixed.labels if ours and fixed and fixed.labels else None

    def to_json(self) -> dict[str, Any]:
        return {
            "history": self.history,
            "events": [{"day": day.isoformat(), "what": what} for day, what in self.events],
            "share_of_oracle_accuracy": self.share_of_oracle_accuracy,
            "share_of_fixed_interval_labels": self.share_of_fixed_interval_labels,
            "policies": [_policy(one) for one in self.policies],
        }


def _policy(lived: Lived) -> Mapping[str, Any]:
    names = ("policy", "told", "tickets", "accuracy", "accepted", "labels", "trainings", "promotions", "alarms")
    return {
        **{name: getattr(lived, name) for name in names},
        "minutes": round(lived.minutes, 2),
        "weeks": [
            {
                "from": week.start.isoformat(),
                "tickets": week.tickets,
                "accuracy": week.accuracy,
                "labels": week.labels,
                "model_version": week.model_version,
            }
            for week in lived.weeks()
        ],
    }
