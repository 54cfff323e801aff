"""JSON in and out of the API: bodies read from their bytes, answers written once, and what OpenAPI says of both.

FastAPI's own way (parse, then validate, then solve the parameters, then encode) costs 350 microseconds a request more
than this one, so the routes that are busy take the plain request and are described here instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import orjson
from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import models_json_schema
from starlette.requests import ClientDisconnect

from service.examples import KEY
from service.problems import SCHEMA, FieldError, Problem, documented, invalid

JSON, NDJSON = "application/json", "application/x-ndjson"
IDEMPOTENCY_KEY = "Idempotency-Key"
REPLAYED = {"Idempotent-Replayed": "true"}
_SCHEMAS = "#/components/schemas/"
_KEY = re.compile(r"[\x21-\x7e]{1,200}")

Body = TypeVar("Body", bound=BaseModel)


async def read_json(request: Request, model: type[Body]) -> Body:
    """The body as its model. Raises Problem: 415 for another media type, 422 for what the model refuses."""
    require_media_type(request, JSON)
    return parse_json(await read_body(request), model)


async def read_body(request: Request) -> bytes:
    """All of it. Raises Problem (400) when the client leaves before it is there."""
    try:
        return await request.body()
    except ClientDisconnect:  # nobody will read this answer, but the log line has its status
        raise Problem(
            400,
            "client-left",
            "the client left before its request was read.",
            hint="Send it whole, and wait for the answer.",
        ) from None


def parse_json(body: bytes, model: type[Body]) -> Body:
    """Raises Problem (422) that names the fields; it holds nothing of what was written."""
    try:
        return model.model_validate_json(body)
    except ValidationError as refused:
        raise invalid(refused.errors(include_url=False, include_input=False), where="body") from None


def require_media_type(request: Request, wanted: str) -> None:
    """Raises Problem (415) unless the body is said to be of the wanted type. `application/x+json` is JSON too."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given == wanted or (wanted == JSON and given.startswith("application/") and given.endswith("+json")):
        return
    raise Problem(
        415,
        "unsupported-media-type",
        f"this address reads {wanted}; the request {'names another type' if given else 'names no Content-Type'}.",
        hint=f"Send the header Content-Type: {wanted}.",
    )


def idempotency_key(request: Request) -> str | None:
    """The request's key, if it has one. Raises Problem (422) for a key that is none."""
    given = request.headers.get(IDEMPOTENCY_KEY)
    if given is not None and _KEY.fullmatch(given) is None:
        error = FieldError(
            where="header", pointer=f"/{IDEMPOTENCY_KEY}", detail="must be 1 to 200 visible ASCII characters"
        )
        raise Problem(
            422, "invalid", f"header {error.pointer}: {error.detail}.", hint="A UUID is a good key.", errors=[error]
        )
    return given


def json_answer(content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Records, dataclasses, lists and dicts as JSON. A record comes out as `tickets.records.to_json` has it."""
    return Response(orjson.dumps(content), status_code=status, headers=headers, media_type=JSON)


def reads(model: type[BaseModel], *, key: str = "") -> dict[str, Any]:
    """`openapi_extra` of a route that reads `model`; `key` says what an Idempotency-Key does there, if it is taken."""
    content = {JSON: {"schema": {"$ref": f"{_SCHEMAS}{model.__name__}"}}}
    described: dict[str, Any] = {"requestBody": {"required": True, "content": content}}
    return described | ({"parameters": [_key_parameter(key)]} if key else {})


def answers(example: Mapping[str, Any], *, replays: bool = False) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route whose 200 is such an example; with `replays`, with the header that says so."""
    written = orjson.dumps(example).decode()  # as text until `complete`, since FastAPI drops what is null
    described: dict[str, Any] = {"description": "Successful Response", "content": {JSON: {"example": written}}}
    return {200: described | ({"headers": _replayed_header()} if replays else {})}


def _replayed_header() -> dict[str, Any]:
    told = "`true`: an earlier request with the same Idempotency-Key was answered so; nothing new was kept."
    return {"Idempotent-Replayed": {"description": told, "schema": {"type": "string", "enum": ["true"]}}}


def complete(described: dict[str, Any], bodies: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """FastAPI's description with the schemas of bodies that are read by hand, examples as values again, and problems
    where FastAPI would answer errors of its own shape."""
    wanted = [(model, "validation") for model in bodies]
    _, found = models_json_schema(wanted, ref_template=_SCHEMAS + "{model}")  # type: ignore[arg-type]
    schemas = {**found["$defs"], **described["components"]["schemas"], "Problem": dict(SCHEMA)}
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for operations in described["paths"].values():
        for operation in operations.values():
            _complete_answers(operation["responses"])
    described["components"]["schemas"] = dict(sorted(schemas.items()))
    return described


def _complete_answers(responses: dict[str, Any]) -> None:
    for status, answer in responses.items():
        content = answer.get("content", {}).get(JSON, {})
        if isinstance(content.get("example"), str):
            content["example"] = orjson.loads(content["example"])
        if content.get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"):
            responses[status] = documented(int(status))[int(status)]


def _key_parameter(told: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[\x21-\x7e]+$"}
    return {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "required": False,
        "description": told,
        "schema": schema,
        "example": KEY,
    }
