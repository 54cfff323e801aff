"""The pipeline submitted to a Spark cluster of real processes gives the tables of local mode, byte for byte."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.nightly import run_pipeline
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

PACKAGE = Path(__file__).resolve().parents[3] / "deploy" / "spark" / "package.py"
PACKED = "./environment/bin/python -m pyspark.daemon"
PROGRAM_OF_EXECUTORS = "CoarseGrainedExecutorBackend"


@pytest.fixture(scope="module")
def local_tables(raw_lake: Path, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Path:
    """The raw lake after a run in local mode."""
    root = tmp_path_factory.mktemp("local") / "workspace"
    shutil.copytree(raw_lake, root)
    run_pipeline(Workspace.open(root), as_of=date(2026, 1, 7), spark=spark)
    return root


@pytest.fixture
def copied(raw_lake: Path, tmp_path: Path) -> Path:
    root = tmp_path / "workspace"
    shutil.copytree(raw_lake, root)
    return root


def test_a_packed_environment_on_a_cluster_gives_the_tables_of_local_mode(
    copied: Path, local_tables: Path, contents: Callable[[Path], dict[str, str]], cluster: Any, processes: Any
) -> None:
    archive = copied.parent / "environment.tar.gz"
    subprocess.run([sys.executable, str(PACKAGE), "--output", str(archive)], check=True, capture_output=True)

    said = copied.parent / "said"
    submitted = cluster.submit([str(copied), "--as-of", "2026-01-07"], ["--archives", f"{archive}#environment"])
    running = processes.start(submitted, log=said, environment=cluster.environment)

    # The executors' Python is the one they unpacked, and it has nothing of ours but what came with it.
    processes.until(lambda: [found for daemon in cluster.daemons for found in processes.below(daemon, PACKED)])
    assert processes.wait(running, 300) == 0, said.read_text(encoding="utf-8")[-3_000:]
    assert contents(copied) == contents(local_tables)


def test_an_executor_that_is_killed_costs_time_and_nothing_else(
    copied: Path, local_tables: Path, contents: Callable[[Path], dict[str, str]], cluster: Any, processes: Any
) -> None:
    said = copied.parent / "said"
    submitted = cluster.submit([str(copied), "--as-of", "2026-01-07"])
    running = processes.start(submitted, log=said, environment=cluster.environment)

    processes.until(lambda: list((copied / ".aside").glob("clean-*/*/*/.part-*")))
    executor = next(found for daemon in cluster.daemons for found in processes.below(daemon, PROGRAM_OF_EXECUTORS))
    os.kill(executor, signal.SIGKILL)

    code = processes.wait(running, 300)
    log = said.read_text(encoding="utf-8")
    assert code == 0, log[-3_000:]
    assert "Lost executor" in log
    assert contents(copied) == contents(local_tables)
