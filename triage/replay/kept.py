"""What a replay has lived already, in its folder, so that one that was broken off goes on with the next policy."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tickets.workspace import write_text
from triage.replay.history import History
from triage.replay.policies import ReplayPlan, ReplayPolicy
from triage.replay.record import Lived

_BEGUN, _POLICY, _LIVED = "begun", "policy", "lived.json"
_LIFE = TypeAdapter(Lived)


def key_of(history: History, plan: ReplayPlan) -> str:
    """Differs where the plan, the tickets with their outcomes, the catalogues or the dataset differ. The code may have
    changed all the same: `--again`."""
    told = hashlib.blake2b(f"{history.name}\n{plan!r}\n{history.dataset}".encode(), digest_size=16)
    for part in (*history.catalogues, *(one for day in history.days for one in day.tickets)):
        told.update(repr(part).encode())
    return told.hexdigest()


def begun(folder: Path, key: str) -> bool:
    """Whether the beginning that all policies share is there, of this history and plan."""
    marker = folder / _BEGUN
    return marker.exists() and marker.read_text(encoding="utf-8") == key


def note_begun(folder: Path, key: str) -> None:
    write_text(folder / _BEGUN, key)


def find_life(root: Path, policy: ReplayPolicy) -> Lived | None:
    """The life of a policy in its workspace, when it was lived to its end as the policy is now."""
    try:
        lived: Lived = _LIFE.validate_json((root / _LIVED).read_bytes())
        return lived if (root / _POLICY).read_text(encoding="utf-8") == repr(policy) else None
    except (OSError, ValidationError):
        return None


def keep_life(root: Path, policy: ReplayPolicy, lived: Lived) -> None:
    write_text(root / _POLICY, repr(policy))
    write_text(root / _LIVED, _LIFE.dump_json(lived).decode())
