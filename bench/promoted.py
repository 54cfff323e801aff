"""A workspace whose one model is trained here and now, and served."""

from __future__ import annotations

import shutil
from pathlib import Path

from models.config import TrainConfig
from models.release import promote
from models.train import package
from models.training.data import TrainingData
from models.training.fit import fit
from tickets.catalogue import write_tree
from tickets.progress import silent
from tickets.workspace import Workspace


def promoted_workspace(folder: Path, data: TrainingData, config: TrainConfig) -> Workspace:
    """`folder`/workspace, without a lake: a model that has learned from `data`, promoted, and its tree."""
    workspace = Workspace.create(folder / "workspace")
    fitted = fit(data, config, folder=folder / "fit", report=silent, progress=silent)
    model = folder / "model"
    model.mkdir()
    release = package(fitted, data, config, model, encoder=config.encoder, languages=("en",), report=silent, ladder={})
    write_tree(workspace, data.tree)
    shutil.move(model, workspace.models / release.version)
    promote(workspace, release.version)
    return workspace
