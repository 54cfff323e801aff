"""The whole loop, top to bottom: what `triage demo` runs. Only the customers, agents and labelers are simulated."""

from __future__ import annotations

import datetime as dt
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import sqlalchemy as sa

from models.train import ModelVersion, train
from pipeline.importing import import_files
from pipeline.nightly import run_pipeline
from pipeline.split import SplitPlan
from tickets.errors import InputError
from tickets.monitor_log import record_event
from tickets.progress import Progress, Report
from tickets.simulate import write_history
from tickets.workspace import Workspace
from triage.champion import promote
from triage.company import FULL, QUICK, DemoPlan, open_for_business
from triage.keys import address_here
from triage.live import Handled, Period, summarise
from triage.night_options import gate_policy, night_policy
from triage.retrain import RetrainOutcome, retrain
from triage.settings import Settings, database, tracking_uri
from triage.steps import spark_for

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["FULL", "QUICK", "DemoSummary", "run_demo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSummary:
    """What happened, for the closing table: suggestion quality by period, figures by name, where to look."""

    periods: Sequence[Period]
    figures: Mapping[str, str]
    addresses: Sequence[str]


def run_demo(folder: Path, settings: Settings, plan: DemoPlan, *, report: Report, progress: Progress) -> DemoSummary:
    """Run everything in `folder`, which is made anew. Raises TriageError when the machine lacks something."""
    started = time.monotonic()
    knobs, plan = settings.monitoring, replace(plan, policy=night_policy(settings.monitoring, plan.policy))
    with ExitStack() as stack:
        workspace = stack.enter_context(_fresh_workspace(folder))
        engine = stack.enter_context(database(settings, workspace))
        uri = tracking_uri(settings, workspace)

        report("1. History. A ride-and-delivery company exports its resolved tickets.")
        spark = stack.enter_context(spark_for(settings))
        tickets_per_second = _history(workspace, plan, spark, report)

        report("2. The first model. Trained on the history, measured beside baselines, promoted.")
        first = train(workspace, plan.training, report=report, progress=progress, tracking_uri=uri)
        _promote_first(workspace, engine, first, plan, uri)

        report("3. Live. The service answers over HTTP, agents use it, monitoring looks each night.")
        company = stack.enter_context(open_for_business(workspace, engine, plan, report))
        quiet, _ = company.live(plan.quiet_days)

        report("4. The business changes. A product is launched, others renamed. The model knows nothing.")
        company.launch()
        drifted, night = company.live(plan.most_drift_days, until_retraining=True)

        report("5. Labels and retraining. People answer the queue, a challenger learns, the gate decides.")
        today = dt.date.fromisoformat(night.run.as_of)
        labelled = company.label(today)
        outcome = retrain(
            workspace,
            engine,
            as_of=today,
            now=night.run.started_at,
            spark=spark,
            config=plan.retraining,
            tracking_uri=uri,
            report=report,
            progress=progress,
            validation_days=plan.policy.validation_days,
            gate_days=plan.policy.gate_days,
            start=knobs.retrain_start,
            gate=gate_policy(knobs),
        )

        report("6. After. The running service takes up the champion; agents go on.")
        reload_seconds = company.wait_for(outcome.served)
        after, _ = company.live(plan.after_days)
    periods = (("quiet days", quiet), ("after the change", drifted), ("after retraining", after))
    figures = _model_figures(first, outcome) | {
        "Pipeline": f"{tickets_per_second:,.0f} tickets/s",
        "Suggestion over HTTP": _latency(company.desk.handled),
        "Labels answered": f"{labelled}",
        "New release taken up in": f"{reload_seconds:.1f} s",
        "The whole loop took": f"{(time.monotonic() - started) / 60:.1f} minutes",
    }
    return DemoSummary(
        periods=[summarise(name, those) for name, those in periods],
        figures=figures,
        addresses=_addresses(folder, settings),
    )


@contextmanager
def _fresh_workspace(folder: Path) -> Iterator[Workspace]:
    """An empty workspace, locked to the end; what an earlier demonstration left in the folder goes."""
    if folder.exists() and not (folder / "workspace.json").exists() and any(folder.iterdir()):
        raise InputError(f"{folder} holds something that is no workspace.", hint="Name another with --workspace.")
    workspace = Workspace.create(folder)
    with workspace.lock("demo"):
        for path in sorted(workspace.root.iterdir()):
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in ("workspace.json", "run.lock"):
                path.unlink()
        yield Workspace.create(folder)


def _history(workspace: Workspace, plan: DemoPlan, spark: SparkSession, report: Report) -> float:
    """Simulate, export, import, and run the pipeline; tickets a second from file to features."""
    history = plan.simulation(days=plan.history_days)
    dataset = write_history(history, workspace.root / "export")
    started, arrived = time.monotonic(), plan.live_from - dt.timedelta(days=1)
    imported = import_files(workspace, [], dataset, as_of=arrived, report=report)
    run_pipeline(workspace, as_of=arrived, spark=spark, plan=SplitPlan(), report=report)
    return imported.counts["raw"] / (time.monotonic() - started)


def _promote_first(workspace: Workspace, engine: sa.Engine, first: ModelVersion, plan: DemoPlan, uri: str) -> None:
    at = dt.datetime.combine(plan.live_from, dt.time(), tzinfo=dt.UTC)
    record_event(engine, "trained", at=at, model_version=first.version, details={"from": "history"})
    promote(workspace, engine, first.version, details={"reasons": ["the first model"]}, tracking_uri=uri, at=at)


def _model_figures(first: ModelVersion, outcome: RetrainOutcome) -> dict[str, str]:
    measured = {name: figures.get("test", {}).get("accuracy") for name, figures in first.metrics.items()}
    beside = ", ".join(f"{name} {value:.1%}" for name, value in measured.items() if value is not None)
    gate = outcome.gate.figures
    verdict = "promoted" if outcome.gate.promote else "rejected"
    met = f"{gate['champion_accuracy']:.1%} -> {gate['challenger_accuracy']:.1%}" if "difference" in gate else "too few"
    return {"First model, test period": beside, "Gate, latest days": f"{met}, {verdict}"}


def _latency(handled: Sequence[Handled]) -> str:
    p50, p99 = np.percentile([one.milliseconds for one in handled], [50, 99])
    return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, {len(handled):,} tickets"


def _addresses(folder: Path, settings: Settings) -> list[str]:
    address = address_here(settings.host, settings.port)
    return [
        f"triage serve --workspace {shlex.quote(str(folder))}",
        *(f"  {address}/{page}" for page in ("console", "labels", "dashboard", "docs")),
        f"mlflow server --backend-store-uri {shlex.quote(f'sqlite:///{folder}/mlflow.db')}   (experiments)",
    ]
