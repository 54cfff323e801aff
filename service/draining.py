"""The end of a service process, without a request lost.

At the first SIGTERM or SIGINT /readyz says 503 and every answer asks its client to hang up, but for `drain_seconds`
requests are taken as before: a balancer needs that long to look elsewhere. Then the listener closes, requests under way
are finished, the lifespan ends (which flushes what is kept in memory), and the process ends with exit code 0. A second
signal ends it at once, by that signal.
"""

from __future__ import annotations

import signal
import socket
import time
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

log = structlog.get_logger()


class DrainingServer(uvicorn.Server):
    """uvicorn's server with a time between the signal and the end of listening."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_seconds = drain_seconds
        self._listening_until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # as signal calls it
        """What a signal does. uvicorn would raise the first again at the end, which is no exit code 0."""
        if self._listening_until is None:
            self._app.state.draining = True
            self._listening_until = time.monotonic() + self._drain_seconds
        else:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: is it time to stop listening?"""
        until = self._listening_until
        if until is not None and not self.should_exit and time.monotonic() >= until:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        log.info("stopping", requests_under_way=len(self.server_state.tasks))
        await super().shutdown(sockets)
        log.info("stopped")
