"""The night's work: steps in their order, each done once, under one lock. STEPS is the whole list; to add one, write a
function that takes the night and says in a line what it did, and name it there.

Little of the night leans on a split: the champion is judged by what its release keeps, retraining cuts at days of its
own, and only doubted labels are sought among the tickets of the last training.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from models.config import TrainConfig
from tickets.catalogue import read_tree
from tickets.errors import SourceError, TrainingDataError
from tickets.last_night import lock_purpose
from tickets.manifests import Manifest
from tickets.night_record import NightRecord, unfinished_nights
from tickets.progress import Progress, Report
from tickets.workspace import Workspace
from triage.alerts import told_at_the_end
from triage.night_options import night_policy, probation_policy
from triage.settings import Settings
from triage.steps import challenge, champion_uri, opened, spark_for

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from monitoring.night import NightReport
    from triage.retrain import RetrainOutcome


@dataclass(frozen=True, slots=True)
class Did:
    """A line that says what a step did, and facts for the steps after it, also when those run in another process."""

    summary: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Night:
    """What the steps of a night share: where they work, for which day, whom they tell. `monitored` and `outcome` are
    what this process found; a step that was done by an earlier one left its facts in the record."""

    settings: Settings
    workspace: Workspace
    engine: sa.Engine
    spark: Callable[[], SparkSession]  # opened at the first call: a night that has little left to do needs none
    config: TrainConfig
    as_of: dt.date
    record: NightRecord
    report: Report
    progress: Progress
    monitored: NightReport | None = None
    outcome: RetrainOutcome | None = None


@dataclass(frozen=True, slots=True)
class NightStep:
    """A step and its name, which the record keeps. Begun again after a crash, it must end as if there had been none."""

    name: str
    run: Callable[[Night], Did]


def bring_in(night: Night) -> Did:
    """New tickets and outcomes from where the company keeps them, into the lake as they are. A source that is away is
    told, and the night goes on without it: the next one takes up what this one missed."""
    from triage.sources import import_news

    try:
        done = import_news(night.settings, night.workspace, as_of=night.as_of, report=night.report)
    except SourceError as error:
        night.report(f"import: {error}")
        return Did(f"nothing came in: {error}")
    if done is None:
        named = night.settings.nightly_import
        return Did("no new files" if named else "TRIAGE_NIGHTLY_IMPORT names nothing to import")
    return Did(f"{done.rows_in:,} rows")


def extract(night: Night) -> Did:
    """What the service and people wrote, into the lake."""
    from pipeline.extract import extract

    done = extract(night.workspace, night.engine, as_of=night.as_of, report=night.report)
    return Did(_counted(done))


def take_up(night: Night) -> Did:
    """From raw rows to features and outcomes."""
    from pipeline.nightly import take_up

    done = take_up(night.workspace, as_of=night.as_of, spark=night.spark(), report=night.report)
    return Did(f"{sum(step.rows_out for step in done):,} rows by {', '.join(step.step for step in done)}")


def probation(night: Night) -> Did:
    """The champion before comes back when the new one does clearly worse; a rollback that was killed is finished."""
    from monitoring.probation import judge_probation, probationer
    from triage.champion import finish_roll_back, roll_back

    uri = champion_uri(night.settings, night.workspace)
    step, dated = night.record.steps["probation"], {"as_of": night.as_of.isoformat()}
    since = step.first_at if step.attempts > 1 else None
    back = finish_roll_back(night.workspace, night.engine, tracking_uri=uri, since=since, details=dated)
    if back is not None:
        return Did(f"{back} is served again: its rollback is finished", {"served": back})
    watched = probationer(night.workspace, night.engine)
    if watched is None:
        return Did("no new champion to watch")
    policy = probation_policy(night.settings.monitoring)
    today = read_tree(night.workspace)
    verdict = judge_probation(night.engine, watched, as_of=night.as_of, today=today, policy=policy)
    if not verdict.roll_back:
        return Did(verdict.reasons[0])
    details = {"reasons": list(verdict.reasons), "figures": dict(verdict.figures), **dated}
    back = roll_back(night.workspace, night.engine, tracking_uri=uri, leave=watched.version, details=details)
    return Did(f"{watched.version} rolled back, {back} is served again: {' '.join(verdict.reasons)}", {"served": back})


def score(night: Night) -> Did:
    """Suggestions for the open tickets."""
    from models.score_backlog import score

    done = score(night.workspace, night.spark(), as_of=night.as_of, report=night.report)
    return Did(f"{done.counts['backlog']:,} open tickets scored by {done.inputs['release']}")


def monitor(night: Night) -> Did:
    """Drift, alarms, labels asked, the decision."""
    from monitoring.night import run_night

    policy = night_policy(night.settings.monitoring)
    found = run_night(night.workspace, night.engine, as_of=night.as_of, policy=policy, report=night.report)
    night.monitored = found
    told = f"{found.run.status}; {len(found.alarms)} alarms open, {found.queued} labels asked"
    decision = {"retrain": found.decision.retrain, "reasons": list(found.decision.reasons)}
    return Did(told, {"run_id": found.run.run_id, "status": found.run.status, "alarms": len(found.alarms), **decision})


def retrain(night: Night) -> Did:
    """A challenger meets the champion, when monitoring decided so. Where the last days have nothing to judge it by, as
    after the import of an old history, that is told and the night goes by."""
    decided = night.record.facts("monitor")
    reasons = " ".join(decided.get("reasons", ()))
    if not decided.get("retrain"):
        return Did(f"not tonight: {reasons}")
    meet = challenge(night.settings, night.workspace, night.engine, night.spark(), night.config)
    first = night.record.steps["retrain"].first
    try:
        outcome = meet(as_of=night.as_of, report=night.report, progress=night.progress, asked_by=first)
    except TrainingDataError as error:
        return Did(f"no training, though {reasons} {error}")
    night.outcome = outcome
    version, verdict = outcome.challenger.version, outcome.gate.verdict
    told = f"{version} {verdict}: {' '.join(outcome.gate.reasons)}"
    return Did(told, {"challenger": version, "verdict": verdict, "served": outcome.served})


def retain(night: Night) -> Did:
    """What the retention policy (TRIAGE_RETENTION__*) lets go goes; what a current table is made from stays."""
    from triage.upkeep import retain_here

    old = retain_here(night.settings, night.workspace, night.engine, as_of=night.as_of, report=night.report)
    gone = [f"{item.name}" for item in old.files if item.gone]
    gone += [f"{one.rows:,} rows of {one.table}" for one in old.rows]
    return Did(f"gone, for they were too old: {', '.join(gone)}" if gone else "nothing is too old")


STEPS: Sequence[NightStep] = (
    NightStep("import", bring_in),
    NightStep("extract", extract),
    NightStep("take up", take_up),
    NightStep("probation", probation),
    NightStep("score", score),
    NightStep("monitor", monitor),
    NightStep("retrain", retrain),
    NightStep("retain", retain),
)


def run_nightly(
    settings: Settings,
    config: TrainConfig,
    *,
    as_of: dt.date,
    report: Report,
    progress: Progress,
    again: bool = False,
    steps: Sequence[NightStep] = STEPS,
) -> Night:
    """The night of a day, or what is left of it: steps that are done already are passed over, unless `again`, or unless
    the night was begun before its day was over and now it is.

    Raises LockedError when another run holds the workspace, and what the steps raise; the record then says which.
    """
    with _opened(settings, as_of) as (workspace, engine, spark):
        for left in unfinished_nights(workspace, as_of):
            report(f"the night of {left.as_of} was not finished; `triage nightly --as-of {left.as_of}` does the rest")
        record = NightRecord.open(workspace, as_of, again=again)
        if record.began_early(dt.datetime.now(dt.UTC)):
            report(f"the night of {as_of} was begun before that day was over; it is done from the start")
            record = NightRecord.open(workspace, as_of, again=True)
        night = Night(
            settings=settings,
            workspace=workspace,
            engine=engine,
            spark=spark,
            config=config,
            as_of=as_of,
            record=record,
            report=report,
            progress=progress,
        )
        with told_at_the_end(settings, engine, report):
            run_steps(night, steps)
    return night


def run_steps(night: Night, steps: Sequence[NightStep] = STEPS) -> None:
    """Each step that is not done yet, in order; the first that fails ends the night."""
    record = night.record
    for step in steps:
        if record.done(step.name):
            night.report(f"{step.name}: done already")
            continue
        record.begin(step.name)
        clock = time.perf_counter()
        try:
            did = step.run(night)
        except BaseException as error:
            record.fail(step.name, error, time.perf_counter() - clock)
            raise
        record.end(step.name, did.summary, time.perf_counter() - clock, did.facts)
    record.finish()


@contextmanager
def _opened(settings: Settings, as_of: dt.date) -> Iterator[tuple[Workspace, sa.Engine, Callable[[], SparkSession]]]:
    """The workspace under its lock, the database, and Spark for who asks."""
    with opened(settings, lock_purpose(as_of.isoformat())) as (workspace, engine), ExitStack() as stack:

        @cache
        def spark() -> SparkSession:
            return stack.enter_context(spark_for(settings))

        yield workspace, engine, spark


def _counted(done: Manifest) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(done.counts.items()))
