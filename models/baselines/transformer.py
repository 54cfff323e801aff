"""The last rung: the model itself, measured as it is served (int8, calibrated), from a model directory."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from models.evaluate import evaluate_model, model_cost, splits
from models.ladder.rungs import Measured
from models.predictions import inputs_of
from models.release import Release, open_release, versions
from models.suggest import Suggester
from models.training.data import TrainingData
from tickets.errors import ReleaseError
from tickets.workspace import Workspace

_WHERE = {"device", "precision", "compile", "state_cache_gb", "checkpoint_every"}  # knobs of the machine


def find_model(workspace: Workspace, data_hash: str, knobs: Mapping[str, Any]) -> Release | None:
    """The newest model that learned from exactly this data and with these knobs, whatever its others; None without.

    One that went on from an earlier model is passed over: its seconds are not those of a training. Knobs of the machine
    do not count. A directory that is damaged or of another format is passed over.
    """
    for version in reversed(versions(workspace)):
        with contextlib.suppress(ReleaseError):
            release = open_release(workspace.models / version)
            afresh = release.started_from is None
            if afresh and release.data_hash == data_hash and _trained_with(release, knobs):
                return release
    return None


def measure_release(release: Release, data: TrainingData) -> Measured:
    """Figures through the served graph, on one thread, of a model that was trained on `data`. The seconds of training
    are those of the day it was trained.

    Raises ReleaseError when a file of the directory cannot be read.
    """
    suggester = Suggester.load(release)
    made = {split: suggester.predictor.predict(inputs_of(tickets.rows)) for split, tickets in splits(data).items()}
    figures = evaluate_model(data, made, suggester.template_matrix)
    seconds = release.metrics.get("model", {}).get("cost", {}).get("train_seconds", 0.0)
    figures["cost"] = model_cost(release.folder, suggester.predictor, data, seconds)
    leaves = {split: each.node_probabilities[:, data.index.leaves] for split, each in made.items()}
    return Measured(figures, leaves)


def _trained_with(release: Release, knobs: Mapping[str, Any]) -> bool:
    """A knob that was not there yet when the model was trained counts as it is now."""
    return all(release.config.get(name, value) == value for name, value in knobs.items() if name not in _WHERE)
