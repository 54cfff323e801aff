"""One thing that `triage doctor` looked at, and how a look that breaks is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from tickets.errors import TriageError

log = structlog.get_logger()

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found; `mend` is the command, or the sentence where there is none, that puts it right. A warning does
    not keep anything from running."""

    name: str
    state: State = "ok"
    found: str
    mend: str = ""


def looked(name: str, look: Callable[[], Check]) -> Check:
    """What `look` finds. What it raises on purpose is wrong; whatever else it raises is told and never passed on."""
    try:
        return look()
    except TriageError as error:
        return Check(name=name, state="wrong", found=error.message, mend=error.hint)
    except Exception as error:
        said = str(error).strip().partition("\n")[0]
        found = f"this check broke: {type(error).__name__}{f': {said}' if said else ''}"
        log.warning("a check broke", check=name, exc_info=True)
        return Check(name=name, state="warning", found=found, mend="triage -v doctor  # shows where; report that")


def nearest(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there. One that cannot be looked into counts as there."""
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder
