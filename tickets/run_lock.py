"""Who holds a workspace's run lock. Imports nothing heavy: `triage` alone asks it too."""

from __future__ import annotations

import fcntl
from pathlib import Path

LOCK = "run.lock"


def lock_holder(root: Path) -> str | None:
    """Who holds the run lock of a workspace (its purpose and process); None when nobody does, or it cannot be read.

    To learn whether a run that was killed left its name, the lock is taken for a moment, which a run that starts then
    waits for (`Workspace.lock`).
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
