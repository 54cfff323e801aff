"""`triage debug` as one function: the checklist, where errors come from, how much history is needed; all of it kept in
<workspace>/experiments/, each file whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from models.config import TrainConfig
from models.diagnosis.answers import frozen_rung, network_rung, pretrained, release_judge
from models.diagnosis.bias_variance import TEST, TRAINING, VALIDATION, Decomposition, Groups, by_fitting, by_model
from models.diagnosis.checklist import check_training
from models.diagnosis.curve_text import curve_text
from models.diagnosis.findings import Finding
from models.diagnosis.label_noise import label_noise
from models.diagnosis.learning_curve import LearningCurve, check_target, learning_curve
from models.diagnosis.pictures import curve_picture, waterfall
from models.diagnosis.same_period import by_cluster_and_customer
from models.encoder import load_tokenizer
from models.release import Release, current_release, current_version, known_release
from models.training.data import TrainingData, load_training_data
from tickets.errors import InputError
from tickets.progress import Progress, Report, silent
from tickets.workspace import Workspace, write_text

Part = Literal["checklist", "bias-variance", "learning-curve"]
PARTS: tuple[Part, ...] = ("checklist", "bias-variance", "learning-curve")
RECORD = "debug.json"
_MOST_QUICKLY = 20_000  # tickets that the quick curve learns from: about five minutes on two cores


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What was found; a part that was not asked for is empty. `files` are what was written."""

    findings: Sequence[Finding] = ()
    decomposition: Decomposition | None = None
    curve: LearningCurve | None = None
    files: Sequence[Path] = ()

    @property
    def passed(self) -> bool:
        return all(finding.passed for finding in self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What `triage debug` is asked for. Raises InputError for a target that is no accuracy, for what no wanted part
    would read, and for two models to be judged."""

    parts: Sequence[Part] = ("checklist",)
    version: str | None = None  # the model to look at; None is the current release, where there is one
    with_model: bool = False  # train the real thing, also where a model is there or a quick one would do
    target: float | None = None  # accuracy
    seeds: int = 3  # of the learning curve

    def __post_init__(self) -> None:
        check_target(self.target)
        read_by: Sequence[tuple[str, bool, tuple[Part, ...]]] = (
            ("--target", self.target is not None, ("learning-curve",)),
            ("--version", self.version is not None, ("bias-variance",)),
            ("--with-model", self.with_model, ("bias-variance", "learning-curve")),
        )
        for option, given, parts in read_by:
            if given and not set(parts) & set(self.parts):
                raise InputError(
                    f"{option} was given, and nothing that reads it.", hint=f"Add --{' or --'.join(parts)}, or --all."
                )
        if self.version is not None and self.with_model and "learning-curve" not in self.parts:
            raise InputError(
                f"--version {self.version} judges a model that is there, and --with-model would train another one.",
                hint="Leave out one of the two, or add --learning-curve.",
            )


def diagnose(
    workspace: Workspace, config: TrainConfig, wanted: Wanted, *, report: Report, progress: Progress
) -> Diagnosis:
    """Do the wanted parts in order and write each as it ends. Tables are read and files written whole, so it does not
    wait for a run that holds the workspace.

    Raises MissingStepError, TrainingDataError, InputError, MachineError, and ReleaseError for a version that is not
    there.
    """
    release = _release(workspace, wanted)
    tokenizer = load_tokenizer(config.encoder, config.max_tokens)
    data = load_training_data(workspace, tokenizer, config, report=report)
    made = Diagnosis()
    if "checklist" in wanted.parts:
        made = dataclasses.replace(made, findings=check_training(data, config, report=report))
        _keep(workspace, "checklist", [_plain(finding) for finding in made.findings])
    if "bias-variance" in wanted.parts:
        found = _bias_variance(workspace, data, config, release, report=report, progress=progress)
        files = _written(workspace, "bias-variance", waterfall(found), _plain(found))
        made = dataclasses.replace(made, decomposition=found, files=files)
    if "learning-curve" in wanted.parts:
        curve = _learning_curve(data, config, wanted, report=report, progress=progress)
        files = _written(
            workspace, "learning-curve", curve_picture(curve), _plain(curve) | {"words": curve_text(curve)}
        )
        made = dataclasses.replace(made, curve=curve, files=(*made.files, *files))
    return dataclasses.replace(made, files=(*made.files, workspace.experiments / RECORD))


def _release(workspace: Workspace, wanted: Wanted) -> Release | None:
    if wanted.version is not None:
        return known_release(workspace, wanted.version)
    if wanted.with_model or "bias-variance" not in wanted.parts or current_version(workspace) is None:
        return None
    return current_release(workspace)


def _bias_variance(
    workspace: Workspace,
    data: TrainingData,
    config: TrainConfig,
    release: Release | None,
    *,
    report: Report,
    progress: Progress,
) -> Decomposition:
    groups, noise = _groups(workspace, data), label_noise(workspace, data)
    report(f"Label noise: {noise.words}.")
    if release is not None and (trained_on := _tickets_of(release, data)) is not None:
        report(f"Judging the model {release.version} on tickets of each period.")
        learned = dataclasses.replace(data, train=data.train.take(trained_on))
        return by_model(
            learned,
            _config_of(release, config),
            release_judge(release, learned),
            {**groups, TRAINING: groups[TRAINING][trained_on]},
            noise,
            judged=f"model {release.version}, as it is served",
            report=report,
        )
    if release is not None:
        report(f"The model {release.version} learned from other periods than this split has; one is trained instead.")
    report("Training without a slice of the training period, to be judged on it.")
    learn = network_rung(data, config, report=report, progress=progress)
    return by_fitting(data, config, learn, groups, noise, judged="trained for this, without a slice of its period")


def _groups(workspace: Workspace, data: TrainingData) -> Groups:
    parts = {TRAINING: data.train, VALIDATION: data.validation, TEST: data.test}
    return {name: by_cluster_and_customer(workspace, part.ticket_ids) for name, part in parts.items() if len(part)}


def _config_of(release: Release, asked: TrainConfig) -> TrainConfig:
    """What the model was trained with; what its record does not tell is as it was asked for."""
    names = {field.name for field in dataclasses.fields(TrainConfig)} & release.config.keys()
    kept = {name: release.config[name] for name in names}
    return dataclasses.replace(asked, **{**kept, "max_tokens": release.max_tokens})


def _tickets_of(release: Release, data: TrainingData) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    """The training tickets that the model learned from; None when it may have seen later ones."""
    window = release.windows.get("train")
    if window is None:
        return None
    times = np.array([time.isoformat() for time in data.train.rows["created_at"].to_pylist()])
    inside = np.flatnonzero((times >= window["from"]) & (times <= window["to"]))
    later = [time.isoformat() for part in (data.validation, data.test) for time in part.rows["created_at"].to_pylist()]
    same_split = len(inside) == window["tickets"] == len(data.train)  # also where tickets have no times
    if len(inside) == 0 or not later or not (same_split or window["to"] < min(later)):
        return None
    return inside


def _learning_curve(
    data: TrainingData, config: TrainConfig, wanted: Wanted, *, report: Report, progress: Progress
) -> LearningCurve:
    if wanted.with_model:
        learn, learner = network_rung(data, config, report=silent, progress=progress), "the model"
    else:
        learn, learner = frozen_rung(data, pretrained(data, config)), "frozen encoder + logistic regression"
        report("Learning curve of the frozen encoder with logistic regression; --with-model trains the real thing.")
    return learning_curve(
        data,
        learn,
        learner=learner,
        seeds=range(config.seed, config.seed + wanted.seeds),
        target=wanted.target,
        report=report,
        most=None if wanted.with_model else _MOST_QUICKLY,
    )


def _written(workspace: Workspace, part: Part, picture: str, figures: Any) -> tuple[Path, Path]:
    """The picture and its figures beside it."""
    files = (workspace.experiments / f"{part}.svg", workspace.experiments / f"{part}.json")
    write_text(files[0], picture)
    write_text(files[1], _json(figures))
    _keep(workspace, part, figures)
    return files


def _keep(workspace: Workspace, part: Part, found: Any) -> None:
    """Put a part into debug.json; the others stay as their last run left them."""
    path = workspace.experiments / RECORD
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    kept = kept if isinstance(kept, dict) else {}
    write_text(path, _json({**kept, part: {"at": datetime.now(UTC).isoformat(timespec="seconds"), "found": found}}))


def _json(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)


def _plain(found: Any) -> Any:
    """As JSON has it: what is drawn again and again for an interval is left as the interval, infinite is null."""
    match found:
        case float() | np.floating():
            return float(found) if math.isfinite(found) else None
        case np.ndarray():
            return [_plain(number) for number in np.quantile(found, [0.025, 0.975]).tolist()] if len(found) else None
        case Mapping():
            return {name: _plain(value) for name, value in found.items()}
        case list() | tuple():
            return [_plain(value) for value in found]
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        fields = ((field.name, getattr(found, field.name)) for field in dataclasses.fields(found))
        return {"interval" if name == "draws" else name: _plain(value) for name, value in fields}
    return found
