"""Every address of the HTTP API with what it takes and answers, as docs/reference/http.md shows them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tickets.database import open_database
from tickets.workspace import Workspace
from triage.reference.markdown import code, joined, table

_INTRODUCTION = """# HTTP

Every address of the API, from the service's own OpenAPI description (`/openapi.json`; `/docs` shows it and tries
requests). How to use them is in [the HTTP API](../http-api.md), who may in [security](../security.md#roles). Pages
(`/console`, `/labels`, `/themes`, `/dashboard`) are for people and not described here. Errors are problem+json, the
schema [Problem](#problem)."""
_METHODS = ("get", "post", "put", "patch", "delete")


def as_markdown() -> str:
    """The page: addresses by what they are for, then the schemas they speak of."""
    described = description()
    parts = [_INTRODUCTION]
    for tag in described["tags"]:
        parts += [f"## {tag['name'].capitalize()}", tag["description"]]
        for path, method, operation in _operations(described):
            if tag["name"] in operation["tags"]:
                parts += _operation(path, method, operation)
    parts.append("## Schemas")
    for name, schema in sorted(described["components"]["schemas"].items()):
        parts += [f"### {name}", *_schema(schema)]
    return joined(parts)


def description() -> dict[str, Any]:
    """The OpenAPI description of a service that nobody has configured."""
    from service.app import create_app

    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "workspace")
        engine = open_database(workspace.default_database_url)
        described = create_app(workspace, engine).openapi()
        engine.dispose()
    return described


def _operations(described: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                yield path, method.upper(), operation


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {method} {path}"
    yield operation.get("description", "")
    yield _asked_for(operation)
    parameters = operation.get("parameters", [])
    yield table(("parameter", "in", "type", ""), (_parameter(one) for one in parameters))
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        yield "Takes " + _contents(body) + "."
    yield table(
        ("status", "answer", ""), (_answer(status, one) for status, one in sorted(operation["responses"].items()))
    )


def _asked_for(operation: Mapping[str, Any]) -> str:
    role = operation.get("x-triage-role")
    return f"For the role {role}." if role else "Asks for no key."


def _parameter(one: Mapping[str, Any]) -> tuple[str, str, str, str]:
    said = "; ".join(part for part in ("required" if one.get("required") else "", one.get("description", "")) if part)
    return code(one["name"]), one["in"], _type(one.get("schema", {})), said


def _answer(status: str, one: Mapping[str, Any]) -> tuple[str, str, str]:
    return status, _contents(one.get("content", {})), one.get("description", "")


def _contents(content: Mapping[str, Any]) -> str:
    """Schemas with their media types; JSON goes without saying."""
    shown = []
    for media, one in content.items():
        kind = _type(one.get("schema", {}))
        plain = media in ("application/json", "application/problem+json")
        shown.append(kind if plain else f"{code(media)} {kind}".strip())
    return ", ".join(shown)


def _schema(schema: Mapping[str, Any]) -> Iterator[str]:
    yield schema.get("description", "")
    required = schema.get("required", ())
    rows = (_field(name, one, name in required) for name, one in schema.get("properties", {}).items())
    yield table(("field", "type", "required", ""), rows)


def _field(name: str, one: Mapping[str, Any], required: bool) -> tuple[str, str, str, str]:
    said = one.get("description", "")
    default = one.get("default")
    if default not in (None, [], {}, ""):
        said = f"{said} Default {code(json.dumps(default))}.".strip()
    return code(name), _type(one), "yes" if required else "", said


def _type(schema: Mapping[str, Any]) -> str:
    """In few words: string, number, list of X, one of the values, another schema by name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return code(str(schema["const"]))
    if "enum" in schema:
        return ", ".join(code(str(value)) for value in schema["enum"])
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return _either(schema[choice])
    kind = schema.get("type", "")
    if kind == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    return f"{_either(kind) if isinstance(kind, list) else kind}{_limits(schema)}"


def _either(choices: Iterable[Any]) -> str:
    shown = [choice if isinstance(choice, str) else _type(choice) for choice in choices]
    return " or ".join(dict.fromkeys(kind for kind in shown if kind))


def _limits(schema: Mapping[str, Any]) -> str:
    told = [
        *(f"at least {schema[name]}" for name in ("minimum", "minLength") if name in schema),
        *(f"at most {schema[name]}" for name in ("maximum", "maxLength") if name in schema),
    ]
    return f" ({', '.join(told)})" if told else ""
