"""Every setting with its default and what it does, as docs/reference/settings.md shows them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from triage.reference.markdown import code, joined, table
from triage.settings import Settings

Row = tuple[str, str, str]  # variable, default, what it does

_INTRODUCTION = """# Settings

All come from the environment; `triage/settings.py` is the only place that reads it. Options of a command win over
them. Lists and mappings are written as JSON. The exporter of traces reads the other `OTEL_*` variables itself,
MLflow and Hugging Face theirs."""


def every_setting() -> list[Row]:
    """In the order of triage/settings.py. It is for tests: each is explained, and what docs/ and deploy/ name is one of
    them."""
    return [row for _, _, rows in _groups() for row in rows]


def as_markdown() -> str:
    """The page: a table a group, a setting a line."""
    parts = [_INTRODUCTION]
    for title, told, rows in _groups():
        shown = ((code(name), code(default), said) for name, default, said in rows)
        parts += [f"## {title}", told, table(("variable", "default", "what it does"), shown)]
    return joined(parts)


def _groups() -> Iterator[tuple[str, str, list[Row]]]:
    """(title, what it is about, settings); those that stand alone come first."""
    alone, nested = [], []
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            prefix = f"TRIAGE_{name.upper()}__"
            nested.append((code(f"{prefix}*"), _told(field.annotation), list(_rows(field.annotation, prefix))))
        else:
            alone.append(_row("TRIAGE_", name, field))
    yield "The machine and the workspace", "", alone
    yield from nested


def _told(group: type[BaseModel]) -> str:
    """What the docstring says behind the colon, pages of docs/ as links."""
    said = re.search(r"__\*: (.+?)\.(?:\s|$)", group.__doc__ or "", re.DOTALL)
    if said is None:
        return ""
    linked = re.sub(r"docs/([\w-]+)\.md", r"[\1](../\1.md)", " ".join(said[1].split()))
    return linked[:1].upper() + linked[1:] + "."


def _rows(model: type[BaseModel], prefix: str) -> Iterator[Row]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _rows(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield _row(prefix, name, field)


def _row(prefix: str, name: str, field: FieldInfo) -> Row:
    return _variable(prefix, name, field), _default(field), field.description or ""


def _variable(prefix: str, name: str, field: FieldInfo) -> str:
    if isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[0])
    return prefix + name.upper()


def _default(field: FieldInfo) -> str:
    """As one would write it into the environment."""
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value in (None, PydanticUndefined, {}, ()):
        return ""
    return json.dumps(value) if isinstance(value, (bool, dict, list, tuple)) else str(value)
