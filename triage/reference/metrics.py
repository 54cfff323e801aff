"""Every Prometheus metric that /metrics has, as docs/reference/metrics.md shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import Metric

from service.telemetry import Metrics
from triage.reference.markdown import code, joined, table

_INTRODUCTION = """# Metrics

`GET /metrics` answers in Prometheus' text format. Who may read it, and alerts over these metrics, are in
[operations](../operations.md#metrics). A counter ends in `_total` there, a histogram has `_bucket`, `_sum` and
`_count`. Each replica tells of itself; what it reads from files and the database (jobs, drift, alarms, disk) all
replicas tell alike."""

_OF_LABELS = {
    "abstained": "`true` when the model chose nothing for the agent",
    "action": "`accepted`, `corrected`, `ignored`",
    "agreed": "`true` when the challenger's first contact type was the champion's",
    "band": "`high`, `medium`, `low` of the first contact type; `none` without one",
    "status": "of HTTP; 0 when the client left",
}


def as_markdown() -> str:
    """The page: a metric a line, then what some labels hold."""
    rows = sorted(_rows(Metrics()))
    labels = ((code(name), said) for name, said in sorted(_OF_LABELS.items()))
    return joined(
        (
            *(_INTRODUCTION, table(("metric", "type", "labels", "what it tells"), rows)),
            *("Some labels:", table(("label", "holds"), labels)),
            "Besides these there are `process_*` (memory, CPU, open files) of Prometheus' own client.",
        )
    )


def _rows(metrics: Metrics) -> Iterator[tuple[str, str, str, str]]:
    for measured in (*vars(metrics).values(), *vars(metrics.jobs).values()):
        if hasattr(measured, "describe") and hasattr(measured, "_labelnames"):
            yield from _row(measured)


def _row(measured: Any) -> Iterator[tuple[str, str, str, str]]:
    labels = ", ".join(code(name) for name in measured._labelnames)  # the client has no public way to ask
    described: Metric
    for described in measured.describe():
        name = f"{described.name}_total" if described.type == "counter" else described.name
        yield code(name), described.type, labels, described.documentation
