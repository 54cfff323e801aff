"""Who holds a workspace's lock, and what that says of a night. Imports nothing heavy: `triage` alone asks it too."""

from __future__ import annotations

import fcntl
from pathlib import Path

LOCK = "run.lock"
NIGHT = "nightly"  # what a night says that it holds the lock for


def lock_holder(root: Path) -> str | None:
    """Who holds the run lock of a workspace (its purpose and process); None when nobody does, or it cannot be read.

    A free lock is not touched, so that a run that starts at this moment gets it.
    """
    try:
        with open(root / LOCK, encoding="utf-8", errors="replace") as file:
            said = file.read().strip()
            if not said:
                return None
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return said
    except OSError:
        return None
    return None  # whoever wrote it was killed


def night_state(root: Path, recorded: str) -> str:
    """What has become of a night whose record says `recorded`: one that is `running` while no night holds the lock was
    `killed`."""
    if recorded != "running" or (lock_holder(root) or "").startswith(NIGHT):
        return recorded
    return "killed"
