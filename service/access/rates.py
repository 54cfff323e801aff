"""How often: requests of one key, wrong keys from one address. Windows of a minute, counted in this process.

Our own counter rather than a library's: it costs half a microsecond (docs/decisions.md).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 50_000  # counted at once; of a flood of addresses the oldest is forgotten for each new one


class Rates:
    """Counts by name in windows of a minute, each beginning with its first count."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        # name -> (when the window ends, how many). Windows are equally long, so they end in the order they stand in.
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, name: str) -> bool:
        """Count one; False when the limit was reached before."""
        now = self._clock()
        ends, many = self._windows.get(name, (0.0, 0))
        if now >= ends:
            ends, many = now + 60, 0
            self._windows.pop(name, None)  # it begins anew, behind all others
            if len(self._windows) >= _MOST:
                self._windows.popitem(last=False)
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
