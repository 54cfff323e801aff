"""`--json`, the same on every command that reports: what it found as JSON on standard output, and nothing else there.

Steps and messages go to standard error, so that `triage COMMAND --json | jq` works. Names in it are those of the
dataclasses that the parts return.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Annotated, Any

import typer

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output; messages on standard error.")
]


def print_json(found: Any) -> None:
    """Print dataclasses, mappings, sequences, days and paths as one JSON document."""
    typer.echo(json.dumps(plain(found), indent=1, ensure_ascii=False, allow_nan=False))


def plain(found: Any) -> Any:
    """What `json` can write: a dataclass by its fields, a day or time in ISO 8601, a path as text, NaN as null."""
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        return {field.name: plain(getattr(found, field.name)) for field in dataclasses.fields(found)}
    if isinstance(found, Mapping):
        return {str(name): plain(value) for name, value in found.items()}
    if isinstance(found, (list, tuple, Set)):
        return [plain(value) for value in found]
    return _scalar(found)


def _scalar(found: Any) -> Any:
    if isinstance(found, (dt.date, dt.time)):
        return found.isoformat()
    if isinstance(found, Path):
        return str(found)
    if hasattr(found, "tolist"):  # a number or an array of numpy's
        return plain(found.tolist())
    return None if isinstance(found, float) and not math.isfinite(found) else found
