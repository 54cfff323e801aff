"""Looking after the lake: what `triage pipeline retain` and `triage quarantine replay` do, as plain functions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from triage.settings import Settings
from triage.steps import opened, spark_for

if TYPE_CHECKING:
    from pipeline.upkeep.quarantine import Chosen, Replayed
    from pipeline.upkeep.retention import Leaving
    from tickets.workspace import Workspace


def retain(settings: Settings, *, as_of: dt.date, apply: bool, needed_too: bool) -> list[Leaving]:
    """What is older than the settings' policy; removed with `apply`. Raises WorkspaceError, LockedError."""
    from pipeline.upkeep import retention
    from tickets.workspace import Workspace

    days = settings.retention.model_dump(exclude={"releases_kept"})
    policy = retention.RetentionPolicy(
        **{name: count or None for name, count in days.items()},  # 0 keeps for ever
        releases_kept=settings.retention.releases_kept,
    )
    if not apply:
        workspace = Workspace.open(settings.workspace)
        return retention.retain(
            workspace, policy, as_of=as_of, kept_models=_kept_models(workspace, policy.releases_kept)
        )
    # Nobody may promote or roll back to a model while old ones are taken away.
    with opened(settings, "retain") as (workspace, _), workspace.releases_lock():
        kept = _kept_models(workspace, policy.releases_kept)
        return retention.retain(workspace, policy, as_of=as_of, kept_models=kept, apply=True, needed_too=needed_too)


def replay(
    settings: Settings, chosen: Chosen, corrected: Path | None, *, as_of: dt.date, report: Callable[[str], None]
) -> Replayed:
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
    """The champion, so many champions before it, and the model trained last, which may be a challenger."""
    from models.release import current_version, history, versions

    served: list[str] = []
    for entry in reversed(history(workspace)):
        if entry["version"] not in served:
            served.append(entry["version"])
    kept = {current_version(workspace), *served[: earlier + 1], *versions(workspace)[-1:]}
    return kept - {None}  # type: ignore[return-value]  # mypy does not narrow a set's elements
