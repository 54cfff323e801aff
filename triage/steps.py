"""What each command does, as one plain function a command: open what is needed, call the part that does the work."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from tickets.monitor_log import record_event
from tickets.progress import Progress, Report
from tickets.workspace import Workspace
from triage.settings import Settings, database, tracking_uri

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from models.config import TrainConfig
    from models.diagnosis.diagnose import Diagnosis, Wanted
    from models.diagnosis.error_report import ErrorReport
    from models.release import Release
    from models.train import ModelVersion
    from monitoring.night import NightReport
    from triage.retrain import RetrainOutcome

BY_HAND = {"reasons": ["promoted by hand"]}
Periods = tuple[dt.date | None, ...]  # first day of validation, first day of test, the day after test


@contextmanager
def opened(settings: Settings, purpose: str, *, locked: bool = True) -> Iterator[tuple[Workspace, sa.Engine]]:
    """The workspace, locked unless it is only looked at, and its database. Raises WorkspaceError, LockedError,
    MachineError."""
    workspace = Workspace.open(settings.workspace)
    with workspace.lock(purpose) if locked else nullcontext(), database(settings, workspace) as engine:
        yield workspace, engine


@contextmanager
def spark_for(settings: Settings) -> Iterator[SparkSession]:
    """A Spark session for one command, stopped at the end. Raises MachineError when Java is missing or too old."""
    from pipeline.session import open_spark

    asked = settings.spark
    with open_spark(
        master=asked.master, memory=asked.memory, executor_memory=asked.executor_memory, config=asked.config
    ) as session:
        yield session


def import_files(settings: Settings, files: Sequence[Path], dataset: str, *, as_of: dt.date, report: Report) -> None:
    """Raises DatasetError, SourceError, LockedError."""
    from pipeline import importing
    from pipeline.datasets import ready_dataset

    workspace = Workspace.create(settings.workspace)
    path = Path(dataset) if dataset.endswith(".toml") else ready_dataset(dataset)
    with workspace.lock("import"):
        url = settings.source_url.get_secret_value() if settings.source_url else None
        importing.import_dataset(workspace, files, path, as_of=as_of, source_url=url, report=report)


def features(settings: Settings, *, as_of: dt.date, periods: Periods, with_topics: bool, report: Report) -> None:
    """Extract from the operational database, then clean, featurise, label, split and pair; make the topics of COTA v1
    when they are asked for."""
    from pipeline.extract import extract
    from pipeline.nightly import run_pipeline
    from pipeline.split import SplitPlan
    from pipeline.topics.step import topics

    validation_from, test_from, test_until = periods
    plan = SplitPlan(validation_from=validation_from, test_from=test_from, test_until=test_until)
    with opened(settings, "features") as (workspace, engine), spark_for(settings) as spark:
        extract(workspace, engine, as_of=as_of, report=report)
        run_pipeline(workspace, as_of=as_of, spark=spark, plan=plan, report=report)
        if with_topics:
            topics(workspace, as_of=as_of, spark=spark, report=report)


def train(
    settings: Settings,
    preset: str,
    knobs: Mapping[str, Any],
    *,
    promote_it: bool,
    report: Report,
    progress: Progress,
    knobs_file: Path | None = None,
    sinks: Sequence[str] = (),
    teachers: Sequence[str] = (),
    with_unlabelled: bool = False,
) -> ModelVersion | None:
    """Train with a preset, the knobs of a file over it, `knobs` that are not None over both. `sinks` that are named
    stand for those of the settings, `teachers` are versions. Under torchrun the first process does all this and holds
    the lock; the others take their share of the steps and end with None. Raises InputError, TrainingDataError,
    ReleaseError."""
    from models import train as training
    from models.release import known_release
    from models.training.distributed import meet
    from triage import champion

    config = train_config(preset, knobs, knobs_file)
    workers = meet(config.device)
    if not workers.first:
        given = Workspace.open(settings.workspace)
        teaching = [known_release(given, version) for version in teachers]
        training.assist(given, config, workers=workers, teachers=teaching, with_unlabelled=with_unlabelled)
        return None
    with opened(settings, "train") as (workspace, engine):
        uri, recorded = tracking_uri(settings, workspace), sinks or settings.tracking.names()
        trained = training.train(
            workspace,
            config,
            report=report,
            progress=progress,
            tracking_uri=uri,
            sinks=recorded,
            teachers=[known_release(workspace, version) for version in teachers],
            with_unlabelled=with_unlabelled,
            workers=workers,
        )
        now = dt.datetime.now(dt.UTC)
        record_event(engine, "trained", at=now, model_version=trained.version, details={"preset": preset})
        if promote_it:
            alias = champion.alias_uri(uri, recorded)
            champion.promote(workspace, engine, trained.version, details=BY_HAND, tracking_uri=alias)
    return trained


def train_config(preset: str, knobs: Mapping[str, Any], knobs_file: Path | None = None) -> TrainConfig:
    """Raises InputError for a preset that does not exist, a file that holds no knobs, a value that cannot work."""
    from models import config
    from models.experiments.knobs import read_knobs

    base = config.preset(preset)
    if knobs_file is not None:
        base = replace(base, **read_knobs(knobs_file))
    return replace(base, **{name: value for name, value in knobs.items() if value is not None})


def debug(
    settings: Settings,
    preset: str,
    knobs: Mapping[str, Any],
    wanted: Wanted,
    *,
    report: Report,
    progress: Progress,
    knobs_file: Path | None = None,
) -> Diagnosis:
    """Look into the workspace's own training data and, where there is one, its model. It takes no lock.

    Raises MissingStepError, TrainingDataError, InputError, ReleaseError.
    """
    from models.diagnosis.diagnose import diagnose

    workspace, config = Workspace.open(settings.workspace), train_config(preset, knobs, knobs_file)
    return diagnose(workspace, config, wanted, report=report, progress=progress)


def model_version(settings: Settings, version: str | None) -> ModelVersion:
    """A trained model, or the current release. Raises ReleaseError when there is none."""
    from models.train import ModelVersion

    release = _release(Workspace.open(settings.workspace), version)
    return ModelVersion(version=release.version, folder=release.folder, metrics=release.metrics)


def errors(
    settings: Settings, version: str | None, *, split: str, report: Report
) -> tuple[ErrorReport, tuple[Path, Path, Path]]:
    """What a trained model, or the current release, gets wrong, and the files that say so. Raises InputError,
    ReleaseError, TrainingDataError, MissingStepError, MachineError."""
    from models.diagnosis.error_report import report_errors
    from models.diagnosis.error_text import write_report
    from models.release import TREE
    from tickets.catalogue import load_tree

    workspace = Workspace.open(settings.workspace)
    release = _release(workspace, version)
    found = report_errors(workspace, release, split=split, report=report)
    return found, write_report(workspace, found, load_tree(release.path(TREE)))


def _release(workspace: Workspace, version: str | None) -> Release:
    """The model of a version; the current release where none is named."""
    from models.release import current_release, known_release

    return known_release(workspace, version) if version else current_release(workspace)


def promote(settings: Settings, version: str, *, force: bool = False) -> None:
    """Raises ReleaseError, naming the versions there are, or why the model is in quarantine."""
    from triage import champion

    with opened(settings, "promote") as (workspace, engine):
        uri = champion_uri(settings, workspace)
        champion.promote(workspace, engine, version, details=BY_HAND, tracking_uri=uri, force=force)


def rollback(settings: Settings) -> str:
    """Serve the previous champion again; its version. Raises ReleaseError when there was none.

    It does not wait for the run lock: a bad release must go while a long run goes on.
    """
    from triage import champion

    workspace = Workspace.open(settings.workspace)
    with database(settings, workspace) as engine:
        return champion.roll_back(workspace, engine, tracking_uri=champion_uri(settings, workspace))


def champion_uri(settings: Settings, workspace: Workspace) -> str:
    """Where MLflow's alias of the champion is kept; "" when MLflow is none of the sinks."""
    from triage.champion import alias_uri

    return alias_uri(tracking_uri(settings, workspace), settings.tracking.names())


def first_key(settings: Settings) -> str | None:
    """The administrator's key of a service that never had one, made now; None otherwise. Raises InputError for a host
    that others reach while no keys are required, MachineError."""
    from triage.keys import check_reach, make_first_key

    check_reach(settings)
    return make_first_key(settings)


def serve(settings: Settings) -> None:
    """Serve until a signal. Raises MachineError when the port is taken or the database cannot be opened."""
    from service import app
    from service.options import LogOptions
    from service.traces import exported_traces
    from triage.service_options import server_options, service_options

    workspace = Workspace.create(settings.workspace)
    with database(settings, workspace) as engine, exported_traces(settings.otlp_endpoint) as traces:
        made = app.create_app(workspace, engine, service_options(settings, traces))
        logs = LogOptions(level=settings.log.level, format=settings.log.format)
        app.serve(made, settings.host, settings.port, options=server_options(settings), logs=logs)


def score(settings: Settings, *, as_of: dt.date, report: Report) -> None:
    """Suggest for every open ticket in the lake. Raises MissingStepError, ReleaseError."""
    from models import score_backlog

    with opened(settings, "score") as (workspace, _), spark_for(settings) as spark:
        score_backlog.score(workspace, spark, as_of=as_of, report=report)


def monitor(settings: Settings, *, as_of: dt.date, report: Report) -> NightReport:
    """Raises ReleaseError before the first promotion."""
    from monitoring.night import run_night
    from triage.night_options import night_policy

    with opened(settings, "monitor") as (workspace, engine):
        policy = night_policy(settings.monitoring)
        return run_night(workspace, engine, as_of=as_of, policy=policy, report=report)


def retrain(
    settings: Settings, config: TrainConfig, *, as_of: dt.date, report: Report, progress: Progress
) -> RetrainOutcome:
    """Train a challenger and let it meet the champion. Raises ReleaseError, MissingStepError, TrainingDataError."""
    with opened(settings, "retrain") as (workspace, engine), spark_for(settings) as spark:
        meet = challenge(settings, workspace, engine, spark, config)
        return meet(as_of=as_of, report=report, progress=progress)


def challenge(
    settings: Settings, workspace: Workspace, engine: sa.Engine, spark: SparkSession, config: TrainConfig
) -> Callable[..., RetrainOutcome]:
    """`triage.retrain.retrain` with all but the day and those who are told."""
    from triage.night_options import gate_policy
    from triage.retrain import retrain as meet

    knobs = settings.monitoring
    return partial(
        meet,
        workspace,
        engine,
        spark=spark,
        config=config,
        tracking_uri=champion_uri(settings, workspace),
        sinks=settings.tracking.names(),
        validation_days=knobs.validation_days,
        gate_days=knobs.gate_days,
        start=knobs.retrain_start,
        gate=gate_policy(knobs),
    )
