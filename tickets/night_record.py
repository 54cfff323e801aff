"""The record of a night, nightly/<date>.json in the workspace: which steps are done, how long they took, what they
said.

It is written as each step begins and ends, so a night that was killed goes on with the step that it died in.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tickets.errors import TriageError, WorkspaceError
from tickets.manifests import State
from tickets.night_file import StepRecord, parse_night
from tickets.workspace import Workspace, write_text


@dataclass(slots=True)
class NightRecord:
    """The night of a day, step by step, kept on disk. Only who holds the workspace's lock may write it."""

    path: Path
    as_of: str
    state: State = "running"
    steps: dict[str, StepRecord] = field(default_factory=dict)

    @classmethod
    def open(cls, workspace: Workspace, as_of: dt.date, *, again: bool = False) -> NightRecord:
        """What was recorded of this night, or an empty record; with `again` what was is forgotten. Raises
        WorkspaceError when it is no such record."""
        path = _path(workspace, as_of.isoformat())
        if again or not path.exists():
            return cls(path, as_of.isoformat())
        try:
            return cls(path, as_of.isoformat(), *parse_night(path.read_text(encoding="utf-8"), as_of.isoformat()))
        except (OSError, ValueError) as error:
            raise WorkspaceError(
                f"cannot read {path}: {error!r}.", hint="`triage nightly --again` does that night from the start."
            ) from error

    @property
    def ended(self) -> dt.datetime | None:
        """When the last of its steps ended; None while none has. Running it again when it is done changes nothing."""
        return max((step.ended_at for step in self.steps.values() if step.ended_at), default=None)

    def began_early(self, now: dt.datetime) -> bool:
        """Whether a step began before the night's day was over, which it is by `now`: it missed what came since."""
        over = dt.datetime.combine(dt.date.fromisoformat(self.as_of) + dt.timedelta(days=1), dt.time(), dt.UTC)
        return now >= over and any(step.began_at < over for step in self.steps.values() if step.began_at)

    def done(self, step: str) -> bool:
        return step in self.steps and self.steps[step].state == "done"

    def facts(self, step: str) -> Mapping[str, Any]:
        """What a step that is done left for those after it."""
        return self.steps[step].facts if step in self.steps else {}

    def begin(self, step: str) -> None:
        before = self.steps.get(step)
        began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.state = "running"
        tried, first = (before.attempts, before.first) if before else (0, began)
        self._write(step, StepRecord(state="running", attempts=tried + 1, first=first, began=began))

    def end(self, step: str, summary: str, seconds: float, facts: Mapping[str, Any]) -> None:
        told: dict[str, Any] = {"state": "done", "seconds": round(seconds, 3), "summary": summary, "facts": dict(facts)}
        self._write(step, dataclasses.replace(self.steps[step], **told))

    def fail(self, step: str, error: BaseException, seconds: float) -> None:
        """Of errors that nobody raised on purpose only the kind is kept: their words may quote tickets."""
        said = f"{type(error).__name__}: {error}" if isinstance(error, TriageError) else type(error).__name__
        self.state = "failed"
        told: dict[str, Any] = {"state": "failed", "seconds": round(seconds, 3), "error": said}
        self._write(step, dataclasses.replace(self.steps[step], **told))

    def finish(self) -> None:
        """Every step is done."""
        self.state = "done"
        self._save()

    def to_json(self) -> dict[str, Any]:
        steps = {name: dataclasses.asdict(step) for name, step in self.steps.items()}
        return {"as_of": self.as_of, "state": self.state, "steps": steps}

    def _write(self, step: str, record: StepRecord) -> None:
        self.steps[step] = record
        self._save()

    def _save(self) -> None:
        write_text(self.path, json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n")


def unfinished_nights(workspace: Workspace, before: dt.date) -> list[NightRecord]:
    """Nights before a day that began and did not end, oldest first; unreadable records are passed over."""
    nights = (night for night in _newest_first(workspace) if night.as_of < before.isoformat())
    return [night for night in nights if night.state != "done"][::-1]


def last_whole_night(workspace: Workspace) -> NightRecord | None:
    """The night of the newest day whose steps are all done."""
    return next((night for night in _newest_first(workspace) if night.state == "done"), None)


def _newest_first(workspace: Workspace) -> Iterator[NightRecord]:
    """Every night whose record can be read."""
    for path in sorted(_path(workspace, "*").parent.glob("????-??-??.json"), reverse=True):
        with suppress(WorkspaceError, ValueError):
            yield NightRecord.open(workspace, dt.date.fromisoformat(path.stem))


def _path(workspace: Workspace, as_of: str) -> Path:
    return workspace.root / "nightly" / f"{as_of}.json"
