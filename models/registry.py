"""Experiment tracking and the model registry: the only module that knows MLflow.

One run a training; one run a study, with a nested run for each of its trials, so that MLflow's comparison draws them
as parallel coordinates. The registered model `triage` carries the aliases `champion` (served) and `challenger` (the
newest one). The store is SQLite or a tracking server; MLflow's telemetry is switched off by whoever starts the
process, in its environment.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import structlog

from models.experiments.recording import RunEnd, RunStart, one_line, without_user
from tickets.workspace import Workspace

log = structlog.get_logger()

MODEL = "triage"
EXPERIMENT = "triage-training"
TUNING = "triage-tuning"  # studies and their trials
Alias = Literal["champion", "challenger"]
_LONGEST_PARAMETER = 500  # characters; MLflow refuses longer ones on some stores
_MOST_METRICS, _MOST_PARAMETERS = 1000, 100  # that one call may carry
_FLUSH_SECONDS = 5.0  # between two calls while a run goes on
_AWAY_SECONDS = 60.0  # until a server that did not answer is asked again; each try may take seconds of the training
_STATUS = {"finished": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
_RUN, _WORKSPACE = "triage.run_id", "triage.workspace"  # tags that runs are found by


class MlflowSink:
    """Records one run in MLflow, its curves while it goes on; a training that finished becomes the challenger.

    A killed process leaves its run open. Only one run holds a workspace at a time, so the next one that starts ends
    what it finds open there as failed. On a server that several workspaces share, each finds its own runs alone.
    """

    def __init__(self, workspace: Workspace, tracking_uri: str) -> None:
        self.name = f"MLflow at {without_user(tracking_uri)}"
        self._uri, self._workspace = tracking_uri, workspace
        self._client: Any = None
        self._run: RunStart | None = None
        self._run_id = ""
        self._points: list[tuple[str, float, int, int]] = []  # name, value, time in ms, step
        self._next_flush = 0.0

    def start(self, run: RunStart) -> None:
        self._run, self._client = run, _client(self._uri)
        local = self._uri.startswith("sqlite:")
        artifacts = self._workspace.root / "mlflow-artifacts" if local else None
        experiment = _experiment(self._client, EXPERIMENT if run.kind == "training" else TUNING, artifacts)
        if run.kind != "trial":
            self._end_what_was_killed(run)
        known = self._find(experiment, run.run_id) if run.kind == "study" else None
        if known is not None:  # a study that goes on
            self._run_id = known
            self._client.update_run(known, status="RUNNING")
            return
        parent = self._find(experiment, run.parent) if run.parent else None
        tags = {
            **{name: str(value) for name, value in run.origin.facts().items() if value is not None},
            **({"mlflow.source.git.commit": run.origin.git_hash} if run.origin.git_hash else {}),
            **({"mlflow.parentRunId": parent} if parent else {}),
            **{_RUN: run.run_id, _WORKSPACE: self._workspace.identity(), "kind": run.kind},
        }
        self._run_id = self._client.create_run(experiment, run_name=run.name, tags=tags).info.run_id
        self._log_parameters({**run.knobs, **run.context, **_counts(run)})

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self._points += [(name, float(value), now, step) for name, value in figures.items()]
        if time.monotonic() >= self._next_flush:
            self._flush()

    def end(self, end: RunEnd) -> None:
        with _ended(self._client, self._run_id, _STATUS[end.status]):
            now = int(time.time() * 1000)
            figures = {**end.figures, "seconds": end.seconds}
            self._points += [(name, float(value), now, 0) for name, value in figures.items()]
            self._flush()
            for name, value in {"status": end.status, "reason": end.reason}.items():
                if value:
                    self._client.set_tag(self._run_id, name, value)
            for path in end.product.files:
                self._client.log_artifact(self._run_id, str(path))
            for name, text in end.product.texts.items():
                self._client.log_text(self._run_id, text, name)
            if end.product.model is not None:
                version = end.product.model[0]
                self._client.update_run(self._run_id, name=version)
                self._client.set_tag(self._run_id, "version", version)
        if end.product.model is not None:
            _register(self._client, *end.product.model, self._run_id)
        log.info("run recorded", run_id=self._run_id, status=end.status)

    def _flush(self) -> None:
        from mlflow.entities import Metric

        # Should the server not answer, the points stay for the next time.
        self._next_flush = time.monotonic() + _AWAY_SECONDS
        while self._points:
            some = self._points[:_MOST_METRICS]
            metrics = [Metric(name.replace("@", "_at_"), *rest) for name, *rest in some]
            self._client.log_batch(self._run_id, metrics=metrics)
            del self._points[: len(some)]
        self._next_flush = time.monotonic() + _FLUSH_SECONDS

    def _log_parameters(self, parameters: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        written = [Param(name, str(value)[:_LONGEST_PARAMETER]) for name, value in parameters.items()]
        for first in range(0, len(written), _MOST_PARAMETERS):
            self._client.log_batch(self._run_id, params=written[first : first + _MOST_PARAMETERS])

    def _find(self, experiment: str, run_id: str) -> str | None:
        query = f"tags.`{_RUN}` = {_quoted(run_id)} and {self._ours()}"
        found = self._client.search_runs([experiment], query, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _end_what_was_killed(self, run: RunStart) -> None:
        known = [self._client.get_experiment_by_name(name) for name in (EXPERIMENT, TUNING)]
        query = f"attributes.status = 'RUNNING' and {self._ours()}"
        for left in self._client.search_runs([one.experiment_id for one in known if one is not None], query):
            if left.data.tags.get(_RUN) != run.run_id:
                self._client.set_tag(left.info.run_id, "reason", "killed")
                self._client.set_terminated(left.info.run_id, "FAILED")

    def _ours(self) -> str:
        return f"tags.`{_WORKSPACE}` = {_quoted(self._workspace.identity())}"


def set_alias(version: str, alias: Alias, *, tracking_uri: str) -> None:
    """Point the alias at a trained version; one that was trained without MLflow is left alone.

    A tracking server that is away, or MLflow that is not installed, changes nothing of what is served: a warning says
    that nothing was recorded, and the same call sets the alias later.
    """
    told = {"tracking_uri": without_user(tracking_uri), "version": version, "alias": alias}
    try:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError
    except ImportError as error:
        log.warning("nothing was recorded in MLflow", **told, why=one_line(error))
        return
    try:
        client = _client(tracking_uri)
        number = _number(client, version)
        if number is None:
            log.warning("version is not in the registry", **told)
            return
        client.set_registered_model_alias(MODEL, alias, number)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        log.warning("nothing was recorded in MLflow", **told, why=one_line(error))


def _client(tracking_uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)


def _quoted(text: str) -> str:
    """A text in a filter of MLflow, which knows two kinds of quotes and no way to write one inside its own."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def _experiment(client: Any, name: str, artifact_folder: Path | None) -> str:
    """`artifact_folder` is where a local store keeps files; a tracking server knows its own."""
    known = client.get_experiment_by_name(name)
    if known is not None:
        identifier: str = known.experiment_id
        return identifier
    location = None if artifact_folder is None else artifact_folder.resolve().as_uri()
    created: str = client.create_experiment(name, artifact_location=location)
    return created


@contextmanager
def _ended(client: Any, run_id: str, status: str) -> Iterator[None]:
    """The run ends with its status, or as failed when its end cannot be written; it never stays running."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):  # the first failure is the one to tell
            client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id, status)


def _register(client: Any, version: str, folder: Path, run_id: str) -> None:
    if not client.search_registered_models(filter_string=f"name = '{MODEL}'"):
        client.create_registered_model(MODEL, description="Contact types and reply templates for support tickets.")
    made = client.create_model_version(
        MODEL, source=folder.resolve().as_uri(), run_id=run_id, tags={"version": version}
    )
    client.set_registered_model_alias(MODEL, "challenger", made.version)


def _number(client: Any, version: str) -> str | None:
    found = client.search_model_versions(f"name = '{MODEL}' and tags.version = {_quoted(version)}")
    return str(found[0].version) if found else None


def _counts(run: RunStart) -> dict[str, int]:
    return {f"{split}_tickets": count for split, count in run.origin.tickets.items()}
