"""MLflow, on a real SQLite store: what a training leaves there, and who is champion."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from structlog.testing import capture_logs

from models.experiments.origin import Origin
from models.experiments.recording import Product, Pruned, RunEnd, RunStart, recorded
from models.registry import EXPERIMENT, MODEL, TUNING, MlflowSink, set_alias
from models.train import train
from tickets.experiment_log import read_runs
from tickets.workspace import Workspace
from triage import steps
from triage.settings import Settings, TrackingSettings

ORIGIN = Origin(
    data_hash="d" * 64,
    validation_hash="v" * 64,
    tickets={"train": 10},
    git_hash="c" * 40,
    git_dirty=True,
    device="cpu",
    device_name="a CPU",
    cores=2,
    memory_gb=8.0,
    libraries={"torch": "2.13.0"},
)


@pytest.fixture(autouse=True)
def quiet_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # as triage/settings.py has it, but sooner
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def start_of(run_id: str, kind: str = "training", **other: object) -> RunStart:
    return RunStart(run_id=run_id, kind=kind, name=run_id, knobs={"epochs": 1}, origin=ORIGIN, **other)  # type: ignore[arg-type]


def runs_of(uri: str, experiment: str = EXPERIMENT):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(uri)
    return client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def test_a_training_is_one_run_with_parameters_curves_and_figures(trained, tiny_config):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(trained.tracking_uri)
    (run,) = runs_of(trained.tracking_uri)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == trained.model.version
    assert {name: run.data.params[name] for name in ("batch_size", "train_tickets", "trainable_layers")} == {
        "batch_size": "16",
        "train_tickets": "260",
        "trainable_layers": "None",
    }
    assert {field.name for field in dataclasses.fields(tiny_config)} <= set(run.data.params)
    tags = run.data.tags
    assert tags["version"] == trained.model.version
    assert len(tags["data_hash"]) == len(tags["validation_hash"]) == 64
    assert len(tags["git_hash"]) == 40
    assert tags["git_dirty"] in ("True", "False")
    assert tags["device"] == "cpu"
    assert int(tags["cores"]) > 0
    assert tags["version_torch"].startswith("2.")
    assert run.data.metrics["test/accuracy"] == trained.model.metrics["model"]["test"]["accuracy"]
    assert "tfidf/test/hits_at_3" in run.data.metrics
    assert run.data.metrics["seconds"] > run.data.metrics["train_seconds"] > 0
    looks = client.get_metric_history(run.info.run_id, "training/validation_mrr")
    assert len(looks) == tiny_config.epochs
    assert run.data.metrics["validation_mrr"] == max(look.value for look in looks)


def test_the_curve_of_a_training_has_loss_and_rate_at_every_few_steps(trained, tiny_config):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(trained.tracking_uri)
    (run,) = runs_of(trained.tracking_uri)
    loss, rate = (client.get_metric_history(run.info.run_id, f"step/{name}") for name in ("loss", "rate"))
    steps = -(-260 // 16) * tiny_config.epochs
    assert [point.step for point in loss] == [point.step for point in rate]
    assert (loss[0].step, loss[-1].step) == (-(-steps // 200), steps)
    assert 100 < len(loss) <= 200
    assert loss[-1].value < loss[0].value
    assert max(point.value for point in rate) == pytest.approx(tiny_config.head_learning_rate, rel=0.05)
    assert loss[0].timestamp < loss[-1].timestamp  # they were taken as they came


def test_the_report_of_every_class_and_the_card_are_kept(trained, tmp_path):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(trained.tracking_uri)
    (run,) = runs_of(trained.tracking_uri)
    assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {
        *("metrics.json", "README.md", "release.json"),
        *("class_report_validation.csv", "class_report_test.csv"),
    }
    report = Path(client.download_artifacts(run.info.run_id, "class_report_test.csv", str(tmp_path)))
    rows = list(csv.DictReader(report.read_text(encoding="utf-8").splitlines()))
    assert {row["contact_type"] for row in rows} == {"refund", "double", "lost", "route", "account"}
    assert sum(int(row["tickets"]) for row in rows) == 60


def test_the_store_is_a_sqlite_file_with_the_registered_model(trained):
    with sqlite3.connect(trained.tracking_uri.removeprefix("sqlite:///")) as opened:
        assert opened.execute("select name from registered_models").fetchall() == [(MODEL,)]


def test_a_training_is_also_a_line_that_needs_no_mlflow(trained):
    (run,), damaged = read_runs(trained.workspace)
    assert (run.kind, run.status, run.name, damaged) == ("training", "finished", trained.model.version, 0)
    assert run.knobs["batch_size"] == 16
    assert run.figures["test/accuracy"] == trained.model.metrics["model"]["test"]["accuracy"]
    assert 0 < run.figures["validation_mrr"] <= 1
    assert run.git_hash is not None


def finish(uri: str, workspace: Workspace, version: str) -> None:
    sink = MlflowSink(workspace, uri)
    sink.start(start_of(version))
    product = Product(model=(version, workspace.root))
    sink.end(RunEnd(status="finished", seconds=1.0, figures={"test/accuracy": 0.5}, product=product))


def test_the_newest_training_is_challenger_and_promotion_makes_a_champion(workspace, store):
    from mlflow.tracking import MlflowClient

    def aliases() -> dict[str, str]:
        client = MlflowClient(store)
        named = client.get_registered_model(MODEL).aliases
        return {alias: client.get_model_version(MODEL, number).tags["version"] for alias, number in named.items()}

    for version in ("v1", "v2"):
        finish(store, workspace, version)
    assert aliases() == {"challenger": "v2"}
    for version in ("v1", "trained elsewhere"):
        set_alias(version, "champion", tracking_uri=store)
        assert aliases() == {"challenger": "v2", "champion": "v1"}


def test_a_run_that_crashes_keeps_its_curve_and_ends_as_failed(workspace, store):
    from mlflow.tracking import MlflowClient

    with (
        pytest.raises(ZeroDivisionError),
        recorded(start_of("crashing"), [MlflowSink(workspace, store)], report=print) as run,
    ):
        for step in range(1, 4):
            run.step(step, 10, {"loss": 1.0 / step, "rate": 0.1})
        raise ZeroDivisionError("division by zero")
    (left,) = runs_of(store)
    assert left.info.status == "FAILED"
    assert left.data.tags["reason"] == "ZeroDivisionError: division by zero"
    curve = MlflowClient(store).get_metric_history(left.info.run_id, "step/loss")
    assert [(point.step, point.value) for point in curve] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]


def test_a_run_whose_end_cannot_be_written_is_not_left_running(workspace, store):
    sink = MlflowSink(workspace, store)
    sink.start(start_of("v1"))
    with pytest.raises(OSError, match="does not exist"):
        product = Product(files=[workspace.root / "does not exist"])
        sink.end(RunEnd(status="finished", seconds=1.0, figures={}, product=product))
    (run,) = runs_of(store)
    assert run.info.status == "FAILED"


def test_a_run_that_was_killed_is_ended_by_the_next_one(workspace, store, tmp_path):
    elsewhere = Workspace.create(tmp_path / "elsewhere")
    for place, run_id in ((workspace, "killed"), (elsewhere, "another's")):
        MlflowSink(place, store).start(start_of(run_id))
    MlflowSink(workspace, store).start(start_of("next"))
    assert {run.info.run_name: run.info.status for run in runs_of(store)} == {
        "killed": "FAILED",
        "another's": "RUNNING",
        "next": "RUNNING",
    }


def test_a_workspace_keeps_its_runs_when_it_moves_and_the_next_one_at_its_path_has_none_of_them(store, tmp_path):
    first = Workspace.create(tmp_path / "workspace")
    for run_id, kind in (("s1", "study"), ("s1-0", "trial")):
        MlflowSink(first, store).start(start_of(run_id, kind, parent="s1" if kind == "trial" else None))
    first.root.rename(tmp_path / "moved")
    second = Workspace.create(tmp_path / "workspace")
    for run_id, kind in (("s1", "study"), ("s1-0", "trial")):
        MlflowSink(second, store).start(start_of(run_id, kind, parent="s1" if kind == "trial" else None))
    runs = runs_of(store, TUNING)
    studies = {run.info.run_id for run in runs if run.data.tags["kind"] == "study"}
    assert len(runs) == 4
    assert {run.data.tags["mlflow.parentRunId"] for run in runs if run.data.tags["kind"] == "trial"} == studies
    assert {run.info.status for run in runs} == {"RUNNING"}
    MlflowSink(Workspace.open(tmp_path / "moved"), store).start(start_of("next"))
    ended = [run for run in runs_of(store, TUNING) if run.info.status == "FAILED"]
    assert {run.data.tags["triage.workspace"] for run in ended} == {Workspace.open(tmp_path / "moved").identity()}
    assert len(ended) == 2


def test_a_workspace_of_an_earlier_version_is_given_an_identity_once(workspace, tmp_path):
    (workspace.root / "workspace.json").write_text('{"format": 1}', encoding="utf-8")
    given = Workspace.open(workspace.root).identity()
    assert Workspace.create(workspace.root).identity() == given
    assert json.loads((workspace.root / "workspace.json").read_text()) == {"format": 1, "id": given}
    assert Workspace.create(tmp_path / "elsewhere").identity() != given


def test_a_password_in_the_address_of_the_store_is_told_nobody(workspace):
    assert MlflowSink(workspace, "https://me:secret@mlflow.example/x").name == "MLflow at https://mlflow.example/x"
    with capture_logs() as said:
        set_alias("v1", "champion", tracking_uri="http://me:secret@127.0.0.1:9")
    assert said[0]["tracking_uri"] == "http://127.0.0.1:9"
    assert "secret" not in str(said)


def test_a_quote_in_a_path_or_a_name_is_part_of_it(store, tmp_path):
    place = Workspace.create(tmp_path / "o'neill")
    for run_id, kind in (("it's mine", "study"), ("it's mine", "study"), ("a trial", "trial")):
        MlflowSink(place, store).start(start_of(run_id, kind, parent="it's mine" if kind == "trial" else None))
    trial, study = sorted(runs_of(store, TUNING), key=lambda run: run.info.run_name)
    assert trial.data.tags["mlflow.parentRunId"] == study.info.run_id
    MlflowSink(place, store).start(start_of("next"))
    assert {run.info.status for run in runs_of(store, TUNING)} == {"FAILED"}


def test_trials_are_nested_under_their_study_also_when_it_goes_on(workspace, store):
    for first in (0, 2):
        with recorded(start_of("s1", "study"), [MlflowSink(workspace, store)], report=print):
            for number in (first, first + 1):
                trial = start_of(f"s1-{number}", "trial", parent="s1")
                try:
                    with recorded(trial, [MlflowSink(workspace, store)], report=print) as run:
                        run.look({"step": 1, "loss": 1.0, "validation_mrr": 0.1 * number})
                        if number == 1:
                            raise Pruned("behind")
                except Pruned:
                    pass
    runs = {run.info.run_name: run for run in runs_of(store, TUNING)}
    assert set(runs) == {"s1", "s1-0", "s1-1", "s1-2", "s1-3"}
    parent = runs.pop("s1")
    assert parent.info.status == "FINISHED"
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.values()} == {parent.info.run_id}
    assert {name: run.info.status for name, run in runs.items()} == {
        **dict.fromkeys(("s1-0", "s1-2", "s1-3"), "FINISHED"),
        "s1-1": "KILLED",
    }
    assert runs["s1-1"].data.tags["status"] == "pruned"
    assert runs["s1-3"].data.metrics["validation_mrr"] == pytest.approx(0.3)


@pytest.fixture
def copied(trained, workspace: Workspace) -> Workspace:
    for name in ("lake", "catalogue"):
        shutil.copytree(trained.workspace.root / name, workspace.root / name, dirs_exist_ok=True)
    return workspace


AWAY = "http://127.0.0.1:9"  # the discard port: nobody listens


def test_a_tracking_server_that_is_away_costs_a_training_one_line(copied, tiny_config):
    lines: list[str] = []
    short = dataclasses.replace(tiny_config, epochs=1)
    began = time.monotonic()
    model = train(copied, short, report=lines.append, progress=lambda *_: None, tracking_uri=AWAY, ladder={})
    assert time.monotonic() - began < 60
    (warning,) = (line for line in lines if line.startswith("Warning"))
    assert warning.startswith(f"Warning: MLflow at {AWAY}: nothing of training-")
    assert (model.folder / "release.json").exists()
    (run,), _ = read_runs(copied)
    assert (run.name, run.status) == (model.version, "finished")


def test_a_tracking_server_that_is_away_costs_a_promotion_one_line():
    with capture_logs() as said:
        set_alias("v1", "champion", tracking_uri=AWAY)
    (line,) = said
    assert (line["event"], line["log_level"], line["version"]) == ("nothing was recorded in MLflow", "warning", "v1")


def test_where_mlflow_is_not_installed_a_promotion_costs_one_line(monkeypatch, store):
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    with capture_logs() as said:
        set_alias("v1", "champion", tracking_uri=store)
    (line,) = said
    assert (line["event"], line["log_level"]) == ("nothing was recorded in MLflow", "warning")


def test_where_mlflow_is_no_sink_a_change_of_champion_makes_no_store(two_models):
    settings = Settings(workspace=two_models.root, tracking=TrackingSettings(sinks="none"))
    steps.promote(settings, "first")
    steps.promote(settings, "second")
    assert steps.rollback(settings) == "first"
    assert not (two_models.root / "mlflow.db").exists()


@pytest.fixture
def failing_server() -> Iterator[tuple[str, list[str]]]:
    """A server that answers every request with an error of its own."""
    asked: list[str] = []

    class Failing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(500)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Not to standard error."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Failing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_a_server_that_fails_is_told_once_however_much_there_is_to_record(workspace, failing_server):
    uri, asked = failing_server
    lines: list[str] = []
    report: Callable[[str], None] = lines.append
    with recorded(start_of("v1"), [MlflowSink(workspace, uri)], report=report) as run:
        tried = len(asked)
        for step in range(1, 50):
            run.step(step, 49, {"loss": 1.0, "rate": 0.1})
    assert len(lines) == 1
    assert tried == len(asked) > 0  # after a start that failed it is left in peace
