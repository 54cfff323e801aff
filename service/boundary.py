"""The edge of the service: request ids, security headers, a log line a request, the size limit, no fault left uncaught.

The guard of service/access/ stands right inside, so what it refuses is logged and counted as well.

Plain ASGI, so that it costs microseconds. Log lines carry the route, never a query, a body or an exception's message:
each may hold what a customer wrote.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable

import orjson
import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import CALLER
from service.access.bodies import STREAM_PATH
from service.access.headers import add_security_headers
from service.batching import busy
from service.logs import where
from service.problems import MEDIA_TYPE, Problem, problem_json, respond, unexpected
from service.telemetry import Metrics
from service.traces import trace_id

log = structlog.get_logger()

_BUSY_PATH = "/v1/suggestions"
_SAFE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class Boundary:
    """Wraps the app: see the module. An exception that nobody handled becomes a 500 problem and a log line."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, max_body_bytes: int, full: Callable[[], bool]) -> None:
        self.app = app
        self.metrics = metrics
        self.max_body_bytes = max_body_bytes
        self.full = full  # whether the queue for the model would refuse a single ticket

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        scope["request_id"] = request_id = _request_id(Headers(scope=scope))
        if scope["path"] == _BUSY_PATH and self._turns_away(scope):
            await self._turn_away(scope, send, request_id)
            return
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                add_security_headers(scope, message, request_id)
                if scope["app"].state.draining:  # so that the client's next request goes to another process
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._pass_on(scope, receive, send_with_headers)
            except Exception as error:
                _log_fault(error)
                if status:
                    return  # The answer had begun; the server closes the connection on the short body.
                await respond(Request(scope), unexpected())(scope, receive, send_with_headers)
            finally:
                seconds = time.perf_counter() - started
                route = getattr(scope.get("route"), "path", "other")
                self.metrics.request(scope["method"], route, status, seconds)
                _log_request(scope, route, status, seconds)

    def _turns_away(self, scope: Scope) -> bool:
        """A new ticket, while the queue is full. What has an Idempotency-Key may have been answered already."""
        again = any(name == b"idempotency-key" for name, _ in scope["headers"])
        return scope["method"] == "POST" and not again and self.full()

    async def _turn_away(self, scope: Scope, send: Send, request_id: str) -> None:
        """Refuse a ticket before anything is read of it, its key included: whoever is overloaded has no time for
        refusals. It is counted and not logged."""
        self.metrics.refused("queue full")
        self.metrics.request(scope["method"], _BUSY_PATH, 503, 0.0)
        problem = busy(1.0)
        body = orjson.dumps(problem_json(problem, instance=_BUSY_PATH, request_id=request_id))
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", problem.headers["Retry-After"].encode() if problem.headers else b"1"),
        ]
        started: Message = {"type": "http.response.start", "status": 503, "headers": headers}
        add_security_headers(scope, started, request_id)
        if scope["app"].state.draining:
            headers.append((b"connection", b"close"))
        await send(started)
        await send({"type": "http.response.body", "body": body})

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request inward unless it is, or turns out to be, larger than the limit."""
        limit = self.max_body_bytes
        if scope["path"] == STREAM_PATH:
            await self.app(scope, receive, send)
            return
        if _content_length(scope) > limit:
            await respond(Request(scope), _too_large(limit))(scope, receive, send)
            return
        seen = 0

        async def receive_within_limit() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(limit)
            return message

        await self.app(scope, receive_within_limit, send)


def _too_large(limit: int) -> Problem:
    return Problem(
        413,
        "too-large",
        f"the request is larger than {limit:,} bytes.",
        hint="Send fewer tickets at once, or only the part of the text that the customer wrote.",
    )


def _content_length(scope: Scope) -> int:
    written = Headers(scope=scope).get("content-length", "")
    return int(written) if written.isascii() and written.isdigit() else 0


def _request_id(headers: Headers) -> str:
    """The client's id where it is short and plain, so that it cannot forge log lines; otherwise a new one."""
    given = headers.get("x-request-id", "")
    return given if _SAFE_ID.fullmatch(given) else uuid.uuid4().hex


def _log_request(scope: Scope, route: str, status: int, seconds: float) -> None:
    told = {"method": scope["method"], "route": route, "status": status, "milliseconds": round(1000 * seconds, 2)}
    caller = scope.get(CALLER)
    told["key"] = caller.id if caller else None
    if trace := trace_id(scope["headers"]):
        told["trace_id"] = trace
    log.info("request", **told)


def _log_fault(error: Exception) -> None:
    log.error("unexpected error", kind=type(error).__qualname__, at=where(error))
