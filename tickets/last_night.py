"""What has become of the newest night, and which is at work. Imports nothing heavy: `triage` alone asks it too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tickets.night_file import parse_night
from tickets.run_lock import lock_holder

_PURPOSE = "nightly "


@dataclass(frozen=True, slots=True)
class LastNight:
    """The newest night that has a record, nightly/<date>.json. A `killed` one says that it is running, and no run holds
    the lock for it. `step` is the first that is not done, "" where none is known."""

    day: str
    state: Literal["done", "failed", "running", "killed", "unreadable"]
    step: str = ""


def lock_purpose(as_of: str) -> str:
    """What the night of a day says that it holds the run lock for."""
    return f"{_PURPOSE}{as_of}"


def night_at_work(root: Path) -> str | None:
    """The day of the night that holds the run lock of a workspace; None when none does."""
    holder = lock_holder(root) or ""
    return holder.removeprefix(_PURPOSE).partition(",")[0] if holder.startswith(_PURPOSE) else None


def last_night(root: Path) -> LastNight | None:
    """The night of the newest day in a workspace, however it went; None before the first. Never raises."""
    path = max((root / "nightly").glob("????-??-??.json"), default=None)
    if path is None:
        return None
    night = _read(path)
    if night.state == "running" and night_at_work(root) != night.day:
        night = _read(path)  # it may have ended meanwhile: that is written before the lock is free
        return replace(night, state="killed") if night.state == "running" else night
    return night


def _read(path: Path) -> LastNight:
    try:
        state, steps = parse_night(path.read_text(encoding="utf-8"), path.stem)
    except (OSError, ValueError):
        return LastNight(path.stem, "unreadable")
    return LastNight(path.stem, state, next((name for name, step in steps.items() if step.state != "done"), ""))
