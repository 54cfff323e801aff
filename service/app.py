"""The service, put together: routers, pages, the boundary around them, and the watch on the current release."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import sqlalchemy as sa
from anyio import to_thread
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from models.machine import cores
from service import (
    console,
    dashboard,
    feedback,
    health,
    kserve,
    labels,
    problems,
    streaming,
    suggestions,
    taxonomy,
    themes,
)
from service.access import login
from service.access.described import describe_access
from service.access.guard import Access, Guard
from service.access.sessions import Sessions
from service.answering import Asked, infer
from service.batching import MicroBatcher
from service.boundary import Boundary
from service.choices import Choices
from service.helpdesks import sidebar, webhooks
from service.helpdesks.write_backs import WriteBacks
from service.kserve_schemas import InferRequest
from service.options import ServiceOptions
from service.pages import person, picker
from service.releases import Releases
from service.schemas import TAGS, BatchRequest, FeedbackRequest, StreamAnswer, SuggestionRequest
from service.server import running, serve
from service.serving import Serving
from service.spool import Spool
from service.telemetry import Metrics
from service.wire import complete
from tickets.records import Suggestion
from tickets.workspace import Workspace

_PARTS = (
    *(suggestions, streaming, feedback, taxonomy, kserve, health, console, labels, dashboard, person, picker, login),
    *(webhooks, sidebar, themes),
)

__all__ = ["create_app", "running", "serve"]

_DESCRIPTION = """Contact types and reply templates for every new ticket.

Post a ticket to `/v1/suggestions`, show what comes back, and post what the agent did to `/v1/feedback`: the model
learns from that. Errors are problem+json (RFC 9457): `detail` says what was found, `hint` what to do."""

_BODIES = (SuggestionRequest, BatchRequest, FeedbackRequest, InferRequest, StreamAnswer)  # read or written by hand


def create_app(workspace: Workspace, engine: sa.Engine, options: ServiceOptions | None = None) -> FastAPI:
    """The app over a workspace and its database. It starts without a release and takes one up when it is promoted."""
    options = options or ServiceOptions()
    metrics = Metrics()
    releases = Releases(workspace, told=metrics.release_told)
    app = FastAPI(
        title="Ticket triage",
        version="1",
        description=_DESCRIPTION,
        openapi_tags=TAGS,
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        telemetry=options.traces.for_fastapi(),
    )
    app.state.draining = False  # set by the server when it is told to stop
    app.state.workspace, app.state.engine = workspace, engine
    app.state.options, app.state.releases = options, releases
    app.state.serving = _serving(workspace, engine, options, releases, metrics)
    app.state.write_backs = WriteBacks(app.state.serving)
    problems.register(app)
    app.state.access = Access(engine, options.access, Sessions(workspace, hours=options.access.session_hours))
    app.add_middleware(Guard, access=app.state.access)
    app.add_middleware(
        Boundary, metrics=metrics, max_body_bytes=options.max_body_bytes, full=app.state.serving.batcher.full
    )
    for part in _PARTS:
        app.include_router(part.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).with_name("static")), name="static")
    app.add_api_route("/", _to_console, include_in_schema=False)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _serving(
    workspace: Workspace, engine: sa.Engine, options: ServiceOptions, releases: Releases, metrics: Metrics
) -> Serving:
    def in_thread(asked: Sequence[Asked]) -> list[Suggestion]:
        return infer(serving, asked)

    serving = Serving(
        workspace=workspace,
        engine=engine,
        options=options,
        releases=releases,
        choices=Choices(workspace, releases),
        metrics=metrics,
        spool=Spool(workspace.root / "spool", engine, metrics),
        batcher=MicroBatcher(
            in_thread,
            threads=options.threads or cores(),
            longest_wait=options.longest_wait_seconds,
            most_bulk=options.most_bulk,
            meter=metrics,
        ),
    )
    return serving


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Load the release before the first request, then watch for the next one. At the end nothing that was taken in is
    left undone: write-backs and background work, then inference, then the suggestion log."""
    serving: Serving = app.state.serving
    await to_thread.run_sync(serving.releases.refresh)
    with serving.spool.running():
        async with serving.batcher.running():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serving.releases.watch, app.state.options.release_check_seconds)
                tasks.start_soon(app.state.write_backs.run)
                yield
                await app.state.write_backs.stop()
                tasks.cancel_scope.cancel()
            # Outside of the group, whose cancelled scope would cancel what is waited for in it.
            await asyncio.gather(*serving.background, return_exceptions=True)


def _to_console() -> RedirectResponse:
    return RedirectResponse("/console")


def _describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the shape of a problem among its schemas."""
    if app.openapi_schema is None:
        described = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=TAGS
        )
        app.openapi_schema = complete(described, _BODIES)
        describe_access(app.openapi_schema, app.state.options.access)
    return app.openapi_schema
