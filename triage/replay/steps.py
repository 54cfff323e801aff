"""What `triage replay` does: choose the history, live through it, write down what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tickets.progress import Progress, Report
from tickets.workspace import Workspace
from triage.settings import Settings

if TYPE_CHECKING:
    from triage.replay.history import History
    from triage.replay.policies import ReplayPlan
    from triage.replay.record import ReplayResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which history and which policies; all policies without names."""

    simulated: bool
    policies: Sequence[str] = ()
    tickets_per_day: int | None = None
    newest: int = 20_000
    quick: bool = False
    again: bool = False


def replay(
    settings: Settings, asked: Asked, into: Path, *, report: Report, progress: Progress
) -> tuple[ReplayResult, Path]:
    """The result and the page that tells of it. Raises InputError, MissingStepError, MachineError."""
    from triage.replay.policies import FULL, QUICK, policies_named
    from triage.replay.report import write_replay
    from triage.replay.run import make_anew
    from triage.replay.run import replay as live_again
    from triage.steps import spark_for

    plan, policies = QUICK if asked.quick else FULL, policies_named(asked.policies)
    history = _history(settings, asked, plan)
    if asked.again:
        make_anew(into)
    with spark_for(settings) as spark:
        result = live_again(into, history, policies, plan, spark=spark, report=report, progress=progress)
    return result, write_replay(result, into)


def _history(settings: Settings, asked: Asked, plan: ReplayPlan) -> History:
    from triage.replay.history import simulated_history, workspace_history

    if asked.simulated:
        return simulated_history(
            learn_days=plan.learn_days,
            live_days=plan.live_days,
            tickets_per_day=asked.tickets_per_day or plan.tickets_per_day,
        )
    return workspace_history(
        Workspace.open(settings.workspace),
        learn_days=plan.learn_days,
        tickets_per_day=asked.tickets_per_day,
        newest=asked.newest,
        seed=plan.seed,
    )
