"""kill -9 of a night, anywhere: what was published stays whole, and the next run ends with the very bytes of a night
that nobody touched."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.nightly import run_pipeline
from tickets.errors import MachineError
from tickets.tables import TABLES
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

STEPS = ("clean", "featurise", "duplicates", "label", "split", "pairs")
SEED = 3
DYING = Path(__file__).with_name("night.py")


@pytest.fixture
def workspace(third_night: Path, tmp_path: Path) -> Workspace:
    """Before the third night."""
    root = tmp_path / "workspace"
    shutil.copytree(third_night, root)
    return Workspace.open(root)


@dataclass
class Night:
    """The third night in processes of its own, one after the other."""

    workspace: Workspace
    command: list[str]
    processes: Any
    said: Path

    def start(self, *, kill_before: int | None = None) -> int:
        """Start it; returns the process id. With `kill_before` it dies at that rename."""
        program = ["-m", "pipeline"] if kill_before is None else [str(DYING), str(kill_before)]
        return int(self.processes.start([sys.executable, *program, *self.command], log=self.said))

    def until_in(self, step: str) -> None:
        """Wait until the step writes aside."""
        self.processes.until(lambda: list(self.workspace.aside_root.glob(f"{step}-*")))


@pytest.fixture
def night(workspace: Workspace, processes: Any, nights: tuple[date, ...], tmp_path: Path) -> Night:
    command = [str(workspace.root), "--as-of", nights[-1].isoformat()]
    return Night(workspace, command, processes, tmp_path / "said")


@pytest.fixture
def sound(
    workspace: Workspace, third_night: Path, uninterrupted: Path, contents: Callable[[Path], dict[str, str]]
) -> Callable[[], None]:
    """Fails unless every partition of every table, and every manifest, is as it was before the night or as it is after
    it."""
    before, after = contents(third_night), contents(uninterrupted)

    def check() -> None:
        now = contents(workspace.root)
        for place in {str(Path(name).parent) for name in {*now, *before, *after}}:
            states = [_under(found, place) for found in (now, before, after)]
            if place.startswith("manifests"):  # a file each, written by the step that it tells of
                assert all(states[0][name] in (states[1].get(name), states[2].get(name)) for name in states[0])
            else:
                assert states[0] in states[1:], f"{place} is neither as before the night nor as after it"
        for table in TABLES:
            if workspace.table_path(table).is_dir():
                workspace.read(table)

    return check


@pytest.fixture
def same_in_the_end(
    workspace: Workspace,
    uninterrupted: Path,
    contents: Callable[[Path], dict[str, str]],
    nights: tuple[date, ...],
    spark: SparkSession,
) -> Callable[[], None]:
    """Runs the third night to its end; fails unless every file is, byte for byte, as if nobody had touched it."""

    def check() -> None:
        run_pipeline(workspace, as_of=nights[-1], spark=spark)
        assert contents(workspace.root) == contents(uninterrupted)

    def locked() -> None:
        with workspace.lock("night"):  # mends, as every command does
            check()
        assert not list(workspace.aside_root.iterdir())

    return locked


def _under(found: dict[str, str], place: str) -> dict[str, str]:
    return {name: said for name, said in found.items() if str(Path(name).parent) == place}


def test_a_night_killed_in_each_of_its_steps_leaves_sound_tables_and_goes_on(
    night: Night, processes: Any, sound: Callable[[], None], same_in_the_end: Callable[[], None]
) -> None:
    moments = random.Random(SEED)
    for step in STEPS:
        killed = night.start()
        night.until_in(step)
        time.sleep(moments.random())
        processes.kill(killed)
        sound()
    same_in_the_end()


def test_a_night_killed_between_two_renames_leaves_sound_tables_and_goes_on(
    night: Night, processes: Any, sound: Callable[[], None], same_in_the_end: Callable[[], None]
) -> None:
    for number in sorted(random.Random(SEED).sample(range(1, 13), 4)):
        assert processes.wait(night.start(kill_before=number)) == -signal.SIGKILL
        sound()
    same_in_the_end()


def test_a_night_that_loses_java_says_so_in_one_line(night: Night, processes: Any, sound: Callable[[], None]) -> None:
    running = night.start()
    night.until_in("label")
    (java,) = processes.below(running, "java")
    os.kill(java, signal.SIGKILL)

    assert processes.wait(running) == MachineError.exit_code
    said = night.said.read_text(encoding="utf-8").splitlines()  # py4j's own lament may come before it and after it
    assert sum(line.startswith("Spark's Java process has gone away. ") for line in said) == 1
    assert not list(night.workspace.aside_root.iterdir())
    sound()


def test_a_night_goes_on_when_python_workers_are_killed(
    night: Night, processes: Any, same_in_the_end: Callable[[], None], spark: SparkSession
) -> None:
    spark.sparkContext.setJobGroup("killed workers", "")
    java = spark.sparkContext._gateway.proc.pid  # type: ignore[union-attr]

    def kill() -> None:
        for step in ("clean", "featurise"):
            night.until_in(step)
            os.kill(processes.until(lambda: _busy(processes.below(java, "pyspark.daemon"))), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    same_in_the_end()
    killer.join()

    tracker = spark.sparkContext.statusTracker()
    jobs = [tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup("killed workers")]
    stages = [tracker.getStageInfo(stage) for job in jobs if job for stage in job.stageIds]
    assert sum(stage.numFailedTasks for stage in stages if stage) >= 2


def _busy(workers: list[int]) -> int | None:
    """One of the processes that has used its core since a moment ago."""
    before = {worker: _core_time(worker) for worker in workers}
    time.sleep(0.05)
    return next((worker for worker in workers if _core_time(worker) > before[worker] + 1), None)


def _core_time(process_id: int) -> int:
    """Hundredths of a second that the process has computed; 0 when it has gone."""
    try:
        return int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[11])
    except OSError:
        return 0
