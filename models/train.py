"""Training, the whole story: read the data, fit, export, calibrate, evaluate, write the directory, record the run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import structlog

from models import release as names
from models.batches import TrainingData, hash_of, load_training_data
from models.calibrate import NEVER, Calibration, Targets, fit_calibration, fit_temperatures
from models.card import model_card
from models.config import TrainConfig
from models.directory import parity_inputs, write_network, write_vectors
from models.encoder import load_tokenizer
from models.evaluate import LADDER, Figures, Rung, evaluate_baselines, evaluate_model, milliseconds, splits, timed_rows
from models.fit import FitResult, fit
from models.inference import OnnxModel, Outputs
from models.neighbours import Neighbours, distance
from models.onnx import export_checked
from models.predictions import Predictions, Predictor, inputs_of, interpret
from models.quality import class_report
from models.reference import predictions_table
from models.release import Release, seal
from tickets.catalogue import read_dataset
from tickets.errors import TrainingDataError
from tickets.workspace import Workspace, write_text

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A trained model. `metrics` maps model, majority, tfidf -> validation, test, cost -> figure -> value."""

    version: str
    folder: Path
    metrics: Mapping[str, Figures]


def train(
    workspace: Workspace,
    config: TrainConfig,
    *,
    report: Callable[[str], None],
    progress: Callable[[int, int, float], None],
    tracking_uri: str | None = None,
    initial: Path | None = None,
    ladder: Mapping[str, Rung] = LADDER,
) -> ModelVersion:
    """Train on the workspace's examples and leave a complete model directory in models/<version>.

    `initial` is an earlier model directory to start from. Without `tracking_uri` nothing is recorded in MLflow. An
    interrupted training goes on from its checkpoint when it is started again with the same data and settings.
    Raises TrainingDataError, MissingStepError, InputError, MachineError, ReleaseError.
    """
    encoder = str(initial / names.ENCODER) if initial else config.encoder
    tokenizer = load_tokenizer(encoder, config.max_tokens)
    data = load_training_data(workspace, tokenizer, config, report=report)
    if not len(data.validation):
        raise TrainingDataError(
            "no ticket of the validation split has an outcome; without them nothing can be calibrated.",
            hint="Move the split's dates so that validation has tickets, then run `triage features`.",
        )
    checkpoints = workspace.models / ".training"
    fitted = fit(data, config, folder=checkpoints, report=report, progress=progress, initial=initial)
    languages = read_dataset(workspace).languages
    with workspace.aside("model") as folder:
        release = package(
            fitted, data, config, folder, encoder=encoder, languages=languages, report=report, ladder=ladder
        )
        workspace.replace_folder(folder, workspace.models / release.version)
    shutil.rmtree(checkpoints, ignore_errors=True)
    trained = ModelVersion(version=release.version, folder=workspace.models / release.version, metrics=release.metrics)
    if tracking_uri is not None:
        _record(trained, release, fitted, workspace, tracking_uri)
    log.info("model trained", version=release.version, seconds=round(fitted.seconds, 1))
    return trained


def package(
    fitted: FitResult,
    data: TrainingData,
    config: TrainConfig,
    folder: Path,
    *,
    encoder: str,
    languages: tuple[str, ...],
    report: Callable[[str], None],
    ladder: Mapping[str, Rung] = LADDER,
) -> Release:
    """Everything after the fit: make `folder` a complete model directory. `encoder` is where its tokenizer came from.

    Raises ReleaseError when int8 is not the model that was trained, MachineError without `onnx` and `onnxruntime`.
    """
    report("Export: ONNX, int8, parity with the trained network.")
    write_network(fitted.network, data, folder, encoder=encoder)
    export_checked(fitted.network, data.tokenizer, folder, parity_inputs(data), max_tokens=config.max_tokens)
    model = OnnxModel.load(folder, max_tokens=config.max_tokens, threads=os.cpu_count() or 1)
    report("Vectors of the training tickets, for similar tickets and the out-of-scope score.")
    template_vectors = write_vectors(model, fitted.network, data, folder)
    neighbours = Neighbours.load(folder)
    report("Calibration on the validation tickets.")
    outputs = {split: model.run(*inputs_of(tickets.rows)) for split, tickets in splits(data).items()}
    calibration = calibrated(outputs["validation"], data, neighbours)
    report("Evaluation beside the baselines.")
    predictions = {split: interpret(raw, data.index, calibration, neighbours) for split, raw in outputs.items()}
    figures = evaluate_model(data, predictions, template_vectors)
    served = OnnxModel.load(folder, max_tokens=config.max_tokens)  # one thread, as the service runs it
    figures["cost"] = _cost(folder, Predictor(served, data.index, calibration, neighbours), data, fitted.seconds)
    metrics = {"model": figures, **evaluate_baselines(data, seed=config.seed, report=report, ladder=ladder)}
    write_findings(data, predictions, metrics, folder)
    now, data_hash = datetime.now(UTC), hash_of(data)
    release = Release(
        folder=folder,
        version=version_name(data_hash, config, now),
        created_at=now.isoformat(),
        tree_version=data.tree.version,
        languages=languages,
        max_tokens=config.max_tokens,
        calibration=calibration,
        windows=_windows(data),
        metrics=metrics,
        data_hash=data_hash,
        config=dataclasses.asdict(config),
    )
    write_text(folder / names.CARD, model_card(release))
    return seal(release)


def calibrated(
    outputs: Outputs, data: TrainingData, neighbours: Neighbours, targets: Targets | None = None
) -> Calibration:
    """Temperatures and limits from what the served graph says of the validation tickets."""
    tickets, index = data.validation, data.index
    logits = np.where(index.active, outputs.node_logits, -np.inf).astype(np.float32)
    temperatures = fit_temperatures(logits, index.paths[tickets.node], index.group)
    unlimited = Calibration(
        temperatures=temperatures, high=NEVER, medium=NEVER, abstain_below=0.0, scope_center=1.0, scope_scale=1.0
    )
    predictions = interpret(outputs, index, unlimited, neighbours)
    right = index.ancestors[tickets.node, predictions.predicted] > 0  # for an inner node any leaf under it
    return fit_calibration(
        temperatures, predictions.probability, right, distance(predictions.cosines), targets or Targets()
    )


def version_name(data_hash: str, config: TrainConfig, now: datetime) -> str:
    """`20260131-093000-4f1c2a`: sortable by time, and telling data and settings apart."""
    settings = json.dumps(dataclasses.asdict(config), sort_keys=True)
    return f"{now:%Y%m%d-%H%M%S}-{hashlib.sha256((data_hash + settings).encode()).hexdigest()[:6]}"


def write_findings(
    data: TrainingData, predictions: Mapping[str, Predictions], metrics: Mapping[str, Figures], folder: Path
) -> None:
    """Write metrics.json (with a row a contact type) and reference.parquet."""
    reports = {
        split: class_report(data.index, made.node_probabilities[:, data.index.leaves], splits(data)[split].node)
        for split, made in predictions.items()
    }
    write_text(folder / names.METRICS, json.dumps({**metrics, "contact_types": reports}, indent=1, ensure_ascii=False))
    reference = predictions_table(data.validation.rows, data.validation.node, predictions["validation"], data.index)
    pq.write_table(reference, folder / names.REFERENCE)


def _cost(folder: Path, predictor: Predictor, data: TrainingData, train_seconds: float) -> dict[str, float]:
    return {
        "train_seconds": train_seconds,
        "ms_per_ticket": milliseconds(predictor.predict, [inputs_of(row) for row in timed_rows(data)]),
        "megabytes": (folder / names.ONNX).stat().st_size / 1e6,
    }


def _windows(data: TrainingData) -> dict[str, dict[str, Any]]:
    """First and last created_at of each split, and its tickets."""
    windows: dict[str, dict[str, Any]] = {}
    for split in ("train", "validation", "test"):
        rows = getattr(data, split).rows
        if len(rows):
            times = rows["created_at"].to_pylist()
            windows[split] = {"from": min(times).isoformat(), "to": max(times).isoformat(), "tickets": len(rows)}
    return windows


def _record(
    trained: ModelVersion, release: Release, fitted: FitResult, workspace: Workspace, tracking_uri: str
) -> None:
    from models.registry import TrainingRecord, git_hash, record_training

    flat = {
        f"{split}/{figure}" if who == "model" else f"{who}/{split}/{figure}": value
        for who, figures in trained.metrics.items()
        for split, row in figures.items()
        for figure, value in row.items()
    }
    record = TrainingRecord(
        version=trained.version,
        folder=trained.folder,
        parameters={**release.config, "tree_version": release.tree_version, **_ticket_counts(release)},
        metrics=flat,
        history=fitted.history,
        data_hash=release.data_hash,
        git_hash=git_hash(),
        artifacts=[trained.folder / name for name in (names.METRICS, names.CARD, names.FACTS)],
    )
    local = tracking_uri.startswith("sqlite:")
    record_training(
        record, tracking_uri=tracking_uri, artifact_folder=workspace.root / "mlflow-artifacts" if local else None
    )


def _ticket_counts(release: Release) -> dict[str, int]:
    return {f"{split}_tickets": window["tickets"] for split, window in release.windows.items()}
