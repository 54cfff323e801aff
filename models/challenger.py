"""A challenger beside the champion: the share of the traffic it sees, in releases/challenger.json. No torch, no MLflow.

In shadow it is asked too and its answers are kept, not shown; as canary it answers instead of the champion. The service
watches the file as it watches releases/current.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from models.release import current_version, publish
from tickets.errors import InputError, ReleaseError
from tickets.workspace import Workspace, write_text

_FILE = "challenger.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """`shadow` and `canary` are shares of tickets, 0 to 1."""

    version: str
    shadow: float = 0.0
    canary: float = 0.0
    since: str = ""


def begin_challenge(workspace: Workspace, version: str, *, shadow: float, canary: float) -> Challenge:
    """Let a trained model see a share of the traffic, from now on. Raises InputError for shares that are none,
    ReleaseError for an unknown or damaged model and for the champion itself."""
    if not _are_shares(shadow, canary):
        raise InputError(
            f"shadow {shadow} and canary {canary} are no shares of the traffic.",
            hint="Give numbers from 0 to 1, one of them above 0.",
        )
    if version == current_version(workspace):
        raise ReleaseError(f"{version} is the champion.", hint="Name another version; `triage models` lists them.")
    publish(workspace, version)
    begun = Challenge(version=version, shadow=shadow, canary=canary, since=datetime.now(UTC).isoformat())
    write_text(workspace.releases / _FILE, json.dumps(asdict(begun), indent=1) + "\n")
    return begun


def _are_shares(shadow: float, canary: float) -> bool:
    return 0 <= shadow <= 1 and 0 <= canary <= 1 and shadow + canary > 0


def end_challenge(workspace: Workspace) -> Challenge | None:
    """The champion answers alone again. The challenge that was under way, or None."""
    ended = current_challenge(workspace)
    (workspace.releases / _FILE).unlink(missing_ok=True)
    return ended


def current_challenge(workspace: Workspace) -> Challenge | None:
    """The challenge under way; None without one, and when the challenger has become the champion. Raises ReleaseError
    when the file cannot be read."""
    path = workspace.releases / _FILE
    try:
        challenge = Challenge(**json.loads(path.read_text(encoding="utf-8")))
        if not (isinstance(challenge.version, str) and _are_shares(challenge.shadow, challenge.canary)):
            raise ValueError("version or shares are of the wrong kind")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ReleaseError(f"cannot read {path}: {error}.", hint="Begin the challenge again, or end it.") from error
    return None if challenge.version == current_version(workspace) else challenge
