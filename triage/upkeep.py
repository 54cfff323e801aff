"""Looking after the lake and the database: what `triage pipeline retain`, the night's last step and `triage
quarantine replay` do, as plain functions."""

from __future__ import annotations

import datetime as dt
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from tickets import audit, feedback_log
from tickets import webhook_deliveries as deliveries
from tickets.manifests import manifests
from tickets.progress import Report, silent
from tickets.workspace import Workspace
from triage.settings import RetentionSettings, Settings
from triage.steps import opened, spark_for

if TYPE_CHECKING:
    from pipeline.upkeep.quarantine import Chosen, Replayed
    from pipeline.upkeep.retention import Leaving


@dataclass(frozen=True, slots=True, kw_only=True)
class OldRows:
    """Rows of a database table from before a day. `gone` once they were removed."""

    table: str
    rows: int
    before: str
    gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """What is older than the policy: in the lake, of models and reports, and rows of the database."""

    files: list[Leaving]
    rows: list[OldRows]


def retain(settings: Settings, *, as_of: dt.date, apply: bool, needed_too: bool, report: Report = silent) -> Old:
    """What is older than the settings' policy; removed with `apply`. Raises WorkspaceError, LockedError,
    MachineError."""
    with opened(settings, "retain", locked=apply) as (workspace, engine):
        return retain_here(settings, workspace, engine, as_of=as_of, apply=apply, needed_too=needed_too, report=report)


def retain_here(
    settings: Settings,
    workspace: Workspace,
    engine: sa.Engine,
    *,
    as_of: dt.date,
    apply: bool = True,
    needed_too: bool = False,
    report: Report = silent,
) -> Old:
    """The same for who has opened the workspace and, to apply it, holds its lock."""
    files = _old_files(settings.retention, workspace, as_of, apply=apply, needed_too=needed_too, report=report)
    return Old(files=files, rows=_old_rows(settings, workspace, engine, as_of, apply=apply))


def _old_files(
    asked: RetentionSettings, workspace: Workspace, as_of: dt.date, *, apply: bool, needed_too: bool, report: Report
) -> list[Leaving]:
    from pipeline.upkeep import retention

    policy = retention.RetentionPolicy(
        **{name: count or None for name, count in asked.in_lake().items()},  # 0 keeps for ever
        releases_kept=asked.releases_kept,
    )
    # Nobody may promote or roll back to a model while old ones are taken away.
    with workspace.releases_lock() if apply else nullcontext():
        kept = _kept_models(workspace, policy.releases_kept)
        return retention.retain(
            workspace,
            policy,
            as_of=as_of,
            kept_models=kept,
            apply=apply,
            needed_too=needed_too,
            report=report,
        )


def _old_rows(
    settings: Settings, workspace: Workspace, engine: sa.Engine, as_of: dt.date, *, apply: bool
) -> list[OldRows]:
    """Suggestions, done webhook deliveries and audit entries. A delivery stays for as long as its signature might be
    taken again, and a suggestion until a night has brought it into the lake, whatever the policy."""
    policy, now = settings.retention, dt.datetime.now(dt.UTC)
    helpdesks = (settings.zendesk, settings.zammad, settings.chatwoot, settings.freshdesk)
    signed = now - dt.timedelta(seconds=2 * max(one.max_age_seconds for one in helpdesks))  # as far ahead as ago
    found = []
    if policy.suggestions and (extracted := _extracted(workspace, as_of)):
        before = min(_first_kept(as_of, policy.suggestions), extracted)
        count = feedback_log.prune if apply else feedback_log.count_older
        found.append(_old("suggestions", count(engine, before=before), before, gone=apply))
    if policy.deliveries:
        before = min(_first_kept(as_of, policy.deliveries), signed)
        count = deliveries.prune if apply else deliveries.count_done
        found.append(_old("webhook_deliveries", count(engine, before=before), before, gone=apply))
    if policy.audit:
        before = _first_kept(as_of, policy.audit)
        rows = audit.prune(engine, before=before) if apply else audit.count_older(engine, before=before)
        found.append(_old("audit_log", rows, before, gone=apply))
    removed = {one.table: one.rows for one in found if one.gone and one.rows}
    if removed:
        audit.record(engine, at=now, actor=audit.machine_user(), action="old rows removed", details=removed)
    return [one for one in found if one.rows]


def _extracted(workspace: Workspace, as_of: dt.date) -> dt.datetime | None:
    """What was written before this time is in the lake; None before the first night. A day early, since a row may be
    committed after the night that its time belongs to."""
    from pipeline.extract import STEP

    nights = [done.as_of for done in manifests(workspace, STEP) if done.as_of <= as_of.isoformat()]
    return _first_kept(dt.date.fromisoformat(max(nights)), 1) if nights else None


def _first_kept(as_of: dt.date, days: int) -> dt.datetime:
    return dt.datetime.combine(as_of - dt.timedelta(days=days), dt.time(), dt.UTC)


def _old(table: str, rows: int, before: dt.datetime, *, gone: bool) -> OldRows:
    return OldRows(table=table, rows=rows, before=before.date().isoformat(), gone=gone)


def replay(settings: Settings, chosen: Chosen, corrected: Path | None, *, as_of: dt.date, report: Report) -> Replayed:
    """Try refused rows again, as the night would; the split stays as it is until `triage features` or a retraining.
    Raises InputError, WorkspaceError, LockedError."""
    from pipeline.nightly import take_up
    from pipeline.upkeep import quarantine

    with opened(settings, "replay") as (workspace, _), spark_for(settings) as spark:
        return quarantine.replay(
            workspace,
            as_of=as_of,
            chosen=chosen,
            corrected=corrected,
            rerun=lambda: take_up(workspace, as_of=as_of, spark=spark, report=report),
        )


def _kept_models(workspace: Workspace, earlier: int) -> set[str]:
    """The champion, so many champions before it, the challenger that answers beside it, and the model trained last,
    which may be one soon."""
    from models.challenger import current_challenge
    from models.release import current_version, history, versions

    served: list[str] = []
    for entry in reversed(history(workspace)):
        if entry["version"] not in served:
            served.append(entry["version"])
    challenge = current_challenge(workspace)
    beside = challenge.version if challenge else None
    kept = {current_version(workspace), beside, *served[: earlier + 1], *versions(workspace)[-1:]}
    return kept - {None}  # type: ignore[return-value]  # mypy does not narrow a set's elements
