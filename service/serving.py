"""What one running service holds, and how a request gets at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import sqlalchemy as sa
from anyio import CapacityLimiter
from fastapi import Depends, Request

from service.choices import Choices
from service.options import ServiceOptions
from service.releases import Releases
from service.telemetry import Metrics
from tickets.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Serving:
    """Made once by `create_app`; every router reads it through `Held`."""

    workspace: Workspace
    engine: sa.Engine
    options: ServiceOptions
    releases: Releases
    choices: Choices
    metrics: Metrics
    inference_turn: CapacityLimiter  # one: inference is bound by the processor, so a second at once would slow both


def held_by(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving


Held = Annotated[Serving, Depends(held_by)]
