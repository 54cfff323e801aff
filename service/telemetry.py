"""Prometheus metrics of one service process, and its JSON log. Names are part of the interface; see the design."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.access.log_masking import mask_secrets
from tickets.monitor_log import recent_runs, results_of
from tickets.records import Suggestion
from tickets.workspace import Workspace

_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The metrics of one app. Each app has its own registry, so two apps in one process do not mix."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        new = self.registry
        self.predictions = Counter(
            "triage_predictions", "Suggestions made.", ["model_version", "band", "abstained"], registry=new
        )
        self.inference = Histogram(
            "triage_inference_duration_seconds", "Cleaning and model, without waiting.", buckets=_SECONDS, registry=new
        )
        self.batch_size = Histogram(
            "triage_batch_size", "Tickets in one inference.", buckets=(1, 2, 4, 8, 16, 32, 64), registry=new
        )
        self.queue_depth = Gauge("triage_queue_depth", "Requests waiting for or in inference.", registry=new)
        self.feedback = Counter("triage_feedback", "Feedback kept.", ["action"], registry=new)
        self.model_info = Gauge("triage_model_info", "1 for the release that is served.", ["version"], registry=new)
        self.drift = Gauge(
            "triage_drift_score", "Statistic of each detector in the newest monitoring run.", ["detector"], registry=new
        )
        self.job_success = Gauge(
            "triage_job_last_success_timestamp_seconds", "When a step last succeeded.", ["job"], registry=new
        )
        self.queue_wait = Histogram(
            "triage_queue_wait_seconds",
            "What the oldest ticket of an inference waited.",
            buckets=_SECONDS,
            registry=new,
        )
        self.refusals = Counter("triage_refused", "Requests and shadow answers refused.", ["reason"], registry=new)
        self.challenger_answers = Counter(
            "triage_challenger_answers", "Tickets that a shadow answered too.", ["version", "agreed"], registry=new
        )
        self.spool_rows = Gauge("triage_spool_rows", "Rows of the suggestion log on their way.", registry=new)
        self.spool_bytes = Gauge("triage_spool_bytes", "Their size on disk.", registry=new)
        self.spool_oldest = Gauge("triage_spool_oldest_seconds", "How long the oldest has waited.", registry=new)
        self.spool_replayed = Counter("triage_spool_replayed", "Rows that ended processes left.", registry=new)
        self.http_seconds = Histogram(
            "triage_http_request_duration_seconds",
            "Whole requests.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=new,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        known = method if method in _METHODS else "other"  # clients choose methods; label values must stay few
        self.http_seconds.labels(known, route, str(status)).observe(seconds)

    def suggested(self, suggestions: Iterable[Suggestion]) -> None:
        for made in suggestions:
            band = made.contact_types[0].band if made.contact_types else "none"
            self.predictions.labels(made.model_version, band, str(made.abstained).lower()).inc()

    def waiting(self, tickets: int) -> None:
        self.queue_depth.set(tickets)

    def inferred(self, *, tickets: int, seconds: float, waited: float) -> None:
        self.inference.observe(seconds)
        self.batch_size.observe(tickets)
        self.queue_wait.observe(waited)

    def refused(self, reason: str) -> None:
        self.refusals.labels(reason).inc()

    def compared(self, version: str, *, agreed: bool) -> None:
        """A challenger in shadow answered what the champion had answered."""
        self.challenger_answers.labels(version, str(agreed).lower()).inc()

    def spooled(self, *, rows: int, size: int, oldest_seconds: float) -> None:
        self.spool_rows.set(rows)
        self.spool_bytes.set(size)
        self.spool_oldest.set(oldest_seconds)

    def replayed(self, rows: int) -> None:
        self.spool_replayed.inc(rows)

    def served(self, version: str | None) -> None:
        """Say which release is served; None before the first."""
        self.model_info.clear()
        if version is not None:
            self.model_info.labels(version).set(1)

    def nightly(self, workspace: Workspace, engine: sa.Engine) -> None:
        """Bring in what the nightly jobs left: drift scores from the database, times of success from the manifests."""
        for job, seconds in _last_successes(workspace.manifests):
            self.job_success.labels(job).set(seconds)
        try:
            newest = recent_runs(engine, limit=1)
            results = results_of(engine, newest[0].run_id) if newest else []
        except sa.exc.SQLAlchemyError as error:
            structlog.get_logger().warning("drift scores not read", kind=type(error).__qualname__)
            return
        for run in newest:
            self.job_success.labels("monitor").set(run.started_at.timestamp() + run.seconds)
        self.drift.clear()
        for result in results:
            if result.statistic is not None:
                self.drift.labels(result.detector).set(result.statistic)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def log_as_json() -> None:
    """Write structlog events as one JSON object a line. For a process that does nothing but serve."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_secrets,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def _last_successes(manifests: Path) -> Iterable[tuple[str, float]]:
    """(step, Unix time of its newest manifest): a manifest is written last, so its file's age is the success's."""
    for folder in sorted(manifests.glob("*")):
        times = [path.stat().st_mtime for path in folder.glob("*.json")]
        if times:
            yield folder.name, max(times)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
