"""/livez, /readyz and /metrics, for whatever watches over the service; /docs, which works without the internet."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from service.pages import render
from service.problems import Problem, documented
from service.schemas import HealthAnswer
from service.serving import Held

router = APIRouter()


@router.get("/livez", tags=["health"])
async def alive() -> HealthAnswer:
    """The process answers."""
    return HealthAnswer(status="alive")


@router.get("/readyz", tags=["health"], responses=documented(503))
async def ready(request: Request, held: Held) -> HealthAnswer:
    """A release is loaded and the process is not about to end; otherwise 503 with the reason.

    The database is not asked: while it is away suggestions go on, and no replica could do better.
    """
    if request.app.state.draining:
        raise Problem(
            503,
            "draining",
            "this process is about to end.",
            hint="Ask another one.",
            retry_after=held.options.retry_after_seconds,
        )
    held.releases.require(retry_after=held.options.retry_after_seconds)
    return HealthAnswer(status="ready, without database" if held.spool.away else "ready")


@router.get("/metrics", tags=["health"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(held: Held) -> Response:
    """Prometheus' text format."""
    held.metrics.refresh(held.workspace, held.engine, release_refused=held.releases.refused is not None)
    return Response(held.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> HTMLResponse:
    """The API, to read and to try."""
    return render(request, "docs.html")
