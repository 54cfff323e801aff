"""What a page of the documentation may start from: nothing, a featured history, or a small promoted model."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from models.release import current_version
from tests.service.conftest import trained  # noqa: F401  # the service's small release serves here too
from tickets.database import open_database
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Prepare = Callable[[str, Path], None]


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Workspace:
    """Four days of a simulated company, imported and featured; its export lies beside the workspace. Read only."""
    from pipeline.importing import import_files
    from pipeline.nightly import run_pipeline
    from tickets.simulate import SimulationConfig, write_history

    folder = tmp_path_factory.mktemp("docs-history")
    config = SimulationConfig(seed=11, start=date(2026, 3, 2), days=4, tickets_per_day=60)
    described = write_history(config, folder / "export", processes=1)
    workspace = Workspace.create(folder / "workspace")
    import_files(workspace, [], described, as_of=date(2026, 3, 6))
    run_pipeline(workspace, as_of=date(2026, 3, 6), spark=spark)
    return workspace


@pytest.fixture
def prepare(request: pytest.FixtureRequest) -> Prepare:
    """`prepare(state, folder)` puts into a page's folder what the page starts from, as copies of its own."""

    def put(state: str, folder: Path) -> None:
        if state == "nothing":
            return
        made: Workspace = request.getfixturevalue(state)
        shutil.copytree(made.root, folder / "workspace", copy_function=_copy, ignore=shutil.ignore_patterns("spool"))
        if state == "history":
            shutil.copytree(made.root.parent / "export", folder / "export")
        else:
            _tell_the_database(Workspace.open(folder / "workspace"))

    return put


def _tell_the_database(workspace: Workspace) -> None:
    """Timeline and audit log know of the promotion, as after `triage promote`."""
    from triage.champion import promote

    version = current_version(workspace)
    assert version is not None
    engine = open_database(workspace.default_database_url)
    promote(workspace, engine, version, details={}, tracking_uri="")
    engine.dispose()


def _copy(source: str, copy: str) -> None:
    """Large files are replaced, never written in place, so a second name for them is a copy."""
    if Path(source).suffix in (".parquet", ".onnx", ".safetensors"):
        os.link(source, copy)
    else:
        shutil.copy2(source, copy)
