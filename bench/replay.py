"""Replay: how much of the oracle's accuracy alarm-driven retraining keeps, at how many of the labels.

    python bench/replay.py [--quick] [--only simulated,cfpb] [--go-on]

Two histories are lived through under four policies (docs/replay.md): half a year of the simulated company, with a mix
that moves, a launch, an outage and a rename; and the newest 9,600 CFPB complaints in order of time, sixty making a day.
`--quick` has six weeks of the simulated company alone. The second needs public data (bench/public_data.py); without it,
it is left out.

Figures: share_of_oracle_accuracy, share_of_fixed_interval_labels (of the simulated company); by history and policy
accuracy, labels, trainings, promotions; the shares again with `cfpb_` before them. Curves and pictures are in
bench/out/replay-<history>/.
"""

from __future__ import annotations

import argparse
import datetime as dt
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

# This folder comes last: it holds a pipeline.py, and `pipeline` must mean the package.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

from bench_record import OUT, record
from parts import add_only
from public_data import COMPLAINTS

from pipeline.datasets import ready_dataset
from pipeline.importing import import_dataset
from pipeline.nightly import take_up
from pipeline.session import spark_session
from tickets.progress import silent
from tickets.workspace import Workspace
from triage.logs import configure_logs
from triage.replay.history import History, simulated_history, workspace_history
from triage.replay.policies import FULL, POLICIES, QUICK, ReplayPlan
from triage.replay.record import ReplayResult
from triage.replay.report import write_replay
from triage.replay.run import replay

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COMPLAINTS_A_DAY = 60
NEWEST_COMPLAINTS = 9_600  # 160 such days; all would make 240, and take two hours longer
HISTORIES = ("simulated", "cfpb")
CFPB_LEARN_DAYS = 70  # 172 contact types take longer to learn than the company's


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="six weeks of the simulated company alone")
    add_only(arguments, HISTORIES)
    arguments.add_argument("--go-on", action="store_true", help="after a run that was broken off, by policy")
    given = arguments.parse_args()
    quick, wanted = given.quick, given.only
    configure_logs(verbose=False)
    started, plan = time.perf_counter(), QUICK if quick else FULL
    figures: dict[str, float | int] = {}
    lives = OUT / ("lives-quick" if quick else "lives")
    if not given.go_on:
        shutil.rmtree(lives, ignore_errors=True)
    with spark_session() as spark:
        if "simulated" in wanted:
            company = simulated_history(
                learn_days=plan.learn_days,
                live_days=plan.live_days,
                tickets_per_day=plan.tickets_per_day,
                seed=plan.seed,
            )
            result = _live(lives / "simulated", company, plan, spark, started)
            figures |= _shares(result) | _figures(result, "simulated")
        if "cfpb" in wanted and not quick and COMPLAINTS.exists():
            plan = replace(plan, learn_days=CFPB_LEARN_DAYS)
            complaints = _complaints(lives / "lake", plan, spark)
            result = _live(lives / "cfpb", complaints, plan, spark, started)
            figures |= {f"cfpb_{name}": value for name, value in _shares(result).items()} | _figures(result, "cfpb")
    record("replay" if set(wanted) == set(HISTORIES) else "replay-part", figures, seconds=time.perf_counter() - started)


def _complaints(folder: Path, plan: ReplayPlan, spark: SparkSession) -> History:
    """The complaints in order of time, from a lake of their own."""
    shutil.rmtree(folder, ignore_errors=True)
    workspace, day = Workspace.create(folder), dt.date(2024, 2, 1)
    import_dataset(workspace, [COMPLAINTS], ready_dataset("cfpb"), as_of=day)
    take_up(workspace, as_of=day, spark=spark)
    return workspace_history(
        workspace,
        learn_days=plan.learn_days,
        tickets_per_day=COMPLAINTS_A_DAY,
        newest=NEWEST_COMPLAINTS,
        seed=plan.seed,
    )


def _live(folder: Path, history: History, plan: ReplayPlan, spark: SparkSession, started: float) -> ReplayResult:
    def report(line: str) -> None:
        print(f"{(time.perf_counter() - started) / 60:6.1f} min  {line}", flush=True)

    result = replay(folder, history, POLICIES, plan, spark=spark, report=report, progress=silent)
    write_replay(result, OUT / f"replay-{folder.name}")
    return result


def _shares(result: ReplayResult) -> dict[str, float]:
    shares: Mapping[str, float | None] = {
        "share_of_oracle_accuracy": result.share_of_oracle_accuracy,
        "share_of_fixed_interval_labels": result.share_of_fixed_interval_labels,
    }
    return {name: round(share, 4) for name, share in shares.items() if share is not None}


def _figures(result: ReplayResult, history: str) -> dict[str, float | int]:
    figures: dict[str, float | int] = {f"{history}_tickets": result.policies[0].tickets}
    for one in result.policies:
        name = f"{history}_{one.policy.replace(' ', '_').replace('-', '_')}"
        figures |= {
            f"{name}_accuracy": round(one.accuracy, 4),
            f"{name}_labels": one.labels,
            f"{name}_trainings": one.trainings,
            f"{name}_promotions": one.promotions,
            f"{name}_minutes": round(one.minutes, 1),
        }
    return figures


if __name__ == "__main__":
    main()
