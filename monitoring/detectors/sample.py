"""What a detector says when there is too little to look at."""

from __future__ import annotations

from tickets.monitor_log import DetectorResult

LEAST = 50  # tickets in either window; below that, permutation tests see little and chi-square tests see ghosts


def too_small(detector: str, reference: int, current: int, least: int = LEAST) -> DetectorResult | None:
    """An `unknown` result when either window is smaller than `least`, else None."""
    if min(reference, current) >= least:
        return None
    return unknown(detector, f"needs {least} tickets in both windows", {"reference": reference, "current": current})


def unknown(detector: str, why: str, details: dict[str, object] | None = None) -> DetectorResult:
    return DetectorResult(
        detector=detector,
        statistic=None,
        limit=None,
        p_value=None,
        status="unknown",
        details={"why": why, **(details or {})},
    )


def seen(detector: str, statistic: float, p_value: float, details: dict[str, object]) -> DetectorResult:
    """A result that monitoring.alarms has still to judge."""
    return DetectorResult(
        detector=detector, statistic=statistic, limit=None, p_value=p_value, status="ok", details=details
    )
