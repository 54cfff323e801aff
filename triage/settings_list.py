"""Every setting with its default and what it does, as the table in docs/operations.md shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from triage.settings import Settings

Row = tuple[str, str, str]  # variable, default, what it does


def every_setting() -> list[Row]:
    """In the order of triage/settings.py."""
    return list(_rows(Settings, "TRIAGE_"))


def as_markdown() -> str:
    """The table, a setting a line."""
    lines = ["| variable | default | what it does |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {default} | {said} |" for name, default, said in every_setting())])


def _rows(model: type[BaseModel], prefix: str) -> Iterator[Row]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _rows(field.annotation, f"{prefix}{name.upper()}__")
        else:
            yield _variable(prefix, name, field), _default(field), (field.description or "").replace("|", "\\|")


def _variable(prefix: str, name: str, field: FieldInfo) -> str:
    if isinstance(field.validation_alias, AliasChoices):
        return str(field.validation_alias.choices[0])
    return prefix + name.upper()


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    return "" if value in (None, PydanticUndefined, {}) else f"`{value}`"
