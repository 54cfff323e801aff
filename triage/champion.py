"""The change of champion, by hand or by the gate: what is served, the timeline, the alarms, MLflow's alias. And who
challenges it on a share of the traffic.

The alias comes last: when the tracking server is away, the service has its release and the timeline tells the truth,
and the same command sets the alias later.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from models import challenger, release
from models.registry import set_alias
from tickets.audit import machine_user, record
from tickets.monitor_log import close_alarms, record_event
from tickets.workspace import Workspace
from triage.settings import Settings, database

if TYPE_CHECKING:
    from monitoring.arms import ArmsReport

_LOOK_BACK = dt.timedelta(days=28)


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


def begin_challenge(settings: Settings, version: str, *, shadow: float, canary: float) -> challenger.Challenge:
    """Let models/<version> see a share of the traffic, and say so on the timeline. Raises InputError, ReleaseError."""
    workspace = Workspace.open(settings.workspace)
    with database(settings, workspace) as engine:
        with workspace.releases_lock():
            begun = challenger.begin_challenge(workspace, version, shadow=shadow, canary=canary)
        details = {"shadow": shadow, "canary": canary}
        at = dt.datetime.now(dt.UTC)
        record_event(engine, "challenge begun", at=at, model_version=version, details=details)
        record(engine, actor=machine_user(), action="challenge begun", target=version, at=at, details=details)
    return begun


def end_challenge(settings: Settings) -> challenger.Challenge | None:
    """The champion answers alone again; the challenge that was under way."""
    workspace = Workspace.open(settings.workspace)
    with database(settings, workspace) as engine:
        with workspace.releases_lock():
            ended = challenger.end_challenge(workspace)
        if ended is not None:
            at = dt.datetime.now(dt.UTC)
            record_event(engine, "challenge ended", at=at, model_version=ended.version, details={})
            record(engine, actor=machine_user(), action="challenge ended", target=ended.version, at=at)
    return ended


def compare(settings: Settings, *, since: dt.date | None) -> tuple[challenger.Challenge | None, ArmsReport]:
    """The challenge under way, and the parts of the traffic compared since a day (UTC; 28 days ago when None)."""
    from monitoring.arms import compare_arms

    workspace = Workspace.open(settings.workspace)
    now = dt.datetime.now(dt.UTC)
    start = dt.datetime.combine(since or now.date() - _LOOK_BACK, dt.time(), tzinfo=dt.UTC)
    with database(settings, workspace) as engine:
        return challenger.current_challenge(workspace), compare_arms(engine, start, now + dt.timedelta(days=1))


def alias_uri(tracking_uri: str, sinks: Sequence[str]) -> str:
    """Where the alias is kept; "" when MLflow is none of the sinks."""
    return tracking_uri if "mlflow" in sinks else ""
