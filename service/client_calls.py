"""What the Python client sends, how it reads the answers, and when it tries again: shared by its two forms.

Needs nothing of the server: no FastAPI, no model, no database.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from json import JSONDecodeError, dumps, loads
from random import Random
from typing import Any, TypeVar

import httpx

from service.retry_after import seconds_to_wait
from tickets.contact_types import ContactType
from tickets.records import Feedback, FeedbackAction, ReplyTemplate, Suggestion, Ticket, suggestion_from_json, to_json

IN_A_BATCH = 64
IN_A_STREAM = 256  # tickets of one request: their answers fit into what lies between server and client
TicketLike = Ticket | Mapping[str, Any]
Row = TypeVar("Row")
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_MOST_DOUBLINGS = 40  # any pause is at its longest by then, and powers of two without end are no numbers


class TriageProblem(Exception):  # noqa: N818  # it is what the service calls it
    """The service answered with an error. `code` is a fixed word for programs, `hint` says what to do, `retry_after` is
    in seconds, and `errors` has an entry for each field that was refused."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        hint: str = "",
        retry_after: float | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        request_id: str = "",
    ) -> None:
        super().__init__(f"{status} {code}: {detail}" + (f" {hint}" if hint else ""))
        self.status = status
        self.code = code
        self.detail = detail
        self.hint = hint
        self.retry_after = retry_after
        self.errors = tuple(errors)
        self.request_id = request_id


class TriageUnreachable(Exception):  # noqa: N818  # as above
    """No answer came: the service is away, or slower than the time limit. The exception of httpx is its cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """When to try again: on 429, 502, 503 and 504 and on faults of the connection, until `deadline_seconds` are over.

    Each pause is drawn evenly between zero and a bound that doubles up to `longest_pause_seconds` (full jitter), and is
    at least what Retry-After says.
    """

    deadline_seconds: float = 30.0
    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 5.0
    rng: Random = field(default_factory=Random)


class Settings:
    """What both clients are made with."""

    def __init__(self, base_url: str, *, key: str | None, timeout: float, retries: Retries | None) -> None:
        self.retries = retries or Retries()
        self.base_url = base_url
        self.timeout = timeout
        self.headers = {"Accept": "application/json, application/x-ndjson, application/problem+json"}
        if key is not None:
            self.headers["Authorization"] = f"Bearer {key}"


class Busy(Exception):  # noqa: N818  # a state, not a fault
    """Try again after `pause` seconds."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self.pause = pause


class Attempts:
    """The tries of one call. Time is read from the monotonic clock, whatever clock the service shows."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._ends = time.monotonic() + retries.deadline_seconds
        self._tried = 0

    def pause(self, told: float | None) -> float | None:
        """Seconds to wait before the next try; None when it would come after the deadline."""
        most = min(self._retries.first_pause_seconds * 2.0**self._tried, self._retries.longest_pause_seconds)
        self._tried = min(self._tried + 1, _MOST_DOUBLINGS)
        seconds = max(self._retries.rng.uniform(0, most), told or 0.0)
        return seconds if time.monotonic() + seconds < self._ends else None

    def left(self) -> float:
        return max(self._ends - time.monotonic(), 0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request that may be sent more than once: reading, or under a key, or a suggestion that nobody was shown."""

    method: str
    path: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str | int] = field(default_factory=dict)


def post(path: str, body: Any, *, key: str | None = None) -> Call:
    headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key is not None else {})
    return Call(method="POST", path=path, content=dumps(body).encode(), headers=headers)


def post_lines(tickets: Iterable[TicketLike], top_types: int, top_templates: int) -> Call:
    """A stream's request, of tickets that are at hand."""
    return Call(
        method="POST",
        path="/v1/suggestions/stream",
        content=b"".join(dumps(as_json(ticket)).encode() + b"\n" for ticket in tickets),
        headers={"Content-Type": "application/x-ndjson"},
        params={"top_types": top_types, "top_templates": top_templates},
    )


def as_json(ticket: TicketLike) -> dict[str, Any]:
    return to_json(ticket) if isinstance(ticket, Ticket) else dict(ticket)


def feedback_json(
    suggestion_id: str,
    action: FeedbackAction,
    *,
    contact_type: str | None,
    template_id: str | None,
    edit_distance: float | None,
    handle_seconds: float | None,
    agent: str | None,
) -> dict[str, Any]:
    given = {
        "suggestion_id": suggestion_id,
        "action": action,
        "contact_type": contact_type,
        "template_id": template_id,
        "edit_distance": edit_distance,
        "handle_seconds": handle_seconds,
        "agent": agent,
    }
    return {name: value for name, value in given.items() if value is not None}


def feedback_from_json(data: Mapping[str, Any]) -> Feedback:
    return Feedback(**{**data, "at": datetime.fromisoformat(data["at"])})


def problem_of(answer: httpx.Response) -> TriageProblem:
    """The error that an answer is. What is no problem+json (a proxy's page) is told by its status alone."""
    try:
        told = answer.json()
    except (JSONDecodeError, UnicodeDecodeError):
        told = {}
    waiting = retry_after(answer)
    return problem_from_json(told if isinstance(told, dict) else {}, status=answer.status_code, retry_after=waiting)


def problem_from_json(
    told: Mapping[str, Any], *, status: int | None = None, retry_after: float | None = None
) -> TriageProblem:
    return TriageProblem(
        int(status if status is not None else told.get("status", 500)),
        str(told.get("code", "unknown")),
        str(told.get("detail", "the answer does not say why.")),
        hint=str(told.get("hint", "")),
        retry_after=retry_after,
        errors=told.get("errors", ()),
        request_id=str(told.get("request_id", "")),
    )


def retry_after(answer: httpx.Response) -> float | None:
    """Seconds to wait, as the answer says; None where it does not."""
    return seconds_to_wait(answer.headers.get("Retry-After"))


def in_parts(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    """The rows, so many at a time, taken from the iterator no sooner than they are wanted."""
    left = iter(rows)
    while part := list(islice(left, size)):
        yield part


def new_key() -> str:
    return uuid.uuid4().hex


def request_of(http: httpx.Client | httpx.AsyncClient, call: Call, attempts: Attempts, timeout: float) -> httpx.Request:
    """The request of one try, which may take what is left of the call's time at most."""
    return http.build_request(
        call.method,
        call.path,
        content=call.content,
        headers=dict(call.headers),
        params=dict(call.params),
        timeout=min(timeout, attempts.left()),
    )


def pause_after(answer: httpx.Response, attempts: Attempts) -> float | None:
    """Seconds to wait before the next try; None where trying again does not help, or no time is left."""
    return attempts.pause(retry_after(answer)) if answer.status_code in RETRIED_STATUSES else None


class AnswerLines:
    """Cuts an answer into lines at line feeds alone; a text may hold other signs that end a line."""

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, piece: bytes) -> list[bytes]:
        *ended, self._begun = (self._begun + piece).split(b"\n")
        return ended


def line_from_json(text: bytes, attempts: Attempts) -> Suggestion | TriageProblem:
    """A line of a stream's answer. Raises TriageProblem for one that ends the stream, Busy for one to ask again."""
    told = loads(text)
    if "suggestion" in told:
        return suggestion_from_json(told["suggestion"])
    problem = problem_from_json(told["problem"])
    if "line" not in told:
        raise problem
    if problem.status in RETRIED_STATUSES and (pause := attempts.pause(None)) is not None:
        raise Busy(pause)
    return problem


def contact_types_from_json(content: Mapping[str, Any]) -> list[ContactType]:
    return [ContactType(**_without_path(row)) for row in content["contact_types"]]


def _without_path(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "path"}


def templates_from_json(content: Mapping[str, Any]) -> list[ReplyTemplate]:
    return [ReplyTemplate(**{**row, "contact_types": tuple(row["contact_types"])}) for row in content["templates"]]


def away(base_url: str) -> TriageUnreachable:
    return TriageUnreachable(f"{base_url} gave no answer in time.")
