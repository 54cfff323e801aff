"""When a page was opened: it stands in the page's form in Unix seconds, and tells how long the work on it took."""

from __future__ import annotations

from service.serving import Serving


def opened_now(held: Serving) -> str:
    return f"{held.options.clock().timestamp():.3f}"


def seconds_since(held: Serving, opened: str, *, most: float) -> float | None:
    """Seconds since the page was opened, to a tenth; None for what is no time, lies ahead, or is longer ago than
    `most`: a page left open over lunch says nothing of the work."""
    try:
        seconds = held.options.clock().timestamp() - float(opened)
    except ValueError:
        return None
    return round(seconds, 1) if 0 <= seconds <= most else None
