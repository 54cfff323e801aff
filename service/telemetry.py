"""Prometheus metrics of one service process. Names are part of the interface; see docs/reference/metrics.md."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from service.job_metrics import JobMetrics
from tickets.records import Suggestion
from tickets.workspace import Workspace

_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
Labels = tuple[str, ...]


class Metrics:
    """The metrics of one app. Each app has its own registry, so two apps in one process do not mix.

    What is counted at every request keeps its labelled children: finding one by its labels costs more than counting.
    """

    def __init__(self) -> None:
        self.registry = new = CollectorRegistry()
        self._served: str | None = None
        self._measure_requests(new)
        self._measure_answers(new)
        self._measure_spool(new)
        self._measure_releases(new)
        self.jobs = JobMetrics(new)
        ProcessCollector(registry=new)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request has been answered; status 0 for one whose client left."""
        key = (method, route, str(status))
        child = self._requests.get(key)
        if child is None:  # clients choose methods; label values must stay few
            key = (method if method in _METHODS else "other", route, str(status))
            child = self._requests.setdefault(key, self.http_seconds.labels(*key))
        child.observe(seconds)

    def suggested(self, suggestions: Iterable[Suggestion]) -> None:
        for made in suggestions:
            band = made.contact_types[0].band if made.contact_types else "none"
            key = (made.model_version, band, "true" if made.abstained else "false")
            child = self._predictions.get(key)
            if child is None:
                child = self._predictions.setdefault(key, self.predictions.labels(*key))
            child.inc()

    def waiting(self, tickets: int) -> None:
        """So many tickets wait for the model now."""
        self.queue_depth.set(tickets)

    def inferred(self, *, tickets: int, seconds: float, waited: float) -> None:
        """One inference is over; `waited` is what the oldest of its tickets waited before it."""
        self.inference.observe(seconds)
        self.batch_size.observe(tickets)
        self.queue_wait.observe(waited)

    def refused(self, reason: str) -> None:
        """A request, or a shadow's answer, was refused for the sake of others."""
        self.refusals.labels(reason).inc()

    def compared(self, version: str, *, agreed: bool) -> None:
        """A challenger in shadow answered what the champion had answered."""
        self.challenger_answers.labels(version, "true" if agreed else "false").inc()

    def spooled(self, *, rows: int, size: int, oldest_seconds: float) -> None:
        """What waits in the spool, and for how long the oldest row has."""
        self.spool_rows.set(rows)
        self.spool_bytes.set(size)
        self.spool_oldest_seconds.set(oldest_seconds)

    def replayed(self, rows: int) -> None:
        """Rows that an ended process had left are in the database."""
        self.spool_replayed.inc(rows)

    def release_told(self, served: str | None, loaded: bool) -> None:
        """A release, champion or challenger, was loaded or could not be; `served` is the champion now."""
        self.release_loads.labels("loaded" if loaded else "refused").inc()
        if served == self._served:
            return
        self._served = served
        self.model_info.clear()
        self._predictions.clear()  # a retired version is not kept in mind
        if served is not None:
            self.model_info.labels(served).set(1)
            self.release_loaded_at.set_to_current_time()

    def refresh(self, workspace: Workspace, engine: sa.Engine, *, release_refused: bool) -> None:
        """Bring in what others left behind; see JobMetrics.refresh."""
        self.release_refused.set(release_refused)
        self.jobs.refresh(workspace, engine)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _measure_requests(self, new: CollectorRegistry) -> None:
        self.http_seconds = Histogram(
            "triage_http_request_duration_seconds",
            "Whole requests; status 0 for a client that left.",
            ["method", "route", "status"],
            buckets=_SECONDS,
            registry=new,
        )
        self._requests: dict[Labels, Histogram] = {}
        self.refusals = Counter("triage_refused", "Requests and shadow answers refused.", ["reason"], registry=new)

    def _measure_answers(self, new: CollectorRegistry) -> None:
        self.predictions = Counter(
            "triage_predictions", "Suggestions made.", ["model_version", "band", "abstained"], registry=new
        )
        self._predictions: dict[Labels, Counter] = {}
        self.inference = Histogram(
            "triage_inference_duration_seconds", "The model, without waiting.", buckets=_SECONDS, registry=new
        )
        self.queue_wait = Histogram(
            "triage_queue_wait_seconds",
            "What the oldest ticket of an inference waited.",
            buckets=_SECONDS,
            registry=new,
        )
        self.batch_size = Histogram(
            "triage_batch_size", "Tickets in one inference.", buckets=(1, 2, 3, 4, 6, 8, 16, 32), registry=new
        )
        self.queue_depth = Gauge("triage_queue_depth", "Tickets waiting for the model.", registry=new)
        self.feedback = Counter("triage_feedback", "Feedback kept.", ["action"], registry=new)
        self.webhooks = Counter(
            "triage_webhook_deliveries",
            "Helpdesk deliveries, by what came of them.",
            ["helpdesk", "outcome"],
            registry=new,
        )
        self.challenger_answers = Counter(
            "triage_challenger_answers",
            "Tickets that a shadow answered too, by whether it agreed with the champion.",
            ["version", "agreed"],
            registry=new,
        )

    def _measure_spool(self, new: CollectorRegistry) -> None:
        self.spool_rows = Gauge("triage_spool_rows", "Rows of the suggestion log on their way.", registry=new)
        self.spool_bytes = Gauge(
            "triage_spool_bytes", "Size on disk of the suggestion log's rows on their way.", registry=new
        )
        self.spool_oldest_seconds = Gauge(
            "triage_spool_oldest_seconds", "How long the oldest row of the suggestion log has waited.", registry=new
        )
        self.spool_replayed = Counter(
            "triage_spool_replayed", "Rows that ended processes left and that were brought in.", registry=new
        )

    def _measure_releases(self, new: CollectorRegistry) -> None:
        self.model_info = Gauge("triage_model_info", "1 for the release that is served.", ["version"], registry=new)
        self.release_loads = Counter(
            "triage_release_loads", "Releases loaded, and those that could not be.", ["result"], registry=new
        )
        self.release_loaded_at = Gauge(
            "triage_release_loaded_timestamp_seconds",
            "When the served release was loaded; 0 without one.",
            registry=new,
        )
        self.release_refused = Gauge(
            "triage_release_refused", "1 while a promoted release cannot be loaded.", registry=new
        )
