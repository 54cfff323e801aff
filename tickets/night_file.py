"""The record of a night as it lies on disk, nightly/<date>.json. Imports nothing heavy: `triage` alone reads it too."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tickets.manifests import State

_STATES = ("running", "done", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """How a step went. One that says `running` while nobody holds the lock was killed. `facts` are for the steps after
    it; `attempts` counts the times it was begun, `first` says when that was for the first time."""

    state: State
    attempts: int = 1
    first: str = ""  # UTC, ISO 8601, as is `began`
    began: str = ""
    seconds: float = 0.0
    summary: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""  # the kind, and of errors that were raised on purpose what they say

    @property
    def began_at(self) -> dt.datetime | None:
        return dt.datetime.fromisoformat(self.began) if self.began else None

    @property
    def first_at(self) -> dt.datetime | None:
        return dt.datetime.fromisoformat(self.first) if self.first else self.began_at

    @property
    def ended_at(self) -> dt.datetime | None:
        """When it ended, or began where it has not."""
        return self.began_at + dt.timedelta(seconds=self.seconds) if self.began_at else None


def parse_night(text: str, day: str) -> tuple[State, dict[str, StepRecord]]:
    """The state of the night of a day, and its steps in order. Raises ValueError for anything but a record of it."""
    try:
        told = json.loads(text)
        steps = {str(name): StepRecord(**step) for name, step in told["steps"].items()}
        state: State = told["state"]
        if told["as_of"] != day or any(
            reached not in _STATES for reached in (state, *(s.state for s in steps.values()))
        ):
            raise ValueError(f"it is no record of the night of {day}")
        if any(step.ended_at and step.ended_at.tzinfo is None for step in steps.values()):
            raise ValueError("the times of its steps have no time zone")
    except (TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ValueError(repr(error)) from error
    return state, steps
