"""Knobs in a file, TOML or JSON, a knob of TrainConfig a line: what `triage train --knobs` reads and a study writes."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from models.config import TrainConfig
from tickets.errors import InputError
from tickets.workspace import write_text

_OF_THE_RUN = ("device", "max_train_tickets")


def read_knobs(path: Path) -> dict[str, Any]:
    """Raises InputError: no such file, neither TOML nor JSON, a knob that does not exist, a value of the wrong type."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the knobs {path} cannot be read: {error}.", hint="Name a TOML or JSON file.") from error
    try:
        found = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise InputError(
            f"the knobs {path} are no {kind}: {error}.", hint="A knob is a line such as `epochs = 6`."
        ) from error
    if not isinstance(found, dict):
        raise InputError(f"the knobs {path} hold a {type(found).__name__}.", hint='Expected `{"epochs": 6, ...}`.')
    hints = get_type_hints(TrainConfig)
    return {name: _checked(path, name, value, hints) for name, value in found.items()}


def write_knobs(path: Path, config: TrainConfig, base: TrainConfig) -> dict[str, Any]:
    """Write what makes `config` of `base`, as JSON, since TOML has no null; returns it. Where a run takes place and how
    many tickets it sees is left to whoever trains."""
    knobs = {
        name: value
        for name, value in dataclasses.asdict(config).items()
        if name not in _OF_THE_RUN and value != getattr(base, name)
    }
    write_text(path, json.dumps(knobs, indent=1) + "\n")
    return knobs


def knob_names() -> list[str]:
    return [field.name for field in dataclasses.fields(TrainConfig)]


def _checked(path: Path, name: str, value: Any, hints: Mapping[str, Any]) -> Any:
    if name not in hints:
        alike = difflib.get_close_matches(name, knob_names(), n=1, cutoff=0.5)
        hint = f"Did you mean {alike[0]}?" if alike else f"Knobs: {', '.join(knob_names())}."
        raise InputError(f"{path}: there is no knob {name!r}.", hint=hint)
    if not _fits(value, hints[name]):
        raise InputError(
            f"{path}: {name} is {value!r}, a {type(value).__name__}; expected {_told(hints[name])}.",
            hint=f"Correct the line `{name} = ...`.",
        )
    return float(value) if hints[name] is float else value


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (types.UnionType, Union):
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, int | float if hint is float else hint)


def _told(hint: Any) -> str:
    """A type as people say it."""
    if get_origin(hint) in (types.UnionType, Union):
        return " or ".join(_told(one) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return " or ".join(repr(one) for one in get_args(hint))
    return {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}.get(
        hint, str(hint)
    )
