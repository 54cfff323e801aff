"""The nightly pipeline, from source files to features and pairs, at three sizes of simulated history.

    python bench/pipeline.py [--quick]

Each run is a process of its own, Spark's start included. Figures, with the size in thousands of tickets behind a name:
seconds, tickets_per_second, driver_peak_mb (Java and the driver's Python; in local mode Java runs the tasks too),
workers_peak_mb (Python workers, shared pages counted once), shuffle_mb, and the share of time of each stage
(share_<stage>; `start` is that of Python and Spark). For the largest size: growth_exponent (seconds over rows, from the
size before) and the same without the start, which flatters it; incremental_share (a night with one per cent of new
tickets against the full run; nights neither split nor pair, training does). At one size: speedup_two_cores (the process
tied to one core, and to two), times_plain_loop (against the same functions in one process, in plain_loop.py, whose
imports are not counted).
labels_*: half a million real outcomes without text (cfpb/labels-2021.parquet), where that file is at hand.
scoring_*: bench/scoring_rate.py.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import math
import multiprocessing
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# This folder comes last: it holds a pipeline.py, and `pipeline` must mean the package.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

import psutil
from bench_record import record
from plain_loop import plain_loop
from public_data import CFPB
from scoring_rate import backlog, scoring_figures

from pipeline.importing import import_files
from pipeline.nightly import run_pipeline, take_up
from pipeline.session import spark_session
from tickets.manifests import manifests, read_manifest
from tickets.simulate import SimulationConfig, write_history
from tickets.workspace import Workspace

NIGHT = dt.date(2027, 1, 1)
FIRST_DAY = dt.date(2026, 1, 5)
STAGES = ("import", "clean", "featurise", "duplicates", "label", "split", "pairs")
LABELS = CFPB / "labels-2021.parquet"
LABELS_DATASET = """
name = "labels-2021"
format = "parquet"
files = [{ path = "labels-2021.parquet" }]

[ticket]
body = "submitted_via"  # there is no text: every ticket is a copy of a few, which near-duplicates must stand
created_at = "date_received"

[outcome]
contact_type = "issue"
"""


@dataclass
class Run:
    """What one run of the pipeline took."""

    seconds: float = 0.0
    rows: int = 0
    stages: dict[str, float] = field(default_factory=dict)
    driver_mb: int = 0
    workers_mb: int = 0
    shuffle_mb: int = 0

    @property
    def worked(self) -> float:
        """Seconds without the start of Python and Spark."""
        return self.seconds - self.stages["start"]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="2, 8 and 20 thousand tickets, for a look")
    quick = arguments.parse_args().quick
    sizes = [2_000, 8_000, 20_000] if quick else [10_000, 100_000, 1_000_000]
    compared = 8_000 if quick else 200_000
    started = time.perf_counter()
    figures: dict[str, float | int] = {}
    runs: dict[int, Run] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in sizes:
            export = simulated(folder / f"export-{size}", size, FIRST_DAY, seed=7)
            runs[size] = run(folder / f"lake-{size}", export, as_of=NIGHT)
            figures |= figures_of(runs[size], f"_{size // 1000}k")
            if size != sizes[-1]:
                shutil.rmtree(folder / f"lake-{size}")
        figures |= largest(folder, sizes, runs)
        figures |= beside_others(folder, compared)
        figures |= half_a_million_labels(folder)
    figures |= scoring(4_000 if quick else 8_000)
    record("pipeline", figures, seconds=time.perf_counter() - started)


def simulated(folder: Path, size: int, first_day: dt.date, *, seed: int) -> Path:
    """An export of about `size` tickets; returns its dataset.toml."""
    if not folder.exists():
        days = max(1, min(100, size // 1_000))
        customers = max(40_000, 4 * size)  # most write once, at any size
        config = SimulationConfig(
            seed=seed, start=first_day, days=days, tickets_per_day=size // days, customers=customers
        )
        write_history(config, folder, processes=2)
    return folder / "dataset.toml"


def run(lake: Path, dataset: Path, *, as_of: dt.date, cores: int = 2) -> Run:
    """Import and run the pipeline in a process tied to so many cores, its memory watched from here."""
    context = multiprocessing.get_context("spawn")
    done = Run()
    clock = time.perf_counter()
    process = context.Process(target=night, args=(lake, dataset, as_of, cores))
    process.start()
    watch = threading.Thread(target=watch_memory, args=(process, done))
    watch.start()
    process.join()
    done.seconds = time.perf_counter() - clock
    watch.join()
    if process.exitcode != 0:
        raise SystemExit(f"the run on {dataset.parent.name} ended with {process.exitcode}")
    workspace = Workspace.open(lake)
    for stage in STAGES:
        manifest = read_manifest(workspace, stage, as_of.isoformat())
        if manifest is not None:  # a night after the first neither splits nor pairs
            done.stages[stage] = manifest.seconds
    done.rows = rows_of(workspace)
    done.stages["start"] = done.seconds - sum(done.stages.values())
    done.shuffle_mb = shuffled_mb(lake.with_name(f"{lake.name}-events"))
    return done


def night(lake: Path, dataset: Path, as_of: dt.date, cores: int) -> None:
    """What a run's process does."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    workspace = Workspace.create(lake)
    events = lake.with_name(f"{lake.name}-events")
    events.mkdir(exist_ok=True)
    import_files(workspace, [], dataset, as_of=as_of)
    config = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.as_uri(),
        "spark.eventLog.compress": "false",
    }
    spark = spark_session(app="bench", master=f"local[{cores}]", config=config)
    night_only = as_of > NIGHT
    (take_up if night_only else run_pipeline)(workspace, as_of=as_of, spark=spark, report=print)
    spark.stop()


def watch_memory(process: Any, done: Run) -> None:
    """Twice a second: what Java and the driver hold, and what the Python workers hold."""
    while process.is_alive():
        driver = workers = 0
        try:
            everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for one in everyone:
            try:
                worker = any("pyspark.daemon" in word for word in one.cmdline())
                held = one.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            workers += held if worker else 0
            driver += 0 if worker else held
        done.driver_mb = max(done.driver_mb, round(driver / 2**20))
        done.workers_mb = max(done.workers_mb, round(workers / 2**20))
        time.sleep(0.5)


def shuffled_mb(events: Path) -> int:
    """Bytes that tasks wrote for other tasks, from Spark's own event log."""
    written = 0
    for path in (path for path in events.rglob("*") if path.is_file() and not path.name.startswith(".")):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if '"SparkListenerTaskEnd"' in line:
                    metrics = json.loads(line).get("Task Metrics") or {}
                    written += metrics.get("Shuffle Write Metrics", {}).get("Shuffle Bytes Written", 0)
    return round(written / 2**20)


def rows_of(workspace: Workspace) -> int:
    """Raw rows of all days: the last night's cleaning counts them."""
    return list(manifests(workspace, "clean"))[-1].counts["raw"]


def figures_of(done: Run, suffix: str) -> dict[str, float | int]:
    shares = {f"share_{stage}{suffix}": round(seconds / done.seconds, 3) for stage, seconds in done.stages.items()}
    return {
        f"tickets{suffix}": done.rows,
        f"seconds{suffix}": round(done.seconds, 1),
        f"tickets_per_second{suffix}": round(done.rows / done.seconds),
        f"driver_peak_mb{suffix}": done.driver_mb,
        f"workers_peak_mb{suffix}": done.workers_mb,
        f"shuffle_mb{suffix}": done.shuffle_mb,
        **shares,
    }


def largest(folder: Path, sizes: list[int], runs: dict[int, Run]) -> dict[str, float | int]:
    """How the largest run compares with the one before it, and with the night after it."""
    before, full = runs[sizes[-2]], runs[sizes[-1]]
    lake = folder / f"lake-{sizes[-1]}"
    later = simulated(folder / "export-later", sizes[-1] // 100, FIRST_DAY + dt.timedelta(days=200), seed=8)
    tomorrow = run(lake, later, as_of=NIGHT + dt.timedelta(days=1))
    shutil.rmtree(lake)
    return {
        "tickets_per_second": round(full.rows / full.seconds),
        "growth_exponent": round(growth(before.rows, before.seconds, full.rows, full.seconds), 3),
        "growth_exponent_without_start": round(growth(before.rows, before.worked, full.rows, full.worked), 3),
        "driver_peak_mb": full.driver_mb,
        "incremental_seconds": round(tomorrow.seconds, 1),
        "incremental_share": round(tomorrow.seconds / full.seconds, 4),
    }


def growth(rows: int, seconds: float, more_rows: int, more_seconds: float) -> float:
    """The power of the rows that seconds grow with: 1 is linear."""
    return math.log(more_seconds / seconds) / math.log(more_rows / rows)


def beside_others(folder: Path, size: int) -> dict[str, float | int]:
    """One core against two, and the plain loop against both."""
    dataset = simulated(folder / f"export-{size}", size, FIRST_DAY, seed=7)
    seconds = {}
    for cores in (1, 2):
        seconds[cores] = run(folder / f"cores-{cores}", dataset, as_of=NIGHT, cores=cores).seconds
        shutil.rmtree(folder / f"cores-{cores}")
    clock = time.perf_counter()
    stages: Counter[str] = Counter(plain_loop(dataset, folder / "plain", as_of=NIGHT))
    loop = time.perf_counter() - clock
    return {
        "compared_tickets": size,
        "speedup_two_cores": round(seconds[1] / seconds[2], 3),
        "times_plain_loop": round(loop / seconds[2], 3),
        "plain_loop_seconds": round(loop, 1),
        **{f"plain_loop_share_{stage}": round(taken / loop, 3) for stage, taken in stages.items()},
    }


def half_a_million_labels(folder: Path) -> dict[str, float | int]:
    if not LABELS.exists():
        return {}
    source = folder / "labels"
    source.mkdir()
    (source / "dataset.toml").write_text(LABELS_DATASET, encoding="utf-8")
    (source / "labels-2021.parquet").symlink_to(LABELS)
    done = run(folder / "lake-labels", source / "dataset.toml", as_of=NIGHT)
    return figures_of(done, "_labels")


def scoring(tickets: int) -> dict[str, float | int]:
    spark = spark_session(app="bench", master="local[2]")
    with tempfile.TemporaryDirectory() as folder:
        found = scoring_figures(backlog(Path(folder), tickets), spark, cores=2)
    spark.stop()
    return found


if __name__ == "__main__":
    main()
