"""What openapi.json says of access: how to authenticate, and what each guarded route may answer besides."""

from __future__ import annotations

from typing import Any

from service.access.options import AccessOptions
from service.access.roles import needed_for
from service.problems import documented

_SCHEMES = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`triage keys create NAME --role agent`), or a token of the identity provider.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "triage_session",
        "description": "The session of a browser that signed in at /login.",
    },
}
_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_RATES = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def describe_access(described: dict[str, Any], options: AccessOptions) -> None:
    """Add security schemes, and the answers of the guard to every route that it guards."""
    described.setdefault("components", {})["securitySchemes"] = _SCHEMES
    described["security"] = [{"key": []}, {"session": []}]
    for path, item in described["paths"].items():
        needed = needed_for(path, metrics=options.metrics)
        for method in _METHODS:
            if method not in item:
                continue
            statuses: tuple[int, ...] = (400, 408, 413, 503) if "requestBody" in item[method] else (503,)
            if "{" in path:  # what stands there may make the path a strange one
                statuses += (404,)
            if needed == "open":
                item[method]["security"] = []
            else:
                statuses += (401, 403, 429)
                item[method]["x-triage-role"] = needed
            answers = item[method].setdefault("responses", {})
            for status, answer in documented(*statuses).items():
                answers.setdefault(str(status), dict(answer))
            if needed != "open":
                _tell_rates(answers["429"])


def _tell_rates(answer: dict[str, Any]) -> None:
    whole = {"schema": {"type": "integer"}}
    answer["headers"] = dict.fromkeys((*_RATES, "Retry-After"), whole)
