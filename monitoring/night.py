"""One night of monitoring, top to bottom: look, judge, report, alarm, ask for labels, decide. Running it again
changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from models.release import current_release
from models.suggest import Suggester
from monitoring import consequences
from monitoring.accuracy_estimate import estimated
from monitoring.alarms import judge
from monitoring.consequences import Consequences, Tonight
from monitoring.current import Reads
from monitoring.decide import Decision
from monitoring.evidence import Evidence, detect, gather
from monitoring.label_quality import label_quality
from monitoring.limits import standing_limits
from monitoring.performance import feedback_figures, flat, label_figures, proportion
from monitoring.policy import Policy
from monitoring.theme_memory import note_themes
from tickets import monitor_log
from tickets.catalogue import read_tree
from tickets.monitor_log import Alarm, DetectorResult, MonitorRun
from tickets.progress import Report, silent
from tickets.workspace import Workspace

log = structlog.get_logger()


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
    report: Report = silent,
    suggester: Reads | None = None,
    now: datetime | None = None,
) -> NightReport:
    """Monitor the days up to and including `as_of` (UTC) and record what was found.

    `suggester` is the current release, loaded, where the caller holds it already; `now` dates the records. A rerun of
    the same date and model replaces its run and asks for no second budget of labels; a night that later ones followed
    raises, asks and decides nothing any more. Raises ReleaseError before the first promotion.
    """
    policy, now, clock = policy or Policy(), now or datetime.now(UTC), time.perf_counter()
    reads = suggester or Suggester.load(current_release(workspace))
    release, run_id = reads.release, f"{as_of}-{reads.release.version}"
    report(f"looking at the days up to {as_of}, {policy.window_days} at most")
    tree = read_tree(workspace)
    evidence = gather(engine, reads, as_of=as_of, policy=policy, today=tree)
    report(f"{evidence.current.counted} tickets, compared with {len(evidence.reference)} of the reference period")
    standing = standing_limits(engine, reads, evidence, policy, as_of=as_of, at=now)
    results = judge(detect(evidence, policy), policy.limits, standing.limits)
    report(_counted(results))
    tonight = Tonight(run_id=run_id, as_of=as_of, release=release, at=now, workspace=workspace)
    follows = consequences.draw(engine, tonight, evidence, results, policy)
    themes = note_themes(engine, tonight, evidence, policy)
    path = _write_report(workspace, run_id, evidence) if policy.evidently else None
    if path is not None:
        results = _with_evidently(results, path)
    run = MonitorRun(
        run_id=run_id,
        as_of=as_of.isoformat(),
        started_at=now,
        seconds=round(time.perf_counter() - clock, 3),
        model_version=release.version,
        status=follows.status,
        windows=_windows(evidence),
        summary={
            **_summary(evidence, results),
            **label_quality(engine, tree, at=now),
            **follows.figures,
            "limits": standing.told,
            "themes": len(themes),
        },
        report=str(path.relative_to(workspace.root)) if path else None,
    )
    monitor_log.record_run(engine, run, results, follows.raised)
    report(_told(run, follows))
    log.info("night monitored", run_id=run_id, status=run.status, tickets=evidence.current.counted)
    return NightReport(
        run=run,
        results=results,
        raised=follows.raised,
        alarms=[*follows.raised, *follows.still_open],
        queued=follows.queued,
        decision=follows.decision,
    )


def _windows(evidence: Evidence) -> dict[str, Any]:
    reference = {**evidence.reference.to_json(), "weekdays_matched": evidence.weekdays_matched}
    return {"reference": reference, "current": evidence.current.to_json()}


def _told(run: MonitorRun, follows: Consequences) -> str:
    retrain = "yes" if follows.decision.retrain else "no"
    return f"{run.status}; {len(follows.raised)} new alarms; {follows.queued} labels asked; retrain: {retrain}"


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


def _with_evidently(results: Sequence[DetectorResult], path: Path) -> list[DetectorResult]:
    """The attributes' result with Evidently's opinion of each attribute beside ours."""
    from monitoring.reports import ATTRIBUTE, drift_scores

    scores = drift_scores(path)
    told = {name.removeprefix(ATTRIBUTE): score for name, score in scores.items() if name.startswith(ATTRIBUTE)}
    return [
        replace(result, details={**result.details, "evidently": told}) if result.detector == "attributes" else result
        for result in results
    ]


def _summary(evidence: Evidence, results: Sequence[DetectorResult]) -> dict[str, Any]:
    estimate, why_not = estimated(results)
    figures = {
        **feedback_figures(evidence.judged),
        **label_figures(evidence.labelled),
        "estimated_accuracy": estimate,
        "reference_accuracy": proportion(evidence.whole_reference.correct.tolist()),
        "abstained": proportion(evidence.current.abstained.tolist()),
    }
    return {
        "tickets": evidence.current.counted,
        **flat(figures),
        "estimated_accuracy_unknown": why_not,
        "drifted": [result.detector for result in results if result.drifted],
    }


def _counted(results: Sequence[DetectorResult]) -> str:
    drifted = [result.detector for result in results if result.drifted]
    unknown = sum(result.status == "unknown" for result in results)
    return f"{len(results)} detectors: {', '.join(drifted) or 'none'} drifted, {unknown} unknown"
