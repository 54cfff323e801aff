"""Training, the whole story: read the data, fit, export, calibrate, evaluate, write the directory, record the run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from models import release as names
from models.calibrate import Calibration, Targets
from models.card import model_card
from models.confidence.fitting import fit_calibration
from models.config import TrainConfig
from models.directory import parity_inputs, write_findings, write_network, write_vectors
from models.encoder import load_tokenizer
from models.evaluate import Figures, evaluate_model, model_cost, splits
from models.experiments.recording import recorded
from models.experiments.sinks import DEFAULT_SINKS, open_sinks
from models.experiments.trainings import conclude, training_start
from models.inference import OnnxModel, Outputs
from models.ladder.rungs import BESIDE_TRAINING, Rung, evaluate_baselines
from models.machine import cores
from models.neighbours import Neighbours
from models.onnx import export_checked
from models.predictions import Predictor, inputs_of, interpret
from models.release import Release, seal
from models.training.data import TrainingData, hash_of, load_training_data
from models.training.distributed import ALONE, Workers
from models.training.fit import FitResult, fit
from models.training.lessons import taught, unlabelled_examples
from tickets.catalogue import read_dataset
from tickets.errors import InputError, TrainingDataError
from tickets.progress import Report, silent
from tickets.workspace import Workspace, write_text

log = structlog.get_logger()

_CHECKPOINTS = ".training"  # in the workspace's models folder, while a training is under way


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
    report: Report,
    progress: Callable[[int, int, float], None],
    tracking_uri: str | None = None,
    sinks: Sequence[str] = DEFAULT_SINKS,
    initial: Path | None = None,
    teachers: Sequence[Release] = (),
    with_unlabelled: bool = False,
    ladder: Mapping[str, Rung] = BESIDE_TRAINING,
    workers: Workers = ALONE,
) -> ModelVersion:
    """Train on the workspace's examples and leave a complete model directory in models/<version>.

    `initial` is an earlier model directory to start from. `teachers` are trained models to learn from beside the
    outcomes; `with_unlabelled` lets them also speak of tickets that have none (models/training/lessons.py). The run is
    recorded in `sinks` (models/experiments/sinks.py) while it goes on; without `tracking_uri` not in MLflow. An
    interrupted training goes on from its checkpoint when it is started again with the same data and settings. Of
    several `workers` only the first calls this, the others `assist`. Raises TrainingDataError, MissingStepError,
    InputError, MachineError, ReleaseError.
    """
    recorders = open_sinks(sinks, workspace, tracking_uri)
    encoder = str(initial / names.ENCODER) if initial else config.encoder
    data = _read(workspace, config, encoder, teachers, with_unlabelled=with_unlabelled, report=report)
    checkpoints = workspace.models / _CHECKPOINTS
    languages = read_dataset(workspace).languages
    with recorded(training_start(data, config, initial), recorders, report=report) as run:
        fitted = fit(
            data,
            config,
            folder=checkpoints,
            report=report,
            progress=progress,
            initial=initial,
            on_step=run.step,
            on_look=run.look,
            workers=workers,
        )
        workers.leave()
        with workspace.aside("model") as folder:
            release = package(
                fitted,
                data,
                config,
                folder,
                encoder=encoder,
                languages=languages,
                report=report,
                ladder=ladder,
                started_from=initial.name if initial else None,
            )
            workspace.replace_folder(folder, workspace.models / release.version)
        shutil.rmtree(checkpoints, ignore_errors=True)
        conclude(run, release, workspace.models / release.version, fitted.history)
    trained = ModelVersion(version=release.version, folder=workspace.models / release.version, metrics=release.metrics)
    log.info("model trained", version=release.version, seconds=round(fitted.seconds, 1))
    return trained


def assist(
    workspace: Workspace,
    config: TrainConfig,
    *,
    workers: Workers,
    teachers: Sequence[Release] = (),
    with_unlabelled: bool = False,
) -> None:
    """What the other processes do while the first one trains: read the same data and take their share of the fit.

    They write nothing, record nothing and say nothing. Raises as `train` does.
    """
    data = _read(workspace, config, config.encoder, teachers, with_unlabelled=with_unlabelled, report=silent)
    fit(data, config, folder=workspace.models / _CHECKPOINTS, report=silent, progress=silent, workers=workers)
    workers.leave()


def _read(
    workspace: Workspace,
    config: TrainConfig,
    encoder: str,
    teachers: Sequence[Release],
    *,
    with_unlabelled: bool,
    report: Report,
) -> TrainingData:
    if with_unlabelled and not teachers:
        raise InputError(
            "tickets without an outcome were to be learned from, and there is no teacher to say what they are about.",
            hint="Name a trained version with --teacher, or leave --unlabelled out.",
        )
    tokenizer = load_tokenizer(encoder, config.max_tokens)
    data = load_training_data(workspace, tokenizer, config, report=report)
    if not len(data.validation):
        raise TrainingDataError(
            "no ticket of the validation split has an outcome; without them nothing can be calibrated.",
            hint="Move the split's dates so that validation has tickets, then run `triage features`.",
        )
    if teachers:
        unlabelled = unlabelled_examples(workspace) if with_unlabelled else None
        data = taught(data, teachers, unlabelled=unlabelled, threads=cores(), report=report)
    return data


def package(
    fitted: FitResult,
    data: TrainingData,
    config: TrainConfig,
    folder: Path,
    *,
    encoder: str,
    languages: tuple[str, ...],
    report: Report,
    ladder: Mapping[str, Rung] = BESIDE_TRAINING,
    started_from: str | None = None,
) -> Release:
    """Everything after the fit: make `folder` a complete model directory. `encoder` is where its tokenizer came from,
    `started_from` the version that training went on from.

    Raises ReleaseError when int8 is not the model that was trained, MachineError without `onnx` and `onnxruntime`.
    """
    report("Export: ONNX, int8, parity with the trained network.")
    write_network(fitted.network, data, folder, encoder=encoder)
    export_checked(fitted.network, data.tokenizer, folder, parity_inputs(data), max_tokens=config.max_tokens)
    model = OnnxModel.load(folder, max_tokens=config.max_tokens, threads=cores())
    report("Vectors of the training tickets, for similar tickets and the out-of-scope score.")
    templates = write_vectors(model, fitted.network, data, folder)
    neighbours = Neighbours.load(folder)
    report("Calibration on the validation tickets.")
    outputs = {split: model.run(*inputs_of(tickets.rows)) for split, tickets in splits(data).items()}
    calibration = calibrated(outputs["validation"], data, neighbours)
    report("Evaluation beside the baselines.")
    predictions = {split: interpret(raw, data.index, calibration, neighbours) for split, raw in outputs.items()}
    figures = evaluate_model(data, predictions, templates)
    served = OnnxModel.load(folder, max_tokens=config.max_tokens)  # one thread, as the service runs it
    figures["cost"] = model_cost(folder, Predictor(served, data.index, calibration, neighbours), data, fitted.seconds)
    metrics = {"model": figures, **evaluate_baselines(data, config, report=report, ladder=ladder)}
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
        started_from=started_from,
    )
    write_text(folder / names.CARD, model_card(release))
    return seal(release)


def calibrated(outputs: Outputs, data: TrainingData, neighbours: Neighbours) -> Calibration:
    """All that makes the served graph honest, from what it says of the validation tickets."""
    return fit_calibration(
        outputs,
        data.index,
        data.validation.node,
        neighbours,
        Targets(),
        trained=data.train.node,
    )


def version_name(data_hash: str, config: TrainConfig, now: datetime) -> str:
    """`20260131-093000-4f1c2a`: sortable by time, and telling data and settings apart."""
    settings = json.dumps(dataclasses.asdict(config), sort_keys=True)
    return f"{now:%Y%m%d-%H%M%S}-{hashlib.sha256((data_hash + settings).encode()).hexdigest()[:6]}"


def _windows(data: TrainingData) -> dict[str, dict[str, Any]]:
    """First and last created_at of each split, and its tickets."""
    windows: dict[str, dict[str, Any]] = {}
    for split in ("train", "validation", "test"):
        rows = getattr(data, split).rows
        if len(rows):
            times = rows["created_at"].to_pylist()
            windows[split] = {"from": min(times).isoformat(), "to": max(times).isoformat(), "tickets": len(rows)}
    return windows
