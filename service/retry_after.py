"""How long an answer asks to be left alone: the header Retry-After (RFC 9110), for all that we ask over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def seconds_to_wait(header: str | None) -> float | None:
    """Seconds that the header asks for, written as a number or as a date; None where it says nothing that can be
    read."""
    written = (header or "").strip()
    if written.isascii() and written.replace(".", "", 1).isdigit():
        return float(written)
    try:
        return max(0.0, (parsedate_to_datetime(written) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):  # TypeError: a date without its zone
        return None
