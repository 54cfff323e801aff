"""Retraining: gather what people said since, train a challenger from the champion, let the gate decide between them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import sqlalchemy as sa

from models.config import TrainConfig
from models.evaluate import score_release
from models.registry import set_alias
from models.release import current_release, open_release, promote
from models.train import ModelVersion
from models.train import train as train_model
from monitoring.gate import GateResult, compare
from pipeline.extract import extract
from pipeline.nightly import run_pipeline
from pipeline.split import SplitPlan
from tickets.monitor_log import EventKind, close_alarms, record_event
from tickets.tables import FEATURES
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Report = Callable[[str], None]
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainOutcome:
    """The challenger, what the gate said of it, and the champion it met."""

    champion: str
    challenger: ModelVersion
    gate: GateResult

    @property
    def served(self) -> str:
        """The version that is served now."""
        return self.challenger.version if self.gate.promote else self.champion


def retrain(
    workspace: Workspace,
    engine: sa.Engine,
    *,
    as_of: dt.date,
    spark: SparkSession,
    config: TrainConfig,
    tracking_uri: str,
    report: Report,
    progress: Progress,
    validation_days: int = 7,
    gate_days: int = 7,
) -> RetrainOutcome:
    """Train a challenger on everything before the last `gate_days`, compare both on those days, promote it if it wins.

    The `validation_days` before them calibrate the challenger. Neither model has seen the gate's days. The outcome is
    recorded in the model's timeline with the gate's reasons. Raises MissingStepError, TrainingDataError, ReleaseError.
    """
    champion = current_release(workspace)
    test_from = as_of - dt.timedelta(days=gate_days - 1)
    plan = SplitPlan(validation_from=test_from - dt.timedelta(days=validation_days), test_from=test_from)
    extract(workspace, engine, as_of=as_of)
    run_pipeline(workspace, as_of=as_of, spark=spark, plan=plan, report=report)
    challenger = train_model(
        workspace, config, report=report, progress=progress, tracking_uri=tracking_uri, initial=champion.folder
    )
    at = dt.datetime.now(dt.UTC)
    record_event(engine, "trained", at=at, model_version=challenger.version, details={"from": champion.version})
    later = workspace.read(FEATURES, where=pc.field("split") == "test")
    gate = compare(score_release(champion, later), score_release(open_release(challenger.folder), later))
    verdict = {"reasons": list(gate.reasons), "figures": dict(gate.figures), "champion": champion.version}
    if gate.promote:
        promote(workspace, challenger.version)
        set_alias(challenger.version, "champion", tracking_uri=tracking_uri)
        close_alarms(engine, at=at)
    kind: EventKind = "promoted" if gate.promote else "rejected"
    record_event(engine, kind, at=at, model_version=challenger.version, details=verdict)
    report(f"gate: {challenger.version} {kind}: {'; '.join(gate.reasons)}")
    return RetrainOutcome(champion=champion.version, challenger=challenger, gate=gate)
