"""The company of the notebooks, and each notebook after its one run on it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.notebooks.company import Company, found_company
from tests.notebooks.executing import Execute, executed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Company:
    return found_company(tmp_path_factory.mktemp("company"), spark)


@pytest.fixture(scope="module")
def execute(company: Company, small_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Execute:
    """`execute(name)`: a notebook after its one run, in a kernel of its own that knows the workspace from the
    environment."""
    environment = {
        **os.environ,
        "TRIAGE_WORKSPACE": str(company.workspace.root),
        "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython")),  # nobody's own start-up files
    }
    small = {"encoder": str(small_encoder), "max_tokens": 32, "epochs": 1, "device": "cpu", "precision": "fp32"}
    turned_down = {
        "02-train-and-debug": {
            "KNOBS": small,
            "RUNGS": ("majority", "keywords", "tfidf", "transformer"),
            "SEARCHED": ("learning_rate", "head_learning_rate", "label_smoothing"),
        },
        "03-drift-and-relabelling": {"WORKSPACE": str(tmp_path_factory.mktemp("labels"))},
    }
    done: dict[str, Any] = {}

    def run(name: str) -> Any:
        if name == "04-cost":
            run("02-train-and-debug")  # whose model tells how fast training is
        if name not in done:
            done[name] = executed(name, turned_down.get(name, {}), environment)
        return done[name]

    return run
