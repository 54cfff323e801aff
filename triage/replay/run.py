"""History as if it were live, top to bottom: what `triage replay` runs.

The first days of a history train a first model. From there every policy lives through the rest in a workspace of its
own, a copy of that beginning: each day the champion suggests and agents answer, each night the real jobs run (pipeline,
scoring, monitoring, labels, training, gate), on a clock that shows the time of the tickets. Customers, agents and
labelers are simulated; docs/replay.md says how, and what counts as a label.
"""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from models.release import current_release
from models.score_backlog import score
from models.suggest import Suggester
from models.train import train
from monitoring.night import NightReport, run_night
from pipeline.extract import extract
from pipeline.importing import import_files
from pipeline.nightly import run_pipeline, take_up
from pipeline.split import SplitPlan
from tickets import label_queue
from tickets.catalogue import read_dataset, write_templates, write_tree
from tickets.database import open_database
from tickets.errors import InputError, TrainingDataError
from tickets.label_queue import LabelRequest
from tickets.monitor_log import model_timeline, record_event
from tickets.progress import Progress, Report, each, silent
from tickets.simulate import SimulatedDay
from tickets.workspace import Workspace
from triage.champion import promote
from triage.labelers import answer_queue
from triage.replay.desk import Answered, Reader, work
from triage.replay.history import History, in_force
from triage.replay.kept import begun, find_life, keep_life, key_of, note_begun
from triage.replay.policies import ReplayPlan, ReplayPolicy
from triage.replay.record import Lived, LivedDay, ReplayResult
from triage.retrain import RetrainOutcome, retrain

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BEGINNING = "beginning"
# Monitoring compares with the validation tickets: a tenth of some weeks would be too few to see anything beside.
_FIRST_SPLIT = SplitPlan(train=0.75, validation=0.2, test=0.05)
_UNTRACKED = ("none",)  # of the sinks: the workspace's own journal is enough


def replay(
    folder: Path,
    history: History,
    policies: Sequence[ReplayPolicy],
    plan: ReplayPlan,
    *,
    spark: SparkSession,
    report: Report,
    progress: Progress,
) -> ReplayResult:
    """Live through a history under each policy, in `folder`. What was lived there to its end, of the same history, plan
    and policy, is not lived again. Raises TriageError when the machine or the history lacks something."""
    if len(history.days) <= plan.learn_days:
        raise InputError(
            f"the history has {len(history.days)} days, and {plan.learn_days} of them are for learning.",
            hint="Import more days, or let --tickets-per-day make more of them.",
        )
    if not begun(folder, key := key_of(history, plan)):
        make_anew(folder)
        report(f"the beginning: a first model from {plan.learn_days} days of {history.name}")
        _begin(folder / _BEGINNING, history, plan, spark, progress)
        note_begun(folder, key)
    lived = []
    for policy in policies:
        report(f"{policy.name}: {policy.told}")
        root = folder / _folder_name(policy)
        if (life := find_life(root, policy)) is None:
            life = _live(root, history, policy, plan, spark=spark, report=report, progress=progress)
            keep_life(root, policy, life)
        lived.append(life)
        report(f"{policy.name}: {life.accuracy:.1%} right, {life.labels:,} labels")
    return ReplayResult(history=history.name, events=history.events, policies=tuple(lived))


def _live(
    root: Path,
    history: History,
    policy: ReplayPolicy,
    plan: ReplayPlan,
    *,
    spark: SparkSession,
    report: Report,
    progress: Progress,
) -> Lived:
    """Live under one policy, in a copy of the beginning."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(root.parent / _BEGINNING, root)
    workspace = Workspace.open(root)
    engine = open_database(workspace.default_database_url)  # its own: TRIAGE_DATABASE_URL is for what really happens
    try:
        with workspace.lock("replay"):
            return _Life(
                workspace=workspace,
                engine=engine,
                history=history,
                policy=policy,
                plan=plan,
                spark=spark,
                salt=read_dataset(workspace).name,
                report=report,
                progress=progress,
            ).live()
    finally:
        engine.dispose()


def make_anew(folder: Path) -> None:
    """Empty the folder of an earlier replay. Raises InputError when it holds something else."""
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _BEGINNING / "workspace.json").exists():
            raise InputError(f"{folder} holds something that is no replay.", hint="Name another with --into.")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)


def _begin(root: Path, history: History, plan: ReplayPlan, spark: SparkSession, progress: Progress) -> None:
    """Import the days to learn from, train the first model, serve it."""
    workspace, days = Workspace.create(root), history.days[: plan.learn_days]
    engine = open_database(workspace.default_database_url)
    try:
        with workspace.lock("replay"):
            dataset = history.export(root / "export", days)
            import_files(workspace, [], dataset, as_of=days[-1].day)
            run_pipeline(workspace, as_of=days[-1].day, spark=spark, plan=_FIRST_SPLIT)
            first = train(workspace, plan.training, report=silent, progress=progress, sinks=_UNTRACKED)
            at = _evening(days[-1].day)
            record_event(engine, "trained", at=at, model_version=first.version, details={"from": "history"})
            told = {"reasons": ["the first model"]}
            promote(workspace, engine, first.version, details=told, tracking_uri="", at=at)
    finally:
        engine.dispose()


@dataclass(kw_only=True)
class _Life:
    """One policy while it lives through the history."""

    workspace: Workspace
    engine: sa.Engine
    history: History
    policy: ReplayPolicy
    plan: ReplayPlan
    spark: SparkSession
    salt: str
    report: Report
    progress: Progress
    reader: Reader | None = None
    unlabelled: list[Answered] = field(default_factory=list)  # of policies that label all tickets
    labels: int = 0
    alarms: int = 0

    def live(self) -> Lived:
        started, days = time.monotonic(), self.history.days[self.plan.learn_days :]
        lived = []
        for number, day in each(f"days lived, {self.policy.name}", enumerate(days, start=1), len(days)):
            self._open(day.day)
            answered = self._day(day)
            last = number == len(days)
            night = self._night(day.day) if number % self.policy.nights_every == 0 or last else None
            if night is not None and night.decision.retrain and not last:  # on the last evening it would serve nobody
                self._retrain(night, day.day)
            elif number % self.plan.batch_every == 0:
                self._batch(day.day)
            lived.append(self._told(day, answered))
        kinds = Counter(event.kind for event in model_timeline(self.engine, limit=10_000))
        return Lived(
            policy=self.policy.name,
            told=self.policy.told,
            days=tuple(lived),
            trainings=kinds["trained"] - 1,  # the first model is everybody's
            promotions=kinds["promoted"] - 1,
            alarms=self.alarms,
            minutes=(time.monotonic() - started) / 60,
        )

    def _open(self, day: dt.date) -> None:
        """The morning: the catalogue as it is now, and the champion."""
        catalogue = in_force(self.history.catalogues, day)
        if catalogue.since == day:
            write_tree(self.workspace, catalogue.tree)
            write_templates(self.workspace, catalogue.templates)
        release = current_release(self.workspace)
        if self.reader is None or self.reader.release.version != release.version:
            self.reader = Reader(Suggester.load(release))

    def _day(self, day: SimulatedDay) -> list[Answered]:
        """Agents work; where every ticket is labelled on its day, people do that too."""
        assert self.reader is not None
        answered = work(self.engine, day, self.reader.suggester, seed=self.plan.seed, salt=self.salt)
        if self.policy.labelled in ("all since the last training", "everything"):
            self.unlabelled += answered
        if self.policy.labelled == "everything":
            self._label_all(day.day)
        return answered

    def _night(self, day: dt.date) -> NightReport:
        """Monitoring looks; people answer what it asked."""
        plan = self.plan
        policy = replace(self.policy.night, validation_days=plan.validation_days, gate_days=plan.gate_days)
        night = run_night(
            self.workspace, self.engine, as_of=day, policy=policy, suggester=self.reader, now=_evening(day)
        )
        self.alarms += len(night.raised)
        for alarm in night.raised:
            self.report(f"  {day}: {alarm.severity}: {alarm.message}")
        self.labels += answer_queue(self.engine, self.history.truth, at=_evening(day))
        return night

    def _retrain(self, night: NightReport, day: dt.date) -> None:
        """Train a challenger and let it meet the champion, after the labels that the policy wants for it."""
        self.report(f"  {day}: training: {'; '.join(night.decision.reasons)}")
        if self.policy.labelled == "all since the last training":
            self._label_all(day)
        try:
            outcome = self._challenge(day)
        except TrainingDataError as error:  # such as days without a ticket: a night that cannot train goes by
            self.report(f"  {day}: no training: {error}")
            return
        self.report(f"  {day}: {'promoted' if outcome.gate.promote else 'rejected'}: {'; '.join(outcome.gate.reasons)}")

    def _challenge(self, day: dt.date) -> RetrainOutcome:
        return retrain(
            self.workspace,
            self.engine,
            as_of=day,
            now=_evening(day),
            spark=self.spark,
            config=self.plan.retraining,
            tracking_uri="",
            sinks=_UNTRACKED,
            report=silent,
            progress=self.progress,
            validation_days=self.plan.validation_days,
            gate_days=self.plan.gate_days,
        )

    def _label_all(self, day: dt.date) -> None:
        """Ask for every ticket that was not labelled yet, and have the answers."""
        requests = [
            LabelRequest(ticket=one.ticket, share="random", priority=0.0, suggestion=one.suggestion)
            for one in self.unlabelled
            if one.suggestion is not None
        ]
        label_queue.enqueue(self.engine, requests, at=_evening(day))
        self.labels += answer_queue(self.engine, self.history.truth, at=_evening(day))
        self.unlabelled.clear()

    def _batch(self, day: dt.date) -> None:
        """What came since, into the lake; suggestions for what is still open."""
        extract(self.workspace, self.engine, as_of=day)
        take_up(self.workspace, as_of=day, spark=self.spark)
        score(self.workspace, self.spark, as_of=day, report=silent)

    def _told(self, day: SimulatedDay, answered: Sequence[Answered]) -> LivedDay:
        assert self.reader is not None
        return LivedDay(
            day=day.day,
            tickets=len(answered),
            right=sum(one.right for one in answered),
            accepted=sum(one.accepted for one in answered),
            labels=self.labels,
            model_version=self.reader.release.version,
        )


def _evening(day: dt.date) -> dt.datetime:
    """When a day's work is over and its night begins, dated so that both are of one day."""
    return dt.datetime.combine(day, dt.time(23, 59), tzinfo=dt.UTC)


def _folder_name(policy: ReplayPolicy) -> str:
    return policy.name.replace(" ", "-")
