"""What one running service holds, and how a request gets at it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import sqlalchemy as sa
from fastapi import Depends, Request

from service.batching import MicroBatcher
from service.choices import Choices
from service.options import ServiceOptions
from service.releases import Releases
from service.spool import Spool
from service.telemetry import Metrics
from tickets.records import Suggestion
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from service.answering import Asked


@dataclass(frozen=True, slots=True)
class Serving:
    """Made once by `create_app`; every router reads it through `Held`."""

    workspace: Workspace
    engine: sa.Engine
    options: ServiceOptions
    releases: Releases
    choices: Choices
    metrics: Metrics
    spool: Spool
    batcher: MicroBatcher[Asked, Suggestion]
    background: set[asyncio.Task[None]] = field(default_factory=set)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that no request waits for. The service waits for it before it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)


def held_by(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving


async def _held(request: Request) -> Serving:  # FastAPI would run one that is not async in a thread
    return held_by(request)


Held = Annotated[Serving, Depends(_held)]
