"""MLflow, on a real SQLite store: what a training leaves there, and who is champion."""

from __future__ import annotations

import sqlite3

import pytest

from models.registry import EXPERIMENT, MODEL, TrainingRecord, record_training, set_alias


@pytest.fixture(autouse=True)
def quiet_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


def test_a_training_is_one_run_with_parameters_curves_and_figures(trained, tiny_config):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(trained.tracking_uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["batch_size"] == "16"
    assert run.data.params["train_tickets"] == "260"
    assert run.data.tags["version"] == trained.model.version
    assert len(run.data.tags["data_hash"]) == 64
    assert run.data.metrics["test/accuracy"] == trained.model.metrics["model"]["test"]["accuracy"]
    assert "tfidf/test/hits_at_3" in run.data.metrics
    curve = client.get_metric_history(run.info.run_id, "training/validation_mrr")
    assert len(curve) == tiny_config.epochs
    assert {item.path for item in client.list_artifacts(run.info.run_id)} >= {
        "metrics.json",
        "README.md",
        "release.json",
    }


def test_the_store_is_a_sqlite_file_with_the_registered_model(trained):
    with sqlite3.connect(trained.tracking_uri.removeprefix("sqlite:///")) as store:
        assert store.execute("select name from registered_models").fetchall() == [(MODEL,)]


def test_the_newest_training_is_challenger_and_promotion_makes_a_champion(tmp_path):
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"

    def aliases() -> dict[str, str]:
        client = MlflowClient(uri)
        named = client.get_registered_model(MODEL).aliases
        return {alias: client.get_model_version(MODEL, number).tags["version"] for alias, number in named.items()}

    for version in ("v1", "v2"):
        record = TrainingRecord(
            version=version, folder=tmp_path, parameters={"epochs": 1}, metrics={"test/accuracy": 0.5}
        )
        record_training(record, tracking_uri=uri, artifact_folder=tmp_path / "artifacts")
    assert aliases() == {"challenger": "v2"}
    for version in ("v1", "trained elsewhere"):
        set_alias(version, "champion", tracking_uri=uri)
        assert aliases() == {"challenger": "v2", "champion": "v1"}


def test_a_run_that_fails_to_be_written_is_not_left_running(tmp_path):
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    record = TrainingRecord(
        version="v1", folder=tmp_path, parameters={}, metrics={}, artifacts=[tmp_path / "does not exist"]
    )
    with pytest.raises(OSError, match="does not exist"):
        record_training(record, tracking_uri=uri, artifact_folder=tmp_path / "artifacts")
    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert run.info.status == "FAILED"
