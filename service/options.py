"""The knobs of a running service. triage/settings.py fills them from the environment; nothing here reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from service.access.options import AccessOptions, KeepText
from service.helpdesks.options import Helpdesks
from service.traces import NO_TRACES, Traces


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """Limits and times of one service process."""

    max_body_bytes: int = 1_000_000  # a larger request is refused with 413 before it is read whole
    max_batch: int = 64  # tickets in one POST /v1/suggestions/batch
    threads: int | None = None  # inferences at once, one core each; as many as there are cores when None
    longest_wait_seconds: float = 0.04  # what a single ticket may wait for the model; a fuller queue refuses it
    most_bulk: int = 2_000  # tickets of batches that may wait for the model
    holdout_share: float = 0.0  # of tickets whose suggestions are withheld, to measure what suggestions do
    stream_max_lines: int = 1_000_000  # in one POST /v1/suggestions/stream; a line may be max_body_bytes long
    stream_max_bytes: int = 2_000_000_000
    stream_ahead_bytes: int = 8_000_000  # read and not yet answered; clients that send all before they read need room
    stream_stall_seconds: float = 60.0  # a stream that neither sends nor reads for so long is ended
    release_check_seconds: float = 1.0  # how often releases/current is looked at
    retry_after_seconds: int = 5  # what a 503 tells the client to wait
    access: AccessOptions = field(default_factory=AccessOptions)  # keys, roles, rates; see there
    keep_text: KeepText = "masked"  # what of a ticket is kept with its suggestion
    helpdesks: Helpdesks = field(default_factory=Helpdesks)  # those whose webhooks are taken
    frame_ancestors: tuple[str, ...] = ()  # the origins that may show /sidebar in a frame, and speak to it
    # The time written on suggestions and feedback; a replay of history brings its own.
    clock: Callable[[], datetime] = utc_now
    traces: Traces = NO_TRACES  # where spans go


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """What a service process writes down, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"  # info: a line a request
    format: Literal["json", "console"] = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """How connections are taken, kept and ended."""

    # After SIGTERM, how long requests are still taken while /readyz says 503, so that a balancer can look elsewhere.
    drain_seconds: float = 0.0
    stop_seconds: int = 8  # how long requests under way may then take
    keep_alive_seconds: int = 65  # longer than balancers keep an idle connection, so that they close it, not we
    backlog: int = 2048  # connections that wait to be taken
