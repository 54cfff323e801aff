"""Experiment tracking and the model registry: the only module that knows MLflow.

One run a training; the registered model `triage` carries the aliases `champion` (served) and `challenger` (the newest
one). The store is SQLite or a tracking server; MLflow's telemetry is switched off by whoever starts the process, in
its environment.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

log = structlog.get_logger()

MODEL = "triage"
EXPERIMENT = "triage-training"
Alias = Literal["champion", "challenger"]
_LONGEST_PARAMETER = 500  # characters; MLflow refuses longer ones on some stores


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecord:
    """What is kept of one training. `history` holds the figures of each look at the model, with its `step`."""

    version: str
    folder: Path
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    history: Sequence[Mapping[str, float]] = ()
    data_hash: str = ""
    git_hash: str | None = None
    artifacts: Sequence[Path] = ()


def record_training(record: TrainingRecord, *, tracking_uri: str, artifact_folder: Path | None = None) -> str:
    """Write a run, register the version and make it the challenger; returns the run's id.

    `artifact_folder` is where a local store keeps files; leave it out for a tracking server, which knows its own.
    """
    client = _client(tracking_uri)
    run = client.create_run(_experiment(client, artifact_folder), run_name=record.version)
    run_id: str = run.info.run_id
    with _ended(client, run_id):
        for name, value in record.parameters.items():
            client.log_param(run_id, name, str(value)[:_LONGEST_PARAMETER])
        for name, value in {
            "version": record.version,
            "data_hash": record.data_hash,
            "git_hash": record.git_hash,
        }.items():
            if value:
                client.set_tag(run_id, name, value)
        _log_metrics(client, run_id, record)
        for path in record.artifacts:
            client.log_artifact(run_id, str(path))
    _register(client, record, run_id)
    log.info("training recorded", version=record.version, run_id=run_id)
    return run_id


def set_alias(version: str, alias: Alias, *, tracking_uri: str) -> None:
    """Point the alias at a trained version; one that was trained without MLflow is left alone."""
    client = _client(tracking_uri)
    number = _number(client, version)
    if number is None:
        log.warning("version is not in the registry", version=version, alias=alias)
        return
    client.set_registered_model_alias(MODEL, alias, number)


def git_hash() -> str | None:
    """The commit this code was started from, or None when it does not lie in a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def _client(tracking_uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def _experiment(client: Any, artifact_folder: Path | None) -> str:
    known = client.get_experiment_by_name(EXPERIMENT)
    if known is not None:
        identifier: str = known.experiment_id
        return identifier
    location = None if artifact_folder is None else artifact_folder.resolve().as_uri()
    created: str = client.create_experiment(EXPERIMENT, artifact_location=location)
    return created


@contextmanager
def _ended(client: Any, run_id: str) -> Iterator[None]:
    """The run ends as finished or failed, never stays running."""
    try:
        yield
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, "FINISHED")


def _log_metrics(client: Any, run_id: str, record: TrainingRecord) -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    points = [Metric(name.replace("@", "_at_"), float(value), now, 0) for name, value in record.metrics.items()]
    for number, row in enumerate(record.history):
        step = int(row.get("step", number))
        points += [Metric(f"training/{name}", float(value), now, step) for name, value in row.items() if name != "step"]
    for start in range(0, len(points), 1000):  # the most that one call may carry
        client.log_batch(run_id, metrics=points[start : start + 1000])


def _register(client: Any, record: TrainingRecord, run_id: str) -> None:
    if not client.search_registered_models(filter_string=f"name = '{MODEL}'"):
        client.create_registered_model(MODEL, description="Contact types and reply templates for support tickets.")
    made = client.create_model_version(
        MODEL, source=record.folder.resolve().as_uri(), run_id=run_id, tags={"version": record.version}
    )
    client.set_registered_model_alias(MODEL, "challenger", made.version)


def _number(client: Any, version: str) -> str | None:
    found = client.search_model_versions(f"name = '{MODEL}' and tags.version = '{version}'")
    return str(found[0].version) if found else None
