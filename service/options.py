"""The knobs of a running service. triage/settings.py fills them from the environment; nothing here reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """Limits and times of one service process."""

    max_body_bytes: int = 1_000_000  # a larger request is refused with 413 before it is read whole
    max_batch: int = 64  # tickets in one POST /v1/suggestions/batch
    stream_max_lines: int = 1_000_000  # in one POST /v1/suggestions/stream; a line may be max_body_bytes long
    stream_max_bytes: int = 2_000_000_000
    stream_ahead_bytes: int = 8_000_000  # read and not yet answered; clients that send all before they read need room
    stream_stall_seconds: float = 60.0  # a stream that neither sends nor reads for so long is ended
    threads: int = 1  # threads inside one inference; requests share one inference thread whatever this says
    release_check_seconds: float = 1.0  # how often releases/current is looked at
    retry_after_seconds: int = 5  # what a 503 tells the client to wait
    # The time written on suggestions and feedback; a replay of history brings its own.
    clock: Callable[[], datetime] = utc_now
