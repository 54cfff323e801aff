"""A lake of three days and a Spark cluster of real processes, for tests that run the whole pipeline and kill parts of
it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyspark
import pytest

from pipeline.importing import import_files
from pipeline.nightly import run_pipeline
from tickets.simulate import SimulationConfig, write_history
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NIGHTS = (date(2026, 1, 5), date(2026, 1, 6), date(2026, 1, 7))
SPARK_HOME = Path(pyspark.__file__).parent
SHORT = "-XX:TieredStopAtLevel=1"  # Java that lives for seconds only compiles once
WORK_DONE = "days"  # of a manifest's counts: how many days a run had to do; a rerun has fewer left


@pytest.fixture(scope="session")
def nights() -> tuple[date, ...]:
    return NIGHTS


@pytest.fixture(scope="session")
def raw_lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the rows of three days have arrived and nothing has run: late rows, corrected and broken
    ones among them."""
    return _arrivals(tmp_path_factory.mktemp("raw-lake"), after_night=lambda workspace, night: None).root


@pytest.fixture(scope="session")
def third_night(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Path:
    """The same after two nights. The third has before it a new day and rows that came late to the second."""

    def run(workspace: Workspace, night: date) -> None:
        run_pipeline(workspace, as_of=night, spark=spark)

    return _arrivals(tmp_path_factory.mktemp("third-night"), after_night=run).root


@pytest.fixture(scope="session")
def uninterrupted(third_night: Path, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Path:
    """The third night done in one go."""
    root = tmp_path_factory.mktemp("uninterrupted") / "workspace"
    shutil.copytree(third_night, root)
    run_pipeline(Workspace.open(root), as_of=NIGHTS[-1], spark=spark)
    return root


def _arrivals(folder: Path, *, after_night: Callable[[Workspace, date], None]) -> Workspace:
    history = SimulationConfig(seed=11, start=NIGHTS[0], days=len(NIGHTS), tickets_per_day=1_000)
    described = write_history(history, folder / "history", processes=1)
    lines = (folder / "history" / "tickets.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    days = [[row for row in rows if row["created_at"].startswith(night.isoformat())] for night in NIGHTS]
    late, days[1] = days[1][:40], days[1][40:]
    corrected = [{**row, "description": f"{row['description']} I wrote this again."} for row in days[0][:30]]
    moved = [{**row, "category": days[0][0]["category"]} for row in days[0][30:60]]
    broken = [{**row, "id": f"broken-{number}", "description": " "} for number, row in enumerate(days[0][:9])]
    days[2] += corrected + moved + broken
    workspace = Workspace.create(folder / "workspace")
    for night, day in zip(NIGHTS, days, strict=True):
        if night == NIGHTS[-1]:
            _import(workspace, late, folder / "late.jsonl", described, NIGHTS[1])
        _import(workspace, day, folder / f"{night}.jsonl", described, night)
        if night == NIGHTS[1]:
            after_night(workspace, night)
    return workspace


def _import(workspace: Workspace, rows: list[dict[str, Any]], path: Path, described: Path, as_of: date) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    import_files(workspace, [path], described, as_of=as_of)


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, str]]:
    """`contents(workspace)`: SHA-256 of every file of the lake and the catalogue, by name, and what each step's
    manifest says it read and counted."""
    return _contents


def _contents(root: Path) -> dict[str, str]:
    files = [path for folder in ("lake", "catalogue") for path in (root / folder).rglob("*") if path.is_file()]
    found = {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    for path in (root / "manifests").glob("[!_]*/*.json"):
        said = json.loads(path.read_text(encoding="utf-8"))
        counts = {name: count for name, count in said["counts"].items() if name != WORK_DONE}
        found[str(path.relative_to(root))] = json.dumps([said["inputs"], counts], sort_keys=True)
    return found


@dataclass
class Processes:
    """Processes as /proc shows them, and the ones started here, stopped at the end in any case."""

    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, command: list[str], *, log: Path, environment: dict[str, str] | None = None) -> int:
        """Start a process in a group of its own; returns its id. Both its outputs go to `log`."""
        with open(log, "ab") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, env={**os.environ, **(environment or {})}, start_new_session=True
            )
        self.started.append(process)
        return process.pid

    def wait(self, process_id: int, seconds: float = 120) -> int:
        """The exit code, once it has ended."""
        (process,) = (process for process in self.started if process.pid == process_id)
        return process.wait(seconds)

    def kill(self, process_id: int) -> None:
        """kill -9 of a process started here and of all that descends from it: Python, Java, Spark's workers."""
        descendants = self.below(process_id)  # the workers are no longer found once their parents are gone
        for process in self.started:
            if process.pid == process_id:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)
        for descendant in descendants:
            with contextlib.suppress(ProcessLookupError):
                os.kill(descendant, signal.SIGKILL)

    def below(self, process_id: int, words: str = "") -> list[int]:
        """Ids of the living processes that descend from one, those whose command holds `words`."""
        parents = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                said = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if said[0] != "Z":
                parents[int(folder.name)] = int(said[1])
        found, level = [], {process_id}
        while level := {child for child, parent in parents.items() if parent in level}:
            found += sorted(level)
        return [child for child in found if words in _command(child)]

    def until(self, check: Callable[[], Any], *, seconds: float = 240) -> Any:
        """What `check` says once it is true."""
        return _until(check, seconds=seconds)

    def stop(self) -> None:
        for process in reversed(self.started):
            self.kill(process.pid)


def _command(process_id: int) -> str:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def processes() -> Iterator[Processes]:
    if not Path("/proc/self/stat").exists():
        pytest.skip("processes are found through /proc, which this system does not have")
    started = Processes()
    yield started
    started.stop()


def _until(check: Callable[[], Any], *, seconds: float = 60, every: float = 0.01) -> Any:
    end = time.monotonic() + seconds
    while not (said := check()):
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(every)
    return said


@dataclass(frozen=True)
class Cluster:
    """A standalone Spark cluster: its master's address and the folder in which its workers run executors."""

    master: str
    folder: Path
    daemons: tuple[int, ...]

    @property
    def environment(self) -> dict[str, str]:
        """What `spark-submit` is started with: this Spark, this Python."""
        return {"SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_DRIVER_PYTHON": sys.executable}

    def submit(self, arguments: Sequence[str], options: Sequence[str] = ()) -> list[str]:
        """The command that submits the pipeline."""
        program = Path(__file__).resolve().parents[3] / "deploy" / "spark" / "run_pipeline.py"
        java = [f"--conf=spark.{where}.extraJavaOptions={SHORT}" for where in ("driver", "executor")]
        submit = [str(SPARK_HOME / "bin" / "spark-submit"), "--master", self.master, *java]
        return [*submit, *options, str(program), *arguments]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers of one core each, as processes of their own, gone at the end whatever happens."""
    folder = tmp_path_factory.mktemp("cluster")
    running = Processes()
    port, page = _free_port(), _free_port()
    java = [str(SPARK_HOME / "bin" / "spark-class")]
    environment = {
        "SPARK_HOME": str(SPARK_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": SHORT,
        "SPARK_NO_DAEMONIZE": "1",
    }
    master = f"spark://127.0.0.1:{port}"
    try:
        where = ["--host", "127.0.0.1"]
        running.start(
            [*java, "org.apache.spark.deploy.master.Master", *where, "--port", str(port), "--webui-port", str(page)],
            log=folder / "master.log",
            environment=environment,
        )
        for number in range(2):
            size = ["--cores", "1", "--memory", "1g", "--webui-port", "0", "--work-dir", str(folder / f"work-{number}")]
            running.start(
                [*java, "org.apache.spark.deploy.worker.Worker", *where, *size, master],
                log=folder / f"worker-{number}.log",
                environment=environment,
            )
        _until(lambda: _alive_workers(page) == 2, every=0.2)
        yield Cluster(master, folder, tuple(process.pid for process in running.started))
    finally:
        running.stop()


def _alive_workers(page: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as answer:
            return int(json.load(answer)["aliveworkers"])
    except OSError:
        return 0


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
