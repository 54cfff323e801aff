"""POST /v1/suggestions/stream: any number of tickets, a line each, answered a line each while more come in.

The answer begins before the request has ended, so whoever sends should also read. Clients that send everything first
are borne with as long as what they sent fits into memory (`stream_ahead_bytes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Annotated, Any

import anyio
import orjson
import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.types import Message, Receive, Scope, Send

from service.answering import Wanted, answer
from service.examples import STREAM_ANSWER, STREAM_REQUEST
from service.ndjson import Line, LineCutter, WaitingLines
from service.problems import FieldError, Problem, as_problem, documented, problem_json
from service.schemas import SuggestionRequest, TicketFields
from service.serving import Serving, held_by
from service.suggestions import wanted_of
from service.wire import NDJSON, parse_json, require_media_type
from tickets.records import Suggestion

router = APIRouter(prefix="/v1", tags=["suggestions"])
log = structlog.get_logger()

_BUSY_STATUSES = {429, 503}
_LONGEST_PAUSE_SECONDS = 2.0
_PATIENCE_SECONDS = 10.0  # how long tickets of a stream wait for a queue that is full or a database that is away

_REQUEST = {
    "required": True,
    "content": {
        NDJSON: {
            "schema": {
                "type": "string",
                "description": "A line a ticket, as `ticket` of /v1/suggestions, or a whole request as it takes one.",
            },
            "example": STREAM_REQUEST,
        }
    },
}
_ANSWER = {
    "description": "A line a ticket, in their order: each as the schema StreamAnswer has it, without what is null.",
    "content": {NDJSON: {"schema": {"type": "string"}, "example": STREAM_ANSWER}},
}


@router.post(
    "/suggestions/stream",
    response_class=Response,
    responses={200: _ANSWER, **documented(400, 415, 422, 429, 503)},
    openapi_extra={"requestBody": _REQUEST},
)
async def suggest_stream(
    request: Request,
    top_types: Annotated[int, Query(ge=1, le=20, description="Contact types a ticket, where its line says none.")] = 3,
    top_templates: Annotated[int, Query(ge=0, le=20, description="Templates a ticket, likewise.")] = 3,
) -> Response:
    """Suggest for any number of tickets, sent and answered as JSON lines. A line that cannot be read gets a problem;
    the others are answered all the same. Read while you send."""
    held = held_by(request)
    require_media_type(request, NDJSON)
    held.releases.require(retry_after=held.options.retry_after_seconds)
    return _Stream(held, top_types, top_templates)


class _Stream(Response):
    """One stream: a task reads lines, another answers them. A client that leaves ends both."""

    media_type = NDJSON

    def __init__(self, held: Serving, top_types: int, top_templates: int) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._held = held
        self._top = top_types, top_templates
        self._waiting = WaitingLines(held.options.stream_ahead_bytes)
        self._cutter = LineCutter(held.options.max_body_bytes)
        self._ended_by: Problem | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # ASGI's signature
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, receive, tasks.cancel_scope)
            await self._answer(send, tasks.cancel_scope)
            tasks.cancel_scope.cancel()

    async def _read(self, receive: Receive, work: anyio.CancelScope) -> None:
        """Read lines until the request ends, or a limit is passed; then wait for the client to leave."""
        try:
            await self._read_lines(receive)
        except Problem as problem:
            self._ended_by = problem
        self._waiting.end()
        while (await receive())["type"] != "http.disconnect":
            pass  # what comes after a limit is not looked at
        work.cancel()

    async def _read_lines(self, receive: Receive) -> None:
        options, lines, seen = self._held.options, 0, 0
        while (message := await self._next(receive))["type"] != "http.disconnect":
            piece = message.get("body", b"")
            seen += len(piece)
            if seen > options.stream_max_bytes:
                raise _too_much(f"{options.stream_max_bytes:,} bytes")
            last = not message.get("more_body", False)
            for line in chain(self._cutter.feed(piece), self._cutter.end() if last else ()):
                lines += 1
                if lines > options.stream_max_lines:
                    raise _too_much(f"{options.stream_max_lines:,} lines")
                await self._waiting.put(line)
            if last:
                return

    async def _next(self, receive: Receive) -> Message:
        seconds = self._held.options.stream_stall_seconds
        try:
            with anyio.fail_after(seconds):
                return await receive()
        except TimeoutError:
            detail = f"no line came for {seconds:g} seconds."
            raise Problem(408, "stream-stalled", detail, hint="End the stream when there is no more to send.") from None

    async def _answer(self, send: Send, work: anyio.CancelScope) -> None:
        """Answer lines, as many at once as there are, until the last; the answer begins with the first."""
        begun = False
        while lines := await self._waiting.take(self._held.options.max_batch):
            written = self._written(lines, await self._answers(lines))
            if not begun:
                begun = True
                await self._begin(send)
            if not await self._sent(send, written):
                work.cancel()
                return
        if not begun:
            await self._begin(send)
        last = b"" if self._ended_by is None else _dumped({"problem": problem_json(self._ended_by)})
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

    async def _sent(self, send: Send, body: bytes) -> bool:
        """False: the client has read nothing for too long, so the answer ends short and the connection is closed."""
        with anyio.move_on_after(self._held.options.stream_stall_seconds):
            await send({"type": "http.response.body", "body": body, "more_body": True})
            return True
        log.warning("a stream was ended: its client does not read the answer")
        return False

    async def _answers(self, lines: Iterable[Line]) -> dict[int, Suggestion | Problem]:
        """Line number -> what it is answered with."""
        found: dict[int, Suggestion | Problem] = {}
        wanted: dict[int, Wanted] = {}
        for line in lines:
            try:
                wanted[line.number] = self._wanted(line)
            except Problem as problem:
                found[line.number] = problem
        return found | await self._suggested(wanted)

    def _wanted(self, line: Line) -> Wanted:
        if line.text is None:
            raise _too_much(f"{self._held.options.max_body_bytes:,} bytes in a line")
        asked = _parsed(line.text)
        pointer = f"/{line.number}"
        if isinstance(asked, TicketFields):
            return wanted_of(self._held, asked, *self._top, pointer=pointer)
        return wanted_of(self._held, asked.ticket, asked.top_types, asked.top_templates, pointer=pointer)

    async def _suggested(self, wanted: dict[int, Wanted]) -> dict[int, Suggestion | Problem]:
        """Answer these together. Tickets that are refused leave the others; where all is busy, they wait a while."""
        found: dict[int, Suggestion | Problem] = {}
        give_up_at = anyio.current_time() + _PATIENCE_SECONDS
        while wanted:
            try:
                made = await answer(self._held, list(wanted.values()))
                return found | dict(zip(wanted, made, strict=True))
            except Exception as error:  # whatever it is, the lines before were answered and those after can be
                problem = as_problem(error, retry_after=self._held.options.retry_after_seconds)
            if problem.status_code in _BUSY_STATUSES and anyio.current_time() < give_up_at:
                await anyio.sleep(min(problem.retry_after or 1.0, _LONGEST_PAUSE_SECONDS))
                continue
            refused = _refused(problem, wanted)
            found |= refused or dict.fromkeys(wanted, problem)
            wanted = {number: one for number, one in wanted.items() if number not in found}
        return found

    def _written(self, lines: Iterable[Line], found: Mapping[int, Suggestion | Problem]) -> bytes:
        return b"".join(
            _dumped({"line": line.number, "problem": problem_json(answered)})
            if isinstance(answered := found[line.number], Problem)
            else _dumped({"line": line.number, "suggestion": answered})
            for line in lines
        )


def _parsed(text: bytes) -> SuggestionRequest | TicketFields:
    """A whole request where the line has `ticket`, a ticket otherwise. Raises Problem (422)."""
    try:
        read = orjson.loads(text)
    except orjson.JSONDecodeError:
        read = None  # told by parse_json, in the words of every other address
    whole = isinstance(read, dict) and "ticket" in read
    return parse_json(text, SuggestionRequest) if whole else parse_json(text, TicketFields)


def _refused(problem: Problem, wanted: Mapping[int, Wanted]) -> dict[int, Suggestion | Problem]:
    """Line number -> its own problem, of a problem that names some of the tickets."""
    named = {error.pointer.removeprefix("/"): error for error in problem.errors}
    return {number: _of_line(problem, named[str(number)]) for number in wanted if str(number) in named}


def _of_line(problem: Problem, error: FieldError) -> Problem:
    return Problem(problem.status_code, problem.code, error.detail, hint=problem.hint)


def _too_much(what: str) -> Problem:
    return Problem(413, "too-large", f"there is more than {what}.", hint="Send several streams, or shorter texts.")


def _dumped(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
