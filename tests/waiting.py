"""Waiting for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def soon(true: Callable[[], bool], seconds: float = 15) -> bool:
    """Whether it becomes true in time; returns as soon as it does."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False
