"""Nights as monitoring records them, for tests of the dashboard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tickets.monitor_log import DetectorResult, MonitorRun

AT = datetime(2026, 3, 9, 4, tzinfo=UTC)


def run_of(run_id: str = "2026-03-09-m1", **changes: object) -> MonitorRun:
    facts: dict[str, object] = {
        "run_id": run_id,
        "as_of": run_id[:10],
        "started_at": AT,
        "seconds": 2.5,
        "model_version": "m1",
        "status": "quiet",
        "windows": {"reference": {"tickets": 900, "looked_at": 800}, "current": {"tickets": 412, "looked_at": 412}},
        "summary": {
            "tickets": 412,
            "acceptance": 0.81,
            "acceptance_low": 0.76,
            "acceptance_high": 0.85,
            "acceptance_tickets": 210,
            "estimated_accuracy": 0.7,
            "drifted": [],
            "retrain": False,
            "reasons": ["no alarm."],
        },
    }
    return MonitorRun(**(facts | changes))  # type: ignore[arg-type]


def result_of(detector: str = "predictions.types", **changes: object) -> DetectorResult:
    facts: dict[str, object] = {
        "detector": detector,
        "statistic": 0.2,
        "limit": 0.1,
        "p_value": 0.0004,
        "status": "drifted",
        "details": {"moved": [{"name": "<b>scooter</b>", "reference": 0.0, "current": 0.12}], "p_adjusted": 0.004},
    }
    return DetectorResult(**(facts | changes))  # type: ignore[arg-type]


def shift_of(**changes: object) -> DetectorResult:
    grew = {"name": "refund", "reference": 0.12, "current": 0.19, "change": [0.05, 0.09]}
    shrank = {"name": "login", "reference": 0.2, "current": 0.1, "change": [-0.12, -0.08]}
    facts: dict[str, Any] = {"statistic": 0.1, "limit": 0.0, "p_value": None, "status": "ok"}
    return result_of("label_shift", **(facts | {"details": {"grew": [grew], "shrank": [shrank]}} | changes))
