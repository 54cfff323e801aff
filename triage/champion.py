"""The change of champion, by hand or by the gate: what is served, the timeline, the alarms, MLflow's alias.

The alias comes last: when the tracking server is away, the service has its release and the timeline tells the truth,
and the same command sets the alias later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from models import release
from models.quarantine import lift_quarantine, quarantine, quarantined
from models.registry import set_alias
from tickets.audit import machine_user, record
from tickets.errors import ReleaseError
from tickets.monitor_log import ALL, close_alarms, model_timeline, record_event
from tickets.workspace import Workspace
from triage.settings import Settings

Change = Literal["promoted", "rolled back"]


def promote(
    workspace: Workspace,
    engine: sa.Engine,
    version: str,
    *,
    details: Mapping[str, Any],
    tracking_uri: str,
    at: dt.datetime | None = None,
    force: bool = False,
) -> None:
    """Serve models/<version>; alarms about the champion before it are closed. Without a `tracking_uri` (""), MLflow is
    left alone. Killed halfway, the same call again does the rest. A model in quarantine is refused without `force`,
    which lifts it. Raises ReleaseError."""
    with workspace.releases_lock():
        held = quarantined(workspace).get(version)
        if held is not None and not force:
            raise ReleaseError(
                f"{version} is in quarantine {held}",
                hint=f"`triage promote {version} --force` serves it all the same.",
            )
        changed = release.current_version(workspace) != version
        release.promote(workspace, version)
        lift_quarantine(workspace, version)
    if changed or not _told(engine, version):
        forced = {"forced": True} if held is not None else {}
        _tell(engine, "promoted", version, at or dt.datetime.now(dt.UTC), {**details, **forced})
    if tracking_uri:
        set_alias(version, "champion", tracking_uri=tracking_uri)


def roll_back(
    workspace: Workspace,
    engine: sa.Engine,
    *,
    tracking_uri: str,
    leave: str | None = None,
    details: Mapping[str, Any] | None = None,
    at: dt.datetime | None = None,
) -> str:
    """Serve the previous champion again; its version. The one that is left goes into quarantine. With `leave` nothing
    but that champion is left: killed halfway, the same call again does the rest. `tracking_uri` as in `promote`. Raises
    ReleaseError when there was none before."""
    at = at or dt.datetime.now(dt.UTC)
    told = dict(details or {})
    with workspace.releases_lock():
        left = release.current_version(workspace)
        changed = leave is None or left == leave
        version = release.roll_back(workspace) if changed else left
        reasons = told.get("reasons", ["rolled back by hand."])
        if (gone := left if changed else leave) is not None:
            quarantine(workspace, gone, reasons=reasons, at=at)
    if version is None:
        raise ReleaseError("no model has been promoted yet.", hint="Promote one with `triage promote VERSION`.")
    if changed or not _told(engine, version):
        _tell(engine, "rolled back", version, at, {"from": gone, **told})
    if tracking_uri:
        set_alias(version, "champion", tracking_uri=tracking_uri)
    return version


def finish_roll_back(
    workspace: Workspace,
    engine: sa.Engine,
    *,
    tracking_uri: str,
    since: dt.datetime | None = None,
    details: Mapping[str, Any] | None = None,
) -> str | None:
    """Do the rest of a rollback that was killed when its champion was served already: the version served, or None when
    nothing was left to do. What the timeline tells lacks the alias at most: of a rollback begun `since` then, which may
    have been killed before that, it is set again too. `details` go into the timeline with its reasons."""
    newest = next(reversed(release.history(workspace)), None)
    if newest is None or newest["action"] != "roll_back" or newest["version"] != release.current_version(workspace):
        return None
    own = since is not None and dt.datetime.fromisoformat(newest["at"]) >= since
    if _told(engine, newest["version"]) and not own:
        return None
    left = newest["previous"]
    held = quarantined(workspace).get(left)
    reasons = held.reasons if held else ("a rollback that was killed is finished; its reasons are not known.",)
    told = {"reasons": list(reasons), **(details or {})}
    return roll_back(workspace, engine, tracking_uri=tracking_uri, leave=left, details=told)


def _told(engine: sa.Engine, version: str) -> bool:
    """Whether the timeline's newest change of champion is the one to this version."""
    changes = (event for event in model_timeline(engine, limit=ALL) if event.kind in {"promoted", "rolled back"})
    newest = next(changes, None)
    return newest is not None and newest.model_version == version


def _tell(engine: sa.Engine, change: Change, version: str, at: dt.datetime, details: Mapping[str, Any]) -> None:
    """Alarms about the champion before are closed; the timeline and the audit log say what changed."""
    close_alarms(engine, at=at)
    short = {name: details[name] for name in ("from", "reasons", "forced") if name in details}
    record(engine, at=at, actor=machine_user(), action=change, target=version, details=short)
    record_event(engine, change, at=at, model_version=version, details=details)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A trained model as `triage models` shows it. `state` says in words whether it is served or held back."""

    version: str
    state: str
    accuracy: float | None
    started_from: str | None


def known_models(settings: Settings) -> list[KnownModel]:
    """Every trained model, oldest first. Raises WorkspaceError, ReleaseError."""
    workspace = Workspace.open(settings.workspace)
    held, champion = quarantined(workspace), release.current_version(workspace)
    served = {entry["version"] for entry in release.history(workspace)}
    known = []
    for version in release.versions(workspace):
        made = release.open_release(workspace.models / version, verify=False)
        state = "served" if version == champion else "served before" if version in served else "trained"
        known.append(
            KnownModel(
                version=version,
                state=f"in quarantine {held[version]}" if version in held else state,
                accuracy=made.metrics.get("model", {}).get("test", {}).get("accuracy"),
                started_from=made.started_from,
            )
        )
    return known


def alias_uri(tracking_uri: str, sinks: Sequence[str]) -> str:
    """Where the alias is kept; "" when MLflow is none of the sinks."""
    return tracking_uri if "mlflow" in sinks else ""
