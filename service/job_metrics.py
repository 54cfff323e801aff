"""What the nightly jobs and the machine tell by way of /metrics: times of success, drift, open alarms, free disk.

All of it lies in files and the database, and changes once a night. It is read again when a quarter of a minute has
passed, by one thread at a time. A scrape waits two seconds for it and then answers with what is known: a database that
is away, or does not answer, must not hide everything else.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, Gauge

from tickets.monitor_log import recent_alarms, recent_runs, results_of
from tickets.night_record import last_whole_night
from tickets.workspace import Workspace

log = structlog.get_logger()

_KEPT_SECONDS = 15.0
_PATIENCE_SECONDS = 2.0


class JobMetrics:
    """Gauges over the workspace and its database. Safe from several threads."""

    def __init__(self, registry: CollectorRegistry, *, kept_seconds: float = _KEPT_SECONDS) -> None:
        self.drift = Gauge(
            "triage_drift_score",
            "Statistic of each detector in the newest monitoring run.",
            ["detector"],
            registry=registry,
        )
        self.drifted = Gauge(
            "triage_drift_detected",
            "1 for a detector that saw drift in the newest run.",
            ["detector"],
            registry=registry,
        )
        self.alarms = Gauge("triage_alarms_open", "Alarms that are open.", ["severity"], registry=registry)
        self.job_success = Gauge(
            "triage_job_last_success_timestamp_seconds",
            "When a step last succeeded; `nightly` is a whole night, with all its steps.",
            ["step"],
            registry=registry,
        )
        self.free_bytes = Gauge("triage_workspace_free_bytes", "Free disk where the workspace lies.", registry=registry)
        self.database_up = Gauge(
            "triage_database_up", "1 when the database answered when it was last asked.", registry=registry
        )
        self._kept_seconds = kept_seconds
        self._turn = threading.Lock()
        self._next_read = 0.0

    def refresh(self, workspace: Workspace, engine: sa.Engine) -> None:
        """Read files and database unless that was done a moment ago or is being done. What is missing is logged."""
        if time.monotonic() < self._next_read or not self._turn.acquire(blocking=False):
            return
        reader = threading.Thread(target=self._read, args=(workspace, engine), name="triage-metrics", daemon=True)
        reader.start()
        reader.join(timeout=_PATIENCE_SECONDS)

    def _read(self, workspace: Workspace, engine: sa.Engine) -> None:
        try:
            self._read_files(workspace)
            self._read_database(engine)
        finally:
            self._next_read = time.monotonic() + self._kept_seconds
            self._turn.release()

    def _read_files(self, workspace: Workspace) -> None:
        try:
            self.free_bytes.set(shutil.disk_usage(workspace.root).free)
            for job, seconds in _last_successes(workspace.manifests):
                self.job_success.labels(job).set(seconds)
            night = last_whole_night(workspace)
            if night is not None and night.ended is not None:
                self.job_success.labels("nightly").set(night.ended.timestamp())
        except OSError as error:  # such as a manifest that is gone when it is looked at
            log.warning("free disk or manifests not read", kind=type(error).__qualname__)

    def _read_database(self, engine: sa.Engine) -> None:
        try:
            newest = recent_runs(engine, limit=1)
            results = results_of(engine, newest[0].run_id) if newest else []
            alarms = recent_alarms(engine, only_open=True)
        except sa.exc.SQLAlchemyError as error:
            self.database_up.set(0)
            log.warning("drift scores not read", kind=type(error).__qualname__)
            return
        self.database_up.set(1)
        for run in newest:
            self.job_success.labels("monitor").set(run.ended.timestamp())
        counts = Counter(alarm.severity for alarm in alarms)
        for severity in ("warning", "critical"):
            self.alarms.labels(severity).set(counts[severity])
        self.drift.clear()
        self.drifted.clear()
        for result in results:
            self.drifted.labels(result.detector).set(result.drifted)
            if result.statistic is not None:
                self.drift.labels(result.detector).set(result.statistic)


def _last_successes(manifests: Path) -> Iterable[tuple[str, float]]:
    """(step, Unix time of its newest manifest): a manifest is written last, so its file's age is the success's."""
    for folder in sorted(manifests.glob("[!_]*")):
        times = [path.stat().st_mtime for path in folder.glob("*.json")]
        if times:
            yield folder.name, max(times)
