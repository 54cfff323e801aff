"""Models in quarantine: challengers that the gate refused, champions that were rolled back. releases/quarantine.json.

They are never promoted by themselves again and nothing is trained on from them; a person may still promote one, by
force, which lifts the quarantine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from tickets.errors import ReleaseError
from tickets.workspace import Workspace, write_text

_FILE = "quarantine.json"


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Since when (UTC, ISO 8601) a model is held back, and why, each reason a sentence."""

    since: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"since {self.since[:10]}: {' '.join(self.reasons)}"


def quarantine(workspace: Workspace, version: str, *, reasons: Sequence[str], at: datetime) -> None:
    """Hold a model back; one that is held already keeps its date and reasons. Call it under the releases' lock."""
    held = quarantined(workspace)
    if version not in held:
        _write(workspace, {**held, version: Quarantine(at.isoformat(timespec="seconds"), tuple(reasons))})


def lift_quarantine(workspace: Workspace, version: str) -> None:
    """Let a model go; nothing changes when it was not held. Call it under the releases' lock."""
    held = quarantined(workspace)
    if version in held:
        _write(workspace, {name: why for name, why in held.items() if name != version})


def quarantined(workspace: Workspace) -> dict[str, Quarantine]:
    """Models held back, by version. Raises ReleaseError when the file cannot be read."""
    path = workspace.releases / _FILE
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return {name: Quarantine(str(why["since"]), tuple(map(str, why["reasons"]))) for name, why in told.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(
            f"cannot read {path}: {error!r}.",
            hint="Restore it from a backup, or remove it: then no model is held back.",
        ) from error


def _write(workspace: Workspace, held: Mapping[str, Quarantine]) -> None:
    told = {name: asdict(why) for name, why in sorted(held.items())}
    write_text(workspace.releases / _FILE, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
