"""A retraining under way, on disk, so that one that was killed goes on where it stopped: models/.retraining.json.

Training itself goes on from its checkpoint. What this file adds is which champion is challenged and which models there
were before, so that a challenger that was trained and not yet judged is found again, also when it is served already.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from models.config import TrainConfig
from models.release import Release, open_release, versions
from tickets.errors import ReleaseError
from tickets.workspace import Workspace, write_text

_FILE = ".retraining.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """What a retraining set out to do, and the models there were before it."""

    as_of: str
    champion: str
    started_from: str | None  # a version; None for the encoder
    config: Mapping[str, Any]
    before: tuple[str, ...]
    ended: bool = False
    asked_by: str = ""  # which night; nothing when a person did


def begin(
    workspace: Workspace,
    *,
    as_of: dt.date,
    champion: Release,
    initial: Release | None,
    config: TrainConfig,
    asked_by: str = "",
) -> Retraining:
    """Remember a retraining that begins now; what an earlier one left is forgotten."""
    begun = Retraining(
        as_of=as_of.isoformat(),
        champion=champion.version,
        started_from=initial.version if initial else None,
        config=asdict(config),
        before=tuple(versions(workspace)),
        asked_by=asked_by,
    )
    write_text(workspace.models / _FILE, json.dumps(asdict(begun), indent=1))
    return begun


def unfinished(workspace: Workspace, as_of: dt.date, *, asked_by: str = "") -> Retraining | None:
    """The retraining for this day that did not come to its end, or that `asked_by` brought to its end and does not know
    of; None without one, or when its champion is gone."""
    try:
        told = json.loads((workspace.models / _FILE).read_text(encoding="utf-8"))
        found = Retraining(**{**told, "before": tuple(told["before"])})
        open_release(workspace.releases / found.champion, verify=False)
    except (OSError, ValueError, TypeError, KeyError, ReleaseError):
        return None
    own = bool(asked_by) and found.asked_by == asked_by
    return found if found.as_of == as_of.isoformat() and (own or not found.ended) else None


def end(workspace: Workspace, begun: Retraining, *, asked_by: str = "") -> None:
    """The retraining has come to its end, which may have been in another run than the one that began it."""
    ended = replace(begun, ended=True, asked_by=asked_by)
    write_text(workspace.models / _FILE, json.dumps(asdict(ended), indent=1))


def find_challenger(workspace: Workspace, begun: Retraining) -> Release | None:
    """The model that this retraining has trained already."""
    for version in reversed(versions(workspace)):
        if version not in begun.before:
            found = open_release(workspace.models / version)
            if found.started_from == begun.started_from and _same(found.config, begun.config):
                return found
    return None


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return json.loads(json.dumps(one)) == json.loads(json.dumps(other))  # type: ignore[no-any-return]
