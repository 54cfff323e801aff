"""A night that dies in every one of its steps, killed or by an error, ends as one that nobody touched; of two that are
started at once one runs."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from models import release
from models.config import TrainConfig
from models.quarantine import quarantined
from models.suggest import Suggester
from models.train import train
from pipeline.importing import import_files
from pipeline.nightly import run_pipeline
from tests.logged import log_suggestions
from tickets import monitor_log
from tickets.database import label_queue
from tickets.errors import LockedError
from tickets.feedback_log import record_feedback
from tickets.night_record import NightRecord
from tickets.records import Feedback, Suggestion, Ticket
from tickets.simulate import SimulationConfig, write_history
from tickets.workspace import Workspace
from triage.champion import promote
from triage.monitoring_settings import MonitoringSettings
from triage.nightly import STEPS, Did, Night, NightStep, run_steps
from triage.settings import Settings, TrackingSettings, database

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # a minute or two; machines may be busy

START, TONIGHT = dt.date(2026, 1, 5), dt.date(2026, 1, 22)
LIVE = 70  # tickets of the last days that the service answered
KNOBS = {"RETRAIN_EVERY_DAYS": "1", "GATE_LEAST_TICKETS": "20", "GATE_DAYS": "3", "VALIDATION_DAYS": "3"}


class Died(Exception):  # noqa: N818  # a power cut is no error
    """What ends a run here, where outside it is a power cut."""


@dataclass(frozen=True)
class Begun:
    """Everything before the night: a lake of two weeks, a champion that is served, some days of live traffic. `dataset`
    lists a file that no import has read."""

    root: Path
    dataset: Path
    config: TrainConfig


@pytest.fixture(scope="module")
def spark() -> SparkSession:
    """A session that lives: the demonstration's tests stop the one that all share."""
    from pipeline.session import spark_session

    return spark_session(app="tests", master="local[2]")


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, small_encoder: Path, spark: SparkSession) -> Begun:
    folder = tmp_path_factory.mktemp("nights")
    history = SimulationConfig(seed=5, start=START, days=18, tickets_per_day=30)
    described = write_history(history, folder / "history", processes=1)
    first, later = folder / "first.jsonl", folder / "history" / "tickets.jsonl"
    rows = later.read_text(encoding="utf-8").splitlines()
    cut = (START + dt.timedelta(days=11)).isoformat()
    old = [row for row in rows if json.loads(row)["created_at"] < cut]
    first.write_text("\n".join(old) + "\n", encoding="utf-8")
    later.write_text("\n".join(row for row in rows if row not in set(old)) + "\n", encoding="utf-8")
    workspace = Workspace.create(folder / "workspace")
    trained_on = START + dt.timedelta(days=11)
    import_files(workspace, [first], described, as_of=trained_on)
    run_pipeline(workspace, as_of=trained_on, spark=spark)
    config = TrainConfig(
        precision="fp32",
        encoder=str(small_encoder),
        max_tokens=32,
        epochs=1,
        batch_size=16,
        checkpoint_every=5,
        device="cpu",
    )
    champion = train(workspace, config, report=print, progress=lambda *_: None, sinks=("none",), ladder={})
    with database(Settings(), workspace) as engine:
        at = dt.datetime.combine(trained_on, dt.time(23), tzinfo=dt.UTC)
        monitor_log.record_event(engine, "trained", at=at, model_version=champion.version, details={})
        promote(workspace, engine, champion.version, details={}, tracking_uri="", at=at)
        _live(engine, Suggester.load(release.current_release(workspace)), [json.loads(row) for row in rows[-LIVE:]])
    return Begun(workspace.root, described, config)


def _live(engine: Any, suggester: Suggester, rows: list[dict[str, Any]]) -> None:
    """Agents accept two suggestions of three."""
    for number, row in enumerate(rows):
        at = dt.datetime.combine(TONIGHT, dt.time(9), tzinfo=dt.UTC) - dt.timedelta(hours=number)
        ticket = Ticket(ticket_id=f"live-{number}", created_at=at, body=row["description"], language="en")
        (made,) = suggester.suggest([ticket], now=at)
        made = replace(made, suggestion_id=f"s-{number}")
        log_suggestions(engine, [(ticket, made)])
        assert record_feedback(engine, _feedback(number, made, at))


def _feedback(number: int, made: Suggestion, at: dt.datetime) -> Feedback:
    wrong = number % 3 == 0
    return Feedback(
        feedback_id=f"f-{number}",
        suggestion_id=made.suggestion_id,
        ticket_id=made.ticket_id,
        action="corrected" if wrong else "accepted",
        at=at,
        contact_type=made.contact_types[1 if wrong else 0].contact_type,
    )


@dataclass
class Nights:
    """One workspace, and processes that do its night one after the other; each may be told where to die."""

    workspace: Workspace
    dataset: Path
    config: TrainConfig
    spark: SparkSession

    @property
    def settings(self) -> Settings:
        knobs = MonitoringSettings.model_validate({name.lower(): value for name, value in KNOBS.items()})
        return Settings(
            workspace=self.workspace.root,
            nightly_import=self.dataset,
            monitoring=knobs,
            tracking=TrackingSettings(sinks="none"),
        )

    def run(
        self, *, as_of: dt.date = TONIGHT, after: str = "", at_line: str = "", at_step: int = 0, at_row_of: str = ""
    ) -> NightRecord:
        """Do the night. It dies `after` a step's work, at a line that is told, at a step of training, or before the
        first new row of a table."""
        settings = self.settings

        def report(line: str) -> None:
            if at_line and at_line in line:
                raise Died(line)

        def progress(step: int, _total: int, _loss: float) -> None:
            if step == at_step:
                raise Died(str(step))

        def write(*given: Any) -> None:
            if at_row_of and given[2].startswith(f"INSERT INTO {at_row_of} "):
                raise Died(at_row_of)

        with self.workspace.lock("nightly"), database(settings, self.workspace) as engine:
            sa.event.listen(engine, "before_cursor_execute", write)
            night = Night(
                settings=settings,
                workspace=self.workspace,
                engine=engine,
                spark=lambda: self.spark,
                config=self.config,
                as_of=as_of,
                record=NightRecord.open(self.workspace, as_of),
                report=report,
                progress=progress,
            )
            run_steps(night, [_dies(step) if step.name == after else step for step in STEPS])
        return night.record

    def left(self) -> dict[str, Any]:
        """All that the night leaves, but for times and the times in models' names."""
        with database(self.settings, self.workspace) as engine:
            runs = monitor_log.recent_runs(engine)
            found = {
                "lake": _hashes(self.workspace.lake),
                "models": [_short(version) for version in release.versions(self.workspace)],
                "served": _short(str(release.current_version(self.workspace))),
                "held": [_short(version) for version in quarantined(self.workspace)],
                "timeline": [
                    (event.kind, _short(str(event.model_version)), event.details.get("figures"))
                    for event in monitor_log.model_timeline(engine)
                ],
                "runs": [(run.run_id, run.status, run.summary) for run in runs],
                "results": [monitor_log.results_of(engine, run.run_id) for run in runs],
                "alarms": [alarm.detector for alarm in monitor_log.recent_alarms(engine)],
                "labels": self.asked(),
            }
        record = NightRecord.open(self.workspace, TONIGHT)
        found["record"] = [(name, step.state) for name, step in record.steps.items()]
        return found

    def asked(self) -> list[tuple[Any, ...]]:
        """What people are asked to label: every item, so that one that was asked twice is there twice."""
        columns = [label_queue.c[name] for name in ("ticket_id", "round", "share", "needed", "priority", "run_id")]
        with database(self.settings, self.workspace) as engine, engine.connect() as connection:
            return sorted((*row[:-1], _short(row.run_id)) for row in connection.execute(sa.select(*columns)))


def _dies(step: NightStep) -> NightStep:
    """The step, whose process dies when its work is done and nobody knows."""

    def run(night: Night) -> Did:
        step.run(night)
        raise Died(step.name)

    return NightStep(step.name, run)


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _short(version: str) -> str:
    """What a version's name says of data and settings."""
    return version.rpartition("-")[2]


@pytest.fixture
def nights(begun: Begun, spark: SparkSession, tmp_path: Path) -> Callable[[str], Nights]:
    def copy(name: str) -> Nights:
        shutil.copytree(begun.root, tmp_path / name)
        return Nights(Workspace.open(tmp_path / name), begun.dataset, begun.config, spark)

    return copy


@pytest.fixture
def started() -> Iterator[Callable[[Nights], subprocess.Popen[str]]]:
    """`triage nightly --json` in a process of its own, ended in any case."""
    running: list[subprocess.Popen[str]] = []

    def start(nights: Nights) -> subprocess.Popen[str]:
        knobs = nights.workspace.root / "knobs.json"
        knobs.write_text(
            json.dumps({"encoder": nights.config.encoder, "max_tokens": 32, "epochs": 1}), encoding="utf-8"
        )
        command = [sys.executable, "-m", "triage", "nightly", "--json", "--as-of", TONIGHT.isoformat()]
        command += ["--knobs", str(knobs), "--device", "cpu", "--workspace", str(nights.workspace.root)]
        given = {f"TRIAGE_MONITORING__{name}": value for name, value in KNOBS.items()}
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **{**os.environ, **given, "TRIAGE_TRACKING__SINKS": "none"},
                "TRIAGE_NIGHTLY_IMPORT": str(nights.dataset),
            },
            start_new_session=True,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_night_that_dies_in_every_step_ends_as_one_that_nobody_touched(
    nights: Callable[[str], Nights], started: Callable[[Nights], subprocess.Popen[str]]
) -> None:
    whole, dying = nights("whole"), nights("dying")
    done = whole.run()
    assert done.state == "done"
    assert done.steps["import"].summary.endswith(" rows")

    for step in ("import", "extract"):
        with pytest.raises(Died, match=step):
            dying.run(after=step)

    # Two at once: one is told who holds the workspace, the other is killed in the middle of its work.
    both = [started(dying), started(dying)]
    locked = _first_to_end(both)
    assert locked.wait(240) == LockedError.exit_code
    assert f"another run holds this workspace: nightly {TONIGHT}, process" in locked.communicate()[1]
    (running,) = [process for process in both if process is not locked]
    _until(lambda: "take up" in NightRecord.open(dying.workspace, TONIGHT).steps)
    time.sleep(1)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait(30) == -signal.SIGKILL
    assert NightRecord.open(dying.workspace, TONIGHT).steps["take up"].state == "running"

    for step in ("take up", "probation", "score"):
        with pytest.raises(Died, match=step):
            dying.run(after=step)
    # Labels are asked, and no night is recorded that asked for them.
    with pytest.raises(Died):
        dying.run(at_row_of="monitor_runs")
    assert dying.asked() == whole.asked() != []
    assert dying.left()["runs"] == []
    with pytest.raises(Died, match="monitor"):
        dying.run(after="monitor")
    for where in ({"at_step": 7}, {"at_line": " meets "}, {"after": "retrain"}):
        with pytest.raises(Died):
            dying.run(**where)  # type: ignore[arg-type]
    assert dying.run().state == "done"

    expected = whole.left()
    assert len(expected["models"]) == 2
    assert [kind for kind, _, _ in expected["timeline"]].count("trained") == 2
    left = dying.left()
    assert {name for name in expected if left[name] != expected[name]} == set()


def test_long_after_the_newest_ticket_a_night_says_why_it_cannot_train_and_is_done(
    nights: Callable[[str], Nights],
) -> None:
    late = nights("late")
    models = release.versions(late.workspace)
    record = late.run(as_of=TONIGHT + dt.timedelta(days=200))
    assert record.state == "done"
    assert record.steps["retrain"].summary.startswith(
        "no training, though the model was last judged, or met a challenger, on"
    )
    assert "validation" in record.steps["retrain"].summary
    assert release.versions(late.workspace) == models


def _first_to_end(processes: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    return _until(lambda: next((process for process in processes if process.poll() is not None), None))


def _until(check: Callable[[], Any], *, seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while not (said := check()):
        assert time.monotonic() < end, f"not so within {seconds} s"
        time.sleep(0.02)
    return said
