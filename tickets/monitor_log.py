"""What the monitoring job found and what became of models, in the operational database. The dashboard reads it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from tickets.database import alarms, detector_results, model_events, monitor_runs

RunStatus = Literal["quiet", "alarm", "unknown"]
DetectorStatus = Literal["ok", "drifted", "unknown"]
Severity = Literal["warning", "critical"]
EventKind = Literal[
    "trained", "promoted", "rejected", "rolled back", "retrain decided", "challenge begun", "challenge ended"
]

LATE_AFTER = timedelta(hours=36)  # as TriageNightlyLate in deploy/prometheus/alerts.yaml; nights are 24 hours apart
ALL = 1000  # runs, alarms or events: years of nights
_AT_ONCE = 400  # ids in one query


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorResult:
    """What one detector saw. `unknown` means its assumptions failed; `details` holds sample sizes and what moved."""

    detector: str
    statistic: float | None
    limit: float | None
    p_value: float | None
    status: DetectorStatus
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def drifted(self) -> bool:
        return self.status == "drifted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm; open until `closed_at`."""

    alarm_id: str
    run_id: str
    detector: str
    severity: Severity
    message: str
    raised_at: datetime
    closed_at: datetime | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorRun:
    """One night's monitoring. `windows` describes reference and current; `summary` holds figures for the dashboard."""

    run_id: str
    as_of: str
    started_at: datetime
    seconds: float
    model_version: str
    status: RunStatus
    windows: Mapping[str, Any]
    summary: Mapping[str, Any]
    report: str | None = None

    @property
    def ended(self) -> datetime:
        return self.started_at + timedelta(seconds=self.seconds)

    def late(self, now: datetime) -> bool:
        """Whether the night after this one, were it the newest, should have been there by now."""
        return now - self.ended > LATE_AFTER


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEvent:
    """Something that happened to a model, with its reasons in `details`."""

    event_id: str
    at: datetime
    kind: EventKind
    model_version: str | None
    details: Mapping[str, Any]


def record_run(engine: sa.Engine, run: MonitorRun, results: Sequence[DetectorResult], raised: Sequence[Alarm]) -> None:
    """Commit a run with its results and alarms; a rerun of the same `run_id` replaces the earlier record whole."""
    with engine.begin() as connection:
        for table in (alarms, detector_results, monitor_runs):
            connection.execute(sa.delete(table).where(table.c.run_id == run.run_id))
        connection.execute(sa.insert(monitor_runs).values(**asdict(run)))
        for result in results:
            values = asdict(result) | {"run_id": run.run_id, "drifted": result.drifted}
            connection.execute(sa.insert(detector_results).values(**values))
        for alarm in raised:
            connection.execute(sa.insert(alarms).values(**asdict(alarm)))


def recent_runs(engine: sa.Engine, *, limit: int = 60) -> list[MonitorRun]:
    """Newest first."""
    query = sa.select(monitor_runs).order_by(monitor_runs.c.as_of.desc(), monitor_runs.c.started_at.desc()).limit(limit)
    with engine.connect() as connection:
        return [MonitorRun(**row) for row in connection.execute(query).mappings()]


def runs_between(engine: sa.Engine, first: str, last: str) -> list[MonitorRun]:
    """Nights from the day `first` to the day `last`, both included, newest first."""
    table = monitor_runs
    query = (
        sa.select(table)
        .where(table.c.as_of >= first, table.c.as_of <= last)
        .order_by(table.c.as_of.desc(), table.c.started_at.desc())
    )
    with engine.connect() as connection:
        return [MonitorRun(**row) for row in connection.execute(query).mappings()]


def results_of(engine: sa.Engine, run_id: str) -> list[DetectorResult]:
    """In alphabetical order of detectors."""
    return results_of_runs(engine, [run_id]).get(run_id, [])


def results_of_runs(engine: sa.Engine, run_ids: Sequence[str]) -> dict[str, list[DetectorResult]]:
    """run id -> its results, in alphabetical order of detectors; a run without results is missing."""
    table = detector_results
    columns = [column for column in table.columns if column is not table.c.drifted]  # which the status tells
    found: dict[str, list[DetectorResult]] = {}
    with engine.connect() as connection:
        for start in range(0, len(run_ids), _AT_ONCE):
            some = list(run_ids[start : start + _AT_ONCE])
            query = sa.select(*columns).where(table.c.run_id.in_(some)).order_by(table.c.detector)
            for row in connection.execute(query).mappings():
                values = dict(row)
                found.setdefault(values.pop("run_id"), []).append(DetectorResult(**values))
    return found


def recent_alarms(engine: sa.Engine, *, only_open: bool = False) -> list[Alarm]:
    """Newest first."""
    query = sa.select(alarms).order_by(alarms.c.raised_at.desc(), alarms.c.alarm_id).limit(ALL)
    if only_open:
        query = query.where(alarms.c.closed_at.is_(None))
    with engine.connect() as connection:
        return [Alarm(**row) for row in connection.execute(query).mappings()]


def alarms_of(engine: sa.Engine, run_id: str) -> list[Alarm]:
    """The alarms that a run raised, open or closed."""
    query = sa.select(alarms).where(alarms.c.run_id == run_id).order_by(alarms.c.alarm_id)
    with engine.connect() as connection:
        return [Alarm(**row) for row in connection.execute(query).mappings()]


def find_run(engine: sa.Engine, run_id: str) -> MonitorRun | None:
    """None when there was no such night."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(monitor_runs).where(monitor_runs.c.run_id == run_id)).mappings().first()
    return MonitorRun(**row) if row else None


def close_alarms(engine: sa.Engine, *, at: datetime, detectors: Sequence[str] | None = None) -> int:
    """Close every open alarm, as when a new champion makes them moot, or those of some detectors; returns how many."""
    query = sa.update(alarms).where(alarms.c.closed_at.is_(None)).values(closed_at=at)
    if detectors is not None:
        query = query.where(alarms.c.detector.in_(detectors))
    with engine.begin() as connection:
        return connection.execute(query).rowcount


def record_event(
    engine: sa.Engine, kind: EventKind, *, at: datetime, model_version: str | None, details: Mapping[str, Any]
) -> None:
    """Commit a line of the model's timeline."""
    event = ModelEvent(event_id=uuid.uuid4().hex, at=at, kind=kind, model_version=model_version, details=details)
    with engine.begin() as connection:
        connection.execute(sa.insert(model_events).values(**asdict(event)))


def model_timeline(
    engine: sa.Engine, *, limit: int = 60, period: tuple[datetime, datetime] | None = None
) -> list[ModelEvent]:
    """Newest first; those of a period, its end left out, where one is given."""
    query = sa.select(model_events).order_by(model_events.c.at.desc()).limit(limit)
    if period:
        query = query.where(model_events.c.at >= period[0], model_events.c.at < period[1])
    with engine.connect() as connection:
        return [ModelEvent(**row) for row in connection.execute(query).mappings()]
