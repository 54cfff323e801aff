"""The knobs of a running service. triage/settings.py fills them from the environment; nothing here reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from service.helpdesks.options import Helpdesks


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """Limits and times of one service process."""

    max_body_bytes: int = 1_000_000  # a larger request is refused with 413 before it is read whole
    max_batch: int = 64  # tickets in one POST /v1/suggestions/batch
    threads: int = 1  # threads inside one inference; requests share one inference thread whatever this says
    release_check_seconds: float = 1.0  # how often releases/current is looked at
    retry_after_seconds: int = 5  # what a 503 tells the client to wait
    helpdesks: Helpdesks = field(default_factory=Helpdesks)  # those whose webhooks are taken
    frame_ancestors: tuple[str, ...] = ()  # the origins that may show /sidebar in a frame, and speak to it
    # The time written on suggestions and feedback; a replay of history brings its own.
    clock: Callable[[], datetime] = utc_now
