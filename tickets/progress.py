"""What long work says while it runs, to whoever started it."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str], None]  # one line
Progress = Callable[[int, int, float], None]  # steps done, of how many, and the loss


def silent(*_said: object) -> None:
    """The report, or the progress, that nobody reads."""
