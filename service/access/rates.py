"""How often: requests of one key, wrong keys from one address. Windows of a minute, counted in this process.

Our own counter rather than a library's: it costs half a microsecond (docs/decisions.md).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

_MOST = 50_000  # counted at once; a flood of addresses takes no more memory than that


class Rates:
    """Counts by name in windows of a minute, each beginning with its first count."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}  # name -> (when the window ends, how many)

    def count(self, name: str) -> bool:
        """Count one; False when the limit was reached before."""
        now = self._clock()
        ends, many = self._windows.get(name, (0.0, 0))
        if now >= ends:
            if len(self._windows) >= _MOST:
                self._forget(now)
            ends, many = now + 60, 0
        self._windows[name] = (ends, many + 1)
        return many < self.per_minute

    def is_over(self, name: str) -> bool:
        """Whether the limit is reached, without counting."""
        ends, many = self._windows.get(name, (0.0, 0))
        return many >= self.per_minute and self._clock() < ends

    def remaining(self, name: str) -> tuple[int, int]:
        """How many are left in this window, and in how many seconds it ends."""
        ends, many = self._windows.get(name, (0.0, 0))
        seconds = math.ceil(max(ends - self._clock(), 0.0))
        return (self.per_minute, 0) if seconds == 0 else (max(self.per_minute - many, 0), seconds)

    def _forget(self, now: float) -> None:
        """Drop the windows that have ended; the oldest too where none has."""
        self._windows = {name: window for name, window in self._windows.items() if window[0] > now}
        while len(self._windows) >= _MOST:
            self._windows.pop(next(iter(self._windows)))
