"""`triage` without a command: where this workspace stands, and what to type next.

It answers at once, so it reads a few small files itself and imports nothing that is heavy: neither pyarrow nor the
settings. What it reads is written by tickets/manifests.py, models/release.py and tickets/night_record.py.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tickets.last_night import last_night, night_at_work
from tickets.run_lock import lock_holder

_NEW = (
    ("triage doctor", "what this machine lacks"),
    ("triage demo --quick", "the whole loop on simulated tickets, minutes"),
    ("triage import tickets.csv --dataset dataset.toml", "your own history"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What is so, a line each, and the commands that come next with what each does."""

    found: tuple[str, ...]
    next: tuple[tuple[str, str], ...]


def standing(root: Path, *, today: dt.date, host: str, port: int) -> Standing:
    """Never raises: what cannot be read is told as such."""
    if not os.path.lexists(root / "workspace.json"):
        return Standing(found=(f"No workspace yet: there is none at {root}.",), next=_NEW)
    imported, split = _newest_run(root, "import"), _newest_run(root, "split")
    if imported is None and split is None:
        return Standing(found=(f"Workspace {root}: nothing is imported yet.",), next=_NEW)
    holder = lock_holder(root)
    found = [f"Workspace {root}", *([f"At work     {holder}"] if holder else []), *_told_runs(imported, split)]
    if split is None:
        return _ended(found, ("triage features", "clean, label and split what was imported"))
    models = sorted(path.parent.name for path in (root / "models").glob("*/release.json"))
    served = _read(root / "releases" / "current")
    if not models and not served:
        found.append("Model       none yet")
        check = ("triage debug", "fourteen checks before a long training")
        return _ended(found, check, ("triage train --promote", "train a model and serve it"))
    if not served:
        found.append(f"Model       {models[-1]} is trained, none is served")
        return _ended(found, (f"triage promote {models[-1]}", "serve it"))
    found.append(f"Model       {served} is the champion")
    answers = _answers(host, port)
    found.append(f"Service     {f'something answers at {host}:{port}' if answers else 'not running here'}")
    steps = list(_night(root, today, found))
    if _later(imported, _newest_run(root, "featurise")):
        steps.insert(0, ("triage features", "what was imported since is not in the features yet"))
    if not answers:
        steps.insert(0, ("triage serve", "answer agents: console, labels, dashboard"))
    return _ended(found, *(steps or [("triage evaluate", "how good the champion is")]))


def _ended(found: list[str], *following: tuple[str, str]) -> Standing:
    return Standing(found=tuple(found), next=following)


def _told_runs(imported: dict[str, Any] | None, split: dict[str, Any] | None) -> Iterator[str]:
    if imported is not None:
        rows = imported["rows_out"]
        told = f"{rows:,}" if isinstance(rows, int) else rows
        yield f"Imported    {told} rows with the last import, of {imported['as_of']}"
    yield "Features    none yet" if split is None else f"Features    made as of {split['as_of']}"


def _night(root: Path, today: dt.date, found: list[str]) -> Iterator[tuple[str, str]]:
    """Adds a line on the last night to `found`; yields what is to be done about it."""
    night = last_night(root)
    if night is None:
        found.append("Last night  none was run yet")
        yield "triage nightly", "a night's work; let a timer call it (docs/operations.md)"
        return
    where = f", in the step {night.step}" if night.step and night.state != "done" else ""
    found.append(f"Last night  {night.day}: {night.state}{where}")
    if night_at_work(root):
        return
    if night.state == "unreadable":
        yield f"triage nightly --as-of {night.day} --again", "does that night from the start"
    elif night.state != "done":
        yield f"triage nightly --as-of {night.day}", "goes on with the step that it stopped in"
    elif night.day < (today - dt.timedelta(days=1)).isoformat():
        yield "triage nightly", "the night's work of yesterday is not done"


def _newest_run(root: Path, step: str) -> dict[str, Any] | None:
    """The manifest of the step that was begun last."""
    read = (_json(path) for path in (root / "manifests" / step).glob("*.json"))
    known = [one for one in read if one and {"as_of", "rows_out", "started_at"} <= one.keys()]
    return max(known, key=lambda one: str(one["started_at"]), default=None)


def _later(imported: dict[str, Any] | None, featurised: dict[str, Any] | None) -> bool:
    """Whether the last import came after the last features; nightly makes features too."""
    return bool(imported and featurised and str(imported["started_at"]) > str(featurised["started_at"]))


def _answers(host: str, port: int) -> bool:
    at = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # where one listens everywhere
    try:
        with socket.create_connection((at.strip("[]"), port), timeout=0.2):
            return True
    except (OSError, OverflowError):
        return False


def _json(path: Path) -> dict[str, Any] | None:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return read if isinstance(read, dict) else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
