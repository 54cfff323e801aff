"""The change of champion, by hand or by the gate: what is served, the timeline, the alarms, MLflow's alias.

The alias comes last: when the tracking server is away, the service has its release and the timeline tells the truth,
and the same command sets the alias later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from models import release
from models.registry import set_alias
from tickets.audit import machine_user, record
from tickets.monitor_log import close_alarms, record_event
from tickets.workspace import Workspace


def promote(
    workspace: Workspace,
    engine: sa.Engine,
    version: str,
    *,
    details: Mapping[str, Any],
    tracking_uri: str,
    at: dt.datetime | None = None,
) -> None:
    """Serve models/<version>; alarms about the champion before it are closed. Without a `tracking_uri` (""), MLflow is
    left alone. Raises ReleaseError."""
    with workspace.releases_lock():
        changed = release.current_version(workspace) != version
        release.promote(workspace, version)
    if changed:
        at = at or dt.datetime.now(dt.UTC)
        close_alarms(engine, at=at)
        record_event(engine, "promoted", at=at, model_version=version, details=details)
        reasons = {"reasons": details["reasons"]} if "reasons" in details else {}
        record(engine, at=at, actor=machine_user(), action="promoted", target=version, details=reasons)
    if tracking_uri:
        set_alias(version, "champion", tracking_uri=tracking_uri)


def roll_back(workspace: Workspace, engine: sa.Engine, *, tracking_uri: str) -> str:
    """Serve the previous champion again; its version. `tracking_uri` as in `promote`. Raises ReleaseError when there
    was none."""
    with workspace.releases_lock():
        left = release.current_version(workspace)
        version = release.roll_back(workspace)
    at = dt.datetime.now(dt.UTC)
    close_alarms(engine, at=at)
    record_event(engine, "rolled back", at=at, model_version=version, details={"from": left})
    record(engine, at=at, actor=machine_user(), action="rolled back", target=version, details={"from": left})
    if tracking_uri:
        set_alias(version, "champion", tracking_uri=tracking_uri)
    return version


def alias_uri(tracking_uri: str, sinks: Sequence[str]) -> str:
    """Where the alias is kept; "" when MLflow is none of the sinks."""
    return tracking_uri if "mlflow" in sinks else ""
