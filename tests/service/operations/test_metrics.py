"""/metrics: what operators watch, read seldom, told also while the database is away."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from models.release import FACTS, promote
from service.access.options import AccessOptions
from service.app import create_app, running
from service.job_metrics import JobMetrics
from service.options import ServiceOptions
from service.telemetry import Metrics
from tickets.manifests import record_state
from tickets.monitor_log import Alarm, DetectorResult, MonitorRun, record_run
from tickets.night_record import NightRecord
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.conftest import Service

NIGHT = datetime(2026, 11, 1, 2, tzinfo=UTC)


def value(text: str, series: str) -> float:
    (found,) = re.findall(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found)


def a_night(engine: sa.Engine, run_id: str = "r1") -> None:
    run = MonitorRun(
        run_id=run_id,
        as_of="2026-11-01",
        started_at=NIGHT,
        seconds=30,
        model_version="v",
        status="alarm",
        windows={},
        summary={},
    )
    results = [
        DetectorResult(detector="length", statistic=0.4, limit=0.2, p_value=0.001, status="drifted"),
        DetectorResult(detector="volume", statistic=0.1, limit=0.2, p_value=0.5, status="ok"),
        DetectorResult(detector="confidence", statistic=None, limit=None, p_value=None, status="unknown"),
    ]
    alarm = Alarm(
        alarm_id=f"a-{run_id}", run_id=run_id, detector="length", severity="critical", message="longer", raised_at=NIGHT
    )
    record_run(engine, run, results, [alarm])


def test_what_the_night_found_is_told(service: Service) -> None:
    a_night(service.engine)
    folder = service.workspace.manifests / "cleaned"
    folder.mkdir(parents=True)
    (folder / "2026-11-01.json").write_text("{}", encoding="utf-8")
    text = service.client.get("/metrics").text
    assert value(text, 'triage_drift_score{detector="length"}') == 0.4
    assert value(text, 'triage_drift_detected{detector="length"}') == 1
    assert value(text, 'triage_drift_detected{detector="volume"}') == 0
    assert 'triage_drift_score{detector="confidence"}' not in text
    assert value(text, 'triage_alarms_open{severity="critical"}') == 1
    assert value(text, 'triage_alarms_open{severity="warning"}') == 0
    assert value(text, 'triage_job_last_success_timestamp_seconds{step="monitor"}') == NIGHT.timestamp() + 30
    assert value(text, 'triage_job_last_success_timestamp_seconds{step="cleaned"}') == pytest.approx(
        time.time(), abs=60
    )
    assert value(text, "triage_workspace_free_bytes") > 0
    assert value(text, "triage_database_up") == 1
    assert value(text, "process_resident_memory_bytes") > 1_000_000


def test_a_night_counts_when_all_its_steps_are_done(sqlite_engine: sa.Engine, tmp_path: Path) -> None:
    workspace, registry = Workspace.create(tmp_path / "w"), CollectorRegistry()
    metrics = JobMetrics(registry, kept_seconds=0)

    def told() -> float | None:
        metrics.refresh(workspace, sqlite_engine)
        return registry.get_sample_value("triage_job_last_success_timestamp_seconds", {"step": "nightly"})

    def night(day: int, began: datetime) -> NightRecord:
        record = NightRecord.open(workspace, date(2026, 11, day))
        for step in ("monitor", "retrain"):
            record.begin(step)
            record.end(step, "", 30.0, {})
            record.steps[step] = replace(record.steps[step], began=began.isoformat())
        return record

    a_night(sqlite_engine)  # `triage monitor` by hand is no whole night
    record_state(workspace, "featurise", date(2026, 11, 1), "failed")
    assert told() is None
    night(1, NIGHT).finish()
    night(2, NIGHT + timedelta(days=1)).fail("retrain", OSError("away"), 1.0)
    broken, began = workspace.root / "nightly" / "2026-11-03.json", NIGHT + timedelta(days=2)
    night(3, began).finish()
    broken.write_text(broken.read_text(encoding="utf-8").replace(began.isoformat(), "today", 1), encoding="utf-8")
    assert told() == NIGHT.timestamp() + 30
    NightRecord.open(workspace, date(2026, 11, 1)).finish()  # done already: nothing was done again
    assert told() == NIGHT.timestamp() + 30
    samples = {sample.labels.get("step") for metric in registry.collect() for sample in metric.samples}
    assert "_state" not in samples


def test_a_release_that_cannot_be_loaded_is_told(service: Service, second_version: str) -> None:
    text = service.client.get("/metrics").text
    assert value(text, "triage_release_refused") == 0
    assert value(text, 'triage_release_loads_total{result="loaded"}') == 1
    loaded = value(text, "triage_release_loaded_timestamp_seconds")
    assert loaded == pytest.approx(time.time(), abs=600)
    promote(service.workspace, second_version)
    facts = service.workspace.releases / second_version / FACTS
    facts.unlink()
    facts.write_text("{", encoding="utf-8")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        text = service.client.get("/metrics").text
        if value(text, "triage_release_refused") == 1:
            break
        time.sleep(0.05)
    assert value(text, "triage_release_refused") == 1
    assert value(text, 'triage_release_loads_total{result="refused"}') == 1
    assert value(text, "triage_release_loaded_timestamp_seconds") == loaded


def test_scrapes_ask_files_and_database_once_in_a_while(sqlite_engine: sa.Engine, tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    asked: list[str] = []
    sa.event.listen(sqlite_engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    metrics = JobMetrics(CollectorRegistry(), kept_seconds=0.2)
    metrics.refresh(workspace, sqlite_engine)
    first = len(asked)
    assert first > 0
    metrics.refresh(workspace, sqlite_engine)
    assert len(asked) == first
    time.sleep(0.25)
    metrics.refresh(workspace, sqlite_engine)
    assert len(asked) > first


def test_a_manifest_that_is_gone_when_it_is_looked_at_hides_nothing_else(
    tmp_path: Path, sqlite_engine: sa.Engine
) -> None:
    workspace, registry = Workspace.create(tmp_path / "w"), CollectorRegistry()
    folder = workspace.manifests / "clean"
    folder.mkdir(parents=True)
    (folder / "2026-03-02.json").symlink_to(folder / "gone")
    JobMetrics(registry).refresh(workspace, sqlite_engine)
    assert registry.get_sample_value("triage_database_up") == 1
    assert registry.get_sample_value("triage_workspace_free_bytes")


def test_a_database_that_does_not_answer_holds_up_no_scrape_for_long(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "w")
    release = threading.Event()
    slow = sa.create_engine("sqlite://")
    sa.event.listen(slow, "do_connect", lambda *given: release.wait(20) and None)
    metrics = JobMetrics(CollectorRegistry())
    started = time.monotonic()
    metrics.refresh(workspace, slow)
    first = time.monotonic() - started
    metrics.refresh(workspace, slow)
    assert first < 5
    assert time.monotonic() - started - first < 1, "one reader is enough"
    release.set()


def test_a_database_that_is_away_is_told_and_nothing_else_is_lost(served: Workspace) -> None:
    away = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    options = ServiceOptions(access=AccessOptions(require_keys=False))
    with running(create_app(served, away, options)) as address:
        text = httpx.get(f"{address}/metrics").text
    assert value(text, "triage_database_up") == 0
    assert value(text, 'triage_release_loads_total{result="loaded"}') == 1


def test_what_is_counted_at_every_request_is_counted_once_each() -> None:
    metrics = Metrics()
    for method in ("GET", "GET", "BREW", "POUR"):
        metrics.request(method, "/v1/model", 200, 0.004)
    metrics.refused("queue full")
    metrics.compared("v2", agreed=True)
    metrics.compared("v2", agreed=False)
    metrics.compared("v2", agreed=False)
    metrics.spooled(rows=7, size=900, oldest_seconds=1.5)
    metrics.replayed(3)
    metrics.inferred(tickets=4, seconds=0.02, waited=0.001)
    text = metrics.text().decode()
    count = "triage_http_request_duration_seconds_count"
    assert value(text, f'{count}{{method="GET",route="/v1/model",status="200"}}') == 2
    assert value(text, f'{count}{{method="other",route="/v1/model",status="200"}}') == 2
    assert value(text, 'triage_refused_total{reason="queue full"}') == 1
    assert value(text, 'triage_challenger_answers_total{agreed="false",version="v2"}') == 2
    assert value(text, "triage_spool_rows") == 7
    assert value(text, "triage_spool_oldest_seconds") == 1.5
    assert value(text, "triage_spool_replayed_total") == 3
    assert value(text, "triage_queue_wait_seconds_count") == 1
    assert value(text, "triage_batch_size_sum") == 4
