"""Retraining: gather what people said since, train a challenger from the champion, let the gate decide between them.

One that was killed goes on where it stopped (triage/unfinished.py): run again for the same day, it leaves what it would
have left.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from models.config import TrainConfig
from models.evaluate import score_release
from models.experiments.sinks import DEFAULT_SINKS
from models.quarantine import quarantine, quarantined
from models.release import Release, current_release, current_version, open_release
from models.train import ModelVersion
from models.train import train as train_model
from monitoring.gate import GatePolicy, GateResult, compare
from monitoring.windows import newest_ticket
from pipeline.extract import extract
from pipeline.nightly import run_pipeline
from pipeline.split import SplitPlan
from tickets.catalogue import read_tree
from tickets.errors import InputError
from tickets.examples import read_examples
from tickets.monitor_log import ALL, EventKind, model_timeline, record_event
from tickets.progress import Progress, Report
from tickets.workspace import Workspace
from triage import unfinished
from triage.champion import promote
from triage.monitoring_settings import Start

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainOutcome:
    """The challenger, what the gate said of it, the champion it met, and the version that is served now."""

    champion: str
    challenger: ModelVersion
    gate: GateResult
    served: str


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
    start: Start = "auto",
    gate: GatePolicy | None = None,
    asked_by: str = "",
    now: dt.datetime | None = None,
) -> RetrainOutcome:
    """Train a challenger on everything before the last days, compare both on those days, promote it if it wins.

    The gate looks at the last `gate_days`; the `validation_days` before them calibrate the challenger. Neither model
    has learned from a ticket that the gate looks at. The timeline tells the outcome and the gate's reasons, dated
    `now`; a challenger that fails goes into quarantine. A retraining that the night `asked_by` (the time that its step
    was begun first) brought to its end is told again, not done again. Raises MissingStepError, TrainingDataError,
    InputError, ReleaseError.
    """
    begun = unfinished.unfinished(workspace, as_of, asked_by=asked_by)
    challenger = unfinished.find_challenger(workspace, begun) if begun else None
    champion = current_release(workspace)
    if begun is not None and challenger is not None:
        champion = open_release(workspace.releases / begun.champion)  # the challenger may be served already
        report(f"{challenger.version} was trained by an earlier run for {as_of}; it meets the champion now")
    else:
        extract(workspace, engine, as_of=as_of, report=report)
        plan = _plan(as_of, validation_days, gate_days)
        run_pipeline(workspace, as_of=as_of, spark=spark, plan=plan, report=report)
        initial = starting_point(workspace, champion, plan.validation_from or as_of, start)
        report(_told_start(champion, initial, config))
        if initial is not None:  # whose encoder it keeps, whatever the preset names
            config = dataclasses.replace(config, encoder=champion.config.get("encoder", config.encoder))
        begun = unfinished.begin(
            workspace, as_of=as_of, champion=champion, initial=initial, config=config, asked_by=asked_by
        )
        fit = partial(train_model, workspace, config, report=report, progress=progress, sinks=sinks)
        trained = fit(tracking_uri=tracking_uri, initial=initial.folder if initial else None)
        challenger = open_release(trained.folder)
    at = now or dt.datetime.now(dt.UTC)
    origin = {"from": challenger.started_from or challenger.config.get("encoder", config.encoder), "as_of": str(as_of)}
    _record_once(engine, "trained", challenger.version, at=at, details=origin)
    report(f"{challenger.version} meets {champion.version} on the last {gate_days} days")
    result = meet(workspace, champion, challenger, gate, report)
    if not begun.ended:
        result = still_holds(workspace, champion, challenger, result)
        settle(workspace, engine, champion, challenger, result, as_of=as_of, at=at, tracking_uri=tracking_uri)
        unfinished.end(workspace, begun, asked_by=asked_by)
    report(f"gate: {challenger.version} {result.verdict}: {'; '.join(result.reasons)}")
    made = ModelVersion(version=challenger.version, folder=challenger.folder, metrics=challenger.metrics)
    served = current_version(workspace) or champion.version
    return RetrainOutcome(champion=champion.version, challenger=made, gate=result, served=served)


def _plan(as_of: dt.date, validation_days: int, gate_days: int) -> SplitPlan:
    test_from = as_of - dt.timedelta(days=gate_days - 1)
    return SplitPlan(validation_from=test_from - dt.timedelta(days=validation_days), test_from=test_from)


def starting_point(
    workspace: Workspace, champion: Release, held_out_from: dt.date, start: Start = "auto"
) -> Release | None:
    """The model a challenger goes on from: the champion, unless it learned from days now held out (the challenger would
    know their answers already, and its calibration would be too sure) or is in quarantine. None for the encoder.

    Raises InputError when a warm start was asked for and is not to be had.
    """
    if start == "cold":
        return None
    knows = newest_ticket(champion, "train").date() >= held_out_from
    held = champion.version in quarantined(workspace)
    if not (knows or held):
        return champion
    if start == "warm":
        why = "learned from days now held out" if knows else "is in quarantine"
        raise InputError(
            f"the challenger cannot start from {champion.version}, which {why}.",
            hint="Wait until the held-out days lie after its training, or set TRIAGE_MONITORING__RETRAIN_START=auto.",
        )
    return None


def _told_start(champion: Release, initial: Release | None, config: TrainConfig) -> str:
    if initial is not None:
        return f"the challenger goes on from {champion.version}"
    return f"the challenger starts afresh from {config.encoder}"


def settle(
    workspace: Workspace,
    engine: sa.Engine,
    champion: Release,
    challenger: Release,
    gate: GateResult,
    *,
    as_of: dt.date,
    at: dt.datetime,
    tracking_uri: str,
) -> None:
    """What follows from the gate's word: promoted, or rejected and in quarantine. One that there were too few tickets
    to judge has not failed: the timeline says so, and a person may promote it. `as_of` is the day whose tickets were
    the last that both met on; schedules count from it, since a night ends on the day after."""
    verdict = {
        "reasons": list(gate.reasons),
        "figures": dict(gate.figures),
        "champion": champion.version,
        "judged": gate.judged,
        "as_of": as_of.isoformat(),
    }
    if gate.promote:
        promote(workspace, engine, challenger.version, details=verdict, tracking_uri=tracking_uri, at=at)
        return
    if gate.judged:
        with workspace.releases_lock():
            quarantine(workspace, challenger.version, reasons=gate.reasons, at=at)
    _record_once(engine, "rejected", challenger.version, at=at, details=verdict)


def _record_once(
    engine: sa.Engine, kind: EventKind, version: str, *, at: dt.datetime, details: Mapping[str, Any]
) -> None:
    """One line in the timeline; an earlier run may have written it before it was killed."""
    known = model_timeline(engine, limit=ALL)
    if not any(event.kind == kind and event.model_version == version for event in known):
        record_event(engine, kind, at=at, model_version=version, details=details)


def meet(
    workspace: Workspace, champion: Release, challenger: Release, policy: GatePolicy | None, report: Report
) -> GateResult:
    """Both on the test period, less what the champion knows: a champion promoted by hand may have learned from it.

    Each model's contact types count for what they are in today's tree; tickets of which that cannot be told are left
    out for both."""
    known = pa.scalar(newest_ticket(champion, "train", "validation"), pa.timestamp("us", tz="UTC"))
    later = read_examples(workspace, splits=["test"]).filter(pc.field("created_at") > known)
    today = read_tree(workspace)
    before, now = (score_release(release, later, today=today) for release in (champion, challenger))
    told = before.told & now.told
    if not told.all():
        report(f"{int((~told).sum())} tickets are left out: the tree of today does not tell whether a model was right")
    return compare(before.take(told), now.take(told), policy)


def still_holds(workspace: Workspace, champion: Release, challenger: Release, result: GateResult) -> GateResult:
    """The gate's word, unless somebody changed the champion meanwhile: a challenger that was rolled back before the run
    that promoted it was over stays where it is, and so does a champion that the challenger has not met."""
    if not result.promote:
        return result
    served, held = current_version(workspace), quarantined(workspace).get(challenger.version)
    if held is not None:
        return dataclasses.replace(result, promote=False, reasons=(f"it is in quarantine {held}",))
    if served not in (champion.version, challenger.version):
        told = f"it won against {champion.version}, but {served} is served since, which it has not met."
        return GateResult(False, (told,), {"tickets": result.figures["tickets"]})  # nothing to hold against it
    return result
