"""Retraining: gather what people said since, train a challenger from the champion, let the gate decide between them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from models.config import TrainConfig
from models.evaluate import score_release
from models.experiments.sinks import DEFAULT_SINKS
from models.release import Release, current_release, open_release
from models.train import ModelVersion
from models.train import train as train_model
from monitoring.gate import GateResult, compare
from pipeline.extract import extract
from pipeline.nightly import run_pipeline
from pipeline.split import SplitPlan
from tickets.examples import read_examples
from tickets.monitor_log import record_event
from tickets.workspace import Workspace
from triage.champion import promote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Report = Callable[[str], None]
Progress = Callable[[int, int, float], None]
_LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


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
    sinks: Sequence[str] = DEFAULT_SINKS,
    validation_days: int = 7,
    gate_days: int = 7,
    now: dt.datetime | None = None,
) -> RetrainOutcome:
    """Train a challenger on everything before the last days, compare both on those days, promote it if it wins.

    The gate looks at the last `gate_days`; the `validation_days` before them calibrate the challenger. Neither model
    has learned from a ticket that the gate looks at. The outcome is recorded in the model's timeline, dated `now`, with
    the gate's reasons. Raises MissingStepError, TrainingDataError, ReleaseError.
    """
    champion = current_release(workspace)
    test_from = as_of - dt.timedelta(days=gate_days - 1)
    validation_from = test_from - dt.timedelta(days=validation_days)
    extract(workspace, engine, as_of=as_of, report=report)
    plan = SplitPlan(validation_from=validation_from, test_from=test_from)
    run_pipeline(workspace, as_of=as_of, spark=spark, plan=plan, report=report)
    initial = starting_point(champion, validation_from)
    if initial is None:
        report(f"the champion learned from days now held out, so the challenger starts afresh from {config.encoder}")
    else:  # whose encoder it keeps, whatever the preset names
        config = dataclasses.replace(config, encoder=champion.config.get("encoder", config.encoder))
    challenger = train_model(
        workspace,
        config,
        report=report,
        progress=progress,
        tracking_uri=tracking_uri,
        sinks=sinks,
        initial=initial,
    )
    at = now or dt.datetime.now(dt.UTC)
    origin = {"from": champion.version if initial else config.encoder}
    record_event(engine, "trained", at=at, model_version=challenger.version, details=origin)
    gate = _meet(workspace, champion, open_release(challenger.folder))
    verdict = {"reasons": list(gate.reasons), "figures": dict(gate.figures), "champion": champion.version}
    if gate.promote:
        promote(workspace, engine, challenger.version, details=verdict, tracking_uri=tracking_uri, at=at)
    else:
        record_event(engine, "rejected", at=at, model_version=challenger.version, details=verdict)
    report(f"gate: {challenger.version} {'promoted' if gate.promote else 'rejected'}: {'; '.join(gate.reasons)}")
    return RetrainOutcome(champion=champion.version, challenger=challenger, gate=gate)


def starting_point(champion: Release, held_out_from: dt.date) -> Path | None:
    """The model a challenger goes on from: the champion, unless it learned from days now held out. The challenger would
    know their answers already, and its calibration would be too sure."""
    return champion.folder if last_seen(champion, "train").date() < held_out_from else None


def _meet(workspace: Workspace, champion: Release, challenger: Release) -> GateResult:
    """Both on the test period, less what the champion knows: a champion promoted by hand may have learned from it."""
    known = pa.scalar(last_seen(champion, "train", "validation"), pa.timestamp("us", tz="UTC"))
    later = read_examples(workspace, splits=["test"]).filter(pc.field("created_at") > known)
    return compare(score_release(champion, later), score_release(challenger, later))


def last_seen(release: Release, *splits: str) -> dt.datetime:
    """When the newest ticket of these splits of a release was created; 1970 when they have none."""
    times = [dt.datetime.fromisoformat(release.windows[split]["to"]) for split in splits if split in release.windows]
    return max((time if time.tzinfo else time.replace(tzinfo=dt.UTC) for time in times), default=_LONG_AGO)
