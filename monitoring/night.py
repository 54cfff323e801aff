"""One night of monitoring, top to bottom: look, judge, report, alarm, ask for labels, decide. Running it again
changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from models.release import Release, current_release
from models.suggest import Suggester
from monitoring.alarms import judge, raise_alarms, recovered
from monitoring.current import Reads
from monitoring.decide import Decision, Situation, decide
from monitoring.evidence import Evidence, detect, gather
from monitoring.performance import estimate_accuracy, feedback_figures, flat, label_figures, proportion
from monitoring.policy import Clock, Policy
from monitoring.relabel import choose, split_budget
from tickets import feedback_log, label_queue, monitor_log
from tickets.monitor_log import Alarm, DetectorResult, MonitorRun, RunStatus
from tickets.workspace import Workspace

log = structlog.get_logger()

_EVER = datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightReport:
    """What a night found and did. `alarms` are all that are open, `raised` tonight's among them; `queued` counts labels
    asked now."""

    run: MonitorRun
    results: Sequence[DetectorResult]
    raised: Sequence[Alarm]
    alarms: Sequence[Alarm]
    queued: int
    decision: Decision


def run_night(
    workspace: Workspace,
    engine: sa.Engine,
    *,
    as_of: date,
    policy: Policy | None = None,
    report: Callable[[str], None] = lambda _line: None,
    suggester: Reads | None = None,
    now: datetime | None = None,
) -> NightReport:
    """Monitor the days up to and including `as_of` (UTC) and record what was found.

    `suggester` is the current release, loaded, where the caller holds it already; `now` dates the records. A rerun of
    the same date and model replaces its run and asks for no second budget of labels. Raises ReleaseError before the
    first promotion.
    """
    policy, now, clock = policy or Policy(), now or datetime.now(UTC), time.perf_counter()
    reads = suggester or Suggester.load(current_release(workspace))
    release = reads.release
    run_id = f"{as_of}-{release.version}"

    report(f"looking at the {policy.window_days} days up to {as_of}")
    evidence = gather(engine, reads, as_of=as_of, policy=policy)
    report(f"{evidence.current.counted} tickets, compared with {len(evidence.reference)} of the reference period")
    results = judge(detect(evidence, policy), policy.limits)
    report(_counted(results))

    close_moot(engine, release, at=now)
    raised, kept = _alarms(engine, results, policy, as_of=as_of, run_id=run_id, release=release, at=now)
    queued = _ask_labels(engine, evidence, policy, run_id=run_id, at=now)
    decision = decide(_situation(engine, release, evidence, [*raised, *kept], as_of=as_of, clock=policy.clock), policy)
    path = _write_report(workspace, run_id, evidence) if policy.evidently else None
    run = MonitorRun(
        run_id=run_id,
        as_of=as_of.isoformat(),
        started_at=now,
        seconds=round(time.perf_counter() - clock, 3),
        model_version=release.version,
        status=_status(results, [*raised, *kept]),
        windows={
            "reference": {**evidence.reference.to_json(), "weekdays_matched": evidence.weekdays_matched},
            "current": evidence.current.to_json(),
        },
        summary=_summary(evidence, results, decision, queued, policy),
        report=str(path.relative_to(workspace.root)) if path else None,
    )
    monitor_log.record_run(engine, run, results, raised)
    _record_decision(engine, run, decision, at=now)
    report(
        f"{run.status}; {len(raised)} new alarms; {queued} labels asked; retrain: {'yes' if decision.retrain else 'no'}"
    )
    log.info("night monitored", run_id=run_id, status=run.status, tickets=evidence.current.counted, alarms=len(raised))
    return NightReport(
        run=run, results=results, raised=raised, alarms=[*raised, *kept], queued=queued, decision=decision
    )


def close_moot(engine: sa.Engine, release: Release, *, at: datetime) -> int:
    """Close alarms that were raised about another model than the one now served; returns how many."""
    moot = []
    for alarm in monitor_log.recent_alarms(engine, limit=1000, only_open=True):
        run = monitor_log.find_run(engine, alarm.run_id)
        if run is not None and run.model_version != release.version:
            moot.append(alarm.detector)
    return monitor_log.close_alarms(engine, at=at, detectors=moot) if moot else 0


def _alarms(
    engine: sa.Engine,
    results: Sequence[DetectorResult],
    policy: Policy,
    *,
    as_of: date,
    run_id: str,
    release: Release,
    at: datetime,
) -> tuple[list[Alarm], list[Alarm]]:
    """Tonight's alarms, and those of earlier nights that stay open; what recovered is closed."""
    runs = [
        run
        for run in monitor_log.recent_runs(engine, limit=1000)
        if run.model_version == release.version and run.as_of < as_of.isoformat()
    ]
    earlier = [
        {result.detector for result in monitor_log.results_of(engine, run.run_id) if result.drifted}
        for run in runs[: policy.limits.of - 1]
    ]
    still_open = [
        alarm for alarm in monitor_log.recent_alarms(engine, limit=1000, only_open=True) if alarm.run_id != run_id
    ]
    names = {alarm.detector for alarm in still_open}
    over = recovered(results, earlier, names, policy.limits)
    if over:
        monitor_log.close_alarms(engine, at=at, detectors=over)
    raised = raise_alarms(results, earlier, names, policy.limits, run_id=run_id, at=at)
    return raised, [alarm for alarm in still_open if alarm.detector not in over]


def _ask_labels(engine: sa.Engine, evidence: Evidence, policy: Policy, *, run_id: str, at: datetime) -> int:
    """Queue tonight's budget of labels, less what an earlier attempt at this run queued already."""
    queued = label_queue.queued_tickets(engine)
    left = policy.label_budget - sum(asked_by == run_id for asked_by in queued.values())
    if left <= 0 or not len(evidence.current):
        return 0
    requests = choose(
        evidence.current,
        evidence.logged,
        budget=split_budget(left, unsure_share=policy.unsure_share, diverse_share=policy.diverse_share),
        queued=queued.keys(),
        answered={item.ticket_id for item in evidence.judged_after if item.action in {"accepted", "corrected"}},
        seed=policy.seed,
    )
    return label_queue.enqueue(engine, requests, at=at, run_id=run_id)


def _situation(
    engine: sa.Engine, release: Release, evidence: Evidence, alarms: Sequence[Alarm], *, as_of: date, clock: Clock
) -> Situation:
    """What is new is told by when tickets were opened: that holds also where history is replayed in an afternoon."""
    learned_until = _learned_until(release, evidence)
    # An answer is never older than its ticket, except where a replay dates tickets as it likes.
    given_since = learned_until if clock == "suggested" else datetime(1970, 1, 1, tzinfo=UTC)
    new = {
        row["ticket_id"]
        for row in label_queue.labels_with_suggestions(engine, given_since, _EVER)
        if _opened(row) > learned_until
    }
    new |= {
        row["ticket_id"]
        for row in feedback_log.feedback_with_suggestions(engine, given_since, _EVER)
        if row["action"] == "corrected" and _opened(row) > learned_until
    }
    return Situation(
        as_of=as_of,
        open_alarms=alarms,
        new_labels=len(new),
        judged_until=evidence.whole_reference.end.date() if evidence.whole_reference.end else None,
        trained_on=_trained_on(engine, release),
    )


def _learned_until(release: Release, evidence: Evidence) -> datetime:
    """The newest ticket that the release was trained, validated or tested on."""
    times = [datetime.fromisoformat(window["to"]) for window in release.windows.values()]
    if evidence.whole_reference.end:
        times.append(evidence.whole_reference.end)
    zoned = [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in times]
    return max(zoned, default=datetime(1970, 1, 1, tzinfo=UTC))


def _trained_on(engine: sa.Engine, release: Release) -> date | None:
    """The day of the release's training as the timeline tells it, or as the release itself does."""
    for event in monitor_log.model_timeline(engine, limit=1000):
        if event.kind == "trained" and event.model_version == release.version:
            return event.at.date()
    try:
        return datetime.fromisoformat(release.created_at).date()
    except ValueError:
        return None


def _write_report(workspace: Workspace, run_id: str, evidence: Evidence) -> Path | None:
    """The Evidently report. A night must not be lost because a report library met a table it did not expect."""
    from monitoring.reports import prune_pages, write_page, write_report

    try:
        path = write_report(workspace, run_id, evidence.reference, evidence.current)
        if path is not None:
            write_page(workspace, run_id)
            prune_pages(workspace)
    except OSError:
        raise
    except Exception as error:  # whatever Evidently raises: it has no error class of its own
        log.warning("no Evidently report", run_id=run_id, kind=type(error).__name__)
        return None
    return path


def _status(results: Sequence[DetectorResult], alarms: Sequence[Alarm]) -> RunStatus:
    if alarms:
        return "alarm"
    return "unknown" if all(result.status == "unknown" for result in results) else "quiet"


def _summary(
    evidence: Evidence, results: Sequence[DetectorResult], decision: Decision, queued: int, policy: Policy
) -> dict[str, Any]:
    figures = {
        **feedback_figures(evidence.judged),
        **label_figures(evidence.labelled),
        "estimated_accuracy": estimate_accuracy(evidence.whole_reference, evidence.current, least=policy.least),
        "reference_accuracy": proportion(evidence.whole_reference.correct.tolist()),
        "abstained": proportion(evidence.current.abstained.tolist()),
    }
    vanished = [name for result in results for name in result.details.get("vanished", ())]
    return {
        "tickets": evidence.current.counted,
        **flat(figures),
        "labels_asked": queued,
        "vanished_attributes": vanished,
        "drifted": [result.detector for result in results if result.drifted],
        "retrain": decision.retrain,
        "reasons": list(decision.reasons),
        "clock": policy.clock,
    }


def _record_decision(engine: sa.Engine, run: MonitorRun, decision: Decision, *, at: datetime) -> None:
    """One line in the model's timeline, once a run."""
    if not decision.retrain:
        return
    known = monitor_log.model_timeline(engine, limit=1000)
    if any(event.kind == "retrain decided" and event.details.get("run_id") == run.run_id for event in known):
        return
    details = {"run_id": run.run_id, "reasons": list(decision.reasons)}
    monitor_log.record_event(engine, "retrain decided", at=at, model_version=run.model_version, details=details)


def _counted(results: Sequence[DetectorResult]) -> str:
    drifted = [result.detector for result in results if result.drifted]
    unknown = sum(result.status == "unknown" for result in results)
    return f"{len(results)} detectors: {', '.join(drifted) or 'none'} drifted, {unknown} unknown"


def _opened(row: Any) -> datetime:
    return datetime.fromisoformat(row["ticket"]["created_at"])
