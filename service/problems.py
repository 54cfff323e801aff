"""Errors as people and programs read them: RFC 9457 problem+json for the API, a page for a browser.

No answer carries the input it refuses: ticket text stays out of errors and logs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from service.logs import where
from service.pages import render, wants_page
from tickets.errors import InputError, TriageError

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "RFC 9457: what went wrong, and in `hint` what to do about it.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "examples": ["about:blank"]},
        "title": {"type": "string", "description": "The phrase of the status code."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was found and what was expected."},
        "code": {"type": "string", "description": "A short fixed word for programs, such as `no-release`."},
        "hint": {"type": "string", "description": "What to do."},
        "error": {
            "type": "string",
            "description": "Under /v2 alone: `detail`, as the Open Inference Protocol names it.",
        },
        "instance": {"type": "string", "description": "The path that was asked for."},
        "request_id": {
            "type": "string",
            "description": "The same as the header X-Request-ID; look for it in the logs.",
        },
        "errors": {
            "type": "array",
            "description": "One entry for each field that was refused.",
            "items": {
                "type": "object",
                "properties": {
                    "in": {"type": "string", "description": "body, query, path or header"},
                    "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901) of the field"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One refused field: `where` is body, query, path or header; `pointer` a JSON Pointer (RFC 6901)."""

    where: str
    pointer: str
    detail: str


class Problem(HTTPException):
    """An answer that is an error. `retry_after` is in seconds. (An HTTPException passes through FastAPI untouched.)"""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        hint: str = "",
        errors: Sequence[FieldError] = (),
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        waiting = {} if retry_after is None else {"Retry-After": str(math.ceil(retry_after))}
        super().__init__(status, detail, {**(headers or {}), **waiting})
        self.code = code
        self.hint = hint
        self.retry_after = retry_after
        self.errors = tuple(errors)


_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}}
_WHEN = {
    400: "The request could not be read.",
    404: "There is nothing under this name.",
    413: "The request is larger than the service reads.",
    415: "The body is of another media type.",
    422: "A field is wrong, a ticket holds no words, or an Idempotency-Key was used for something else.",
    429: "More is asked than can be answered now: wait as Retry-After says.",
    503: "No release is loaded, the database is away, or the queue is full: wait as Retry-After says.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that may answer these error codes."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    told: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        told[status] = {"description": _WHEN.get(status, HTTPStatus(status).phrase), "content": content}
        if status in {429, 503}:
            told[status]["headers"] = _RETRY_AFTER
    return told


def register(app: FastAPI) -> None:
    """Make every error of the app a problem: ours, FastAPI's, the database's."""

    def answer(request: Request, error: Exception) -> Response:
        problem = as_problem(error, retry_after=request.app.state.options.retry_after_seconds)
        return respond(request, problem)

    for kind in (Problem, HTTPException, RequestValidationError, TriageError, sa.exc.SQLAlchemyError):
        app.add_exception_handler(kind, answer)


def respond(request: Request, problem: Problem) -> Response:
    """The problem as JSON, or as a page where a browser asked for one."""
    request_id = request.scope.get("request_id", "")
    if wants_page(request.headers) and not request.url.path.startswith(("/v1/", "/v2")):
        page = render(request, "problem.html", status_code=problem.status_code, problem=problem, request_id=request_id)
        page.headers.update(problem.headers or {})
        return page
    content = problem_json(problem, instance=request.url.path, request_id=request_id)
    if request.url.path.startswith("/v2"):  # where the Open Inference Protocol wants its own member
        content["error"] = problem.detail
    return JSONResponse(content, status_code=problem.status_code, headers=problem.headers, media_type=MEDIA_TYPE)


def problem_json(problem: Problem, *, instance: str = "", request_id: str = "") -> dict[str, Any]:
    """The problem as SCHEMA describes it, without the members that say nothing."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status_code).phrase,
        "status": problem.status_code,
        "detail": problem.detail,
        "code": problem.code,
        "hint": problem.hint,
        "instance": instance,
        "request_id": request_id,
        "errors": [{"in": e.where, "pointer": e.pointer, "detail": e.detail} for e in problem.errors],
    }
    return {name: value for name, value in content.items() if value not in ("", [])}


def unexpected() -> Problem:
    """What a client is told of a fault of ours."""
    return Problem(
        500, "unexpected", "the service failed on this request.", hint="Look for the request id in the service's log."
    )


def as_problem(error: Exception, *, retry_after: float) -> Problem:
    """What a client is told of an error, whoever raised it."""
    match error:
        case Problem():
            return error
        case HTTPException():
            phrase = HTTPStatus(error.status_code).phrase
            detail = error.detail if error.detail != phrase else f"{phrase.lower()}."
            code = phrase.lower().replace(" ", "-")
            return Problem(error.status_code, code, detail, hint=_hint(error.status_code), headers=error.headers)
        case RequestValidationError():
            return invalid(error.errors())
        case TriageError():
            return _on_purpose(error, retry_after=retry_after)
        case sa.exc.OperationalError() | sa.exc.InterfaceError() | sa.exc.TimeoutError():
            log.error("database unavailable", kind=type(error).__qualname__)
            return database_away(retry_after=retry_after)
        case _:
            # The message may carry ticket text (a database error repeats its parameters): kind and place alone.
            log.error("unexpected error", kind=type(error).__qualname__, at=where(error))
            return unexpected()


def _on_purpose(error: TriageError, *, retry_after: float) -> Problem:
    """An error of a lower room: the client's to mend when the input is at fault, the operator's otherwise."""
    if isinstance(error, InputError):
        return Problem(422, "invalid", error.message, hint=error.hint)
    return Problem(503, "not-ready", error.message, hint=error.hint, retry_after=retry_after)


def invalid(entries: Sequence[Mapping[str, Any]], *, where: str = "") -> Problem:
    """422 for what pydantic refused. `where` stands before each place that does not say itself what it is part of."""
    errors = [_field_error(entry, where) for entry in entries]
    first = errors[0] if errors else FieldError(where="body", pointer="", detail="invalid")
    place = f"{first.where} {first.pointer}".strip()
    return Problem(
        422,
        "invalid",
        f"{place}: {first.detail}"
        if len(errors) == 1
        else f"{len(errors)} fields are wrong; the first is {place}: {first.detail}",
        hint="The page /docs shows the fields that are expected.",
        errors=errors[:20],
    )


def _field_error(entry: Mapping[str, Any], told: str) -> FieldError:
    where, *steps = (told, *entry["loc"]) if told else entry["loc"] or ("body",)
    # RFC 6901 escapes; names come from the request and may hold anything, half a surrogate pair included.
    escaped = [str(step)[:100].replace("~", "~0").replace("/", "~1") for step in steps]
    pointer = "".join(f"/{step}" for step in escaped).encode("utf-8", "replace").decode("utf-8")
    detail = {"missing": "is required and was not given", "extra_forbidden": "is no known field"}.get(
        entry["type"], str(entry["msg"])
    )
    if entry["type"] == "json_invalid":  # its place is an offset, which is no pointer
        return FieldError(where="body", pointer="", detail=f"is no valid JSON: {entry['ctx']['error']}")
    if entry["type"] in {"model_attributes_type", "model_type"}:
        detail = "must be a JSON object"
    return FieldError(where=str(where), pointer=pointer, detail=detail.encode("utf-8", "replace").decode("utf-8"))


def database_away(*, retry_after: float) -> Problem:
    return Problem(
        503,
        "database-unavailable",
        "the database does not answer, so nothing was kept of this request.",
        hint="Send it again, with the same Idempotency-Key if it had one.",
        retry_after=retry_after,
    )


def _hint(status: int) -> str:
    """For an error that FastAPI raises of itself."""
    told = {404: "The page /docs lists the addresses there are.", 405: "The page /docs lists the methods."}
    return told.get(status, "The page /docs shows what is expected.")
