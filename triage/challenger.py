"""Who challenges the champion on a share of the traffic, and how the parts of the traffic compare."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from models import challenger
from models.challenger import Challenge
from tickets.audit import machine_user, record
from tickets.monitor_log import record_event
from tickets.workspace import Workspace
from triage.settings import Settings, database

if TYPE_CHECKING:
    from monitoring.arms import ArmsReport

_LOOK_BACK = dt.timedelta(days=28)


def begin(settings: Settings, version: str, *, shadow: float, canary: float) -> Challenge:
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


def end(settings: Settings) -> Challenge | None:
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


def compare(settings: Settings, *, since: dt.date | None) -> tuple[Challenge | None, ArmsReport]:
    """The challenge under way, and the parts of the traffic compared since a day (UTC; 28 days ago when None)."""
    from monitoring.arms import compare_arms

    workspace = Workspace.open(settings.workspace)
    now = dt.datetime.now(dt.UTC)
    start = dt.datetime.combine(since or now.date() - _LOOK_BACK, dt.time(), tzinfo=dt.UTC)
    with database(settings, workspace) as engine:
        return challenger.current_challenge(workspace), compare_arms(engine, start, now + dt.timedelta(days=1))
