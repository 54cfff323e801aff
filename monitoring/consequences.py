"""What follows from a night's results: alarms raised and closed, labels asked, the decision to retrain.

A night that later nights followed is only looked at again, as when its report is drawn anew: what was raised, asked and
decided then stays, and nothing is raised, asked or decided now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from models.release import Release
from monitoring.alarms import raise_alarms, recovered
from monitoring.current import period_of
from monitoring.decide import NO_REASON_TO_RETRAIN, Decision, Situation, decide
from monitoring.evidence import Evidence
from monitoring.explanations import explain
from monitoring.label_plan import end_vain_waiting, plan_labels, suspects_wanted
from monitoring.policy import Policy
from monitoring.relabel import Budget, choose
from monitoring.suspects import suspect_requests
from monitoring.windows import LONG_AGO, newest_ticket
from tickets import feedback_log, label_queue, monitor_log
from tickets.catalogue import read_tree
from tickets.label_queue import LabelRequest
from tickets.monitor_log import Alarm, DetectorResult, DetectorStatus, ModelEvent, MonitorRun, RunStatus
from tickets.workspace import Workspace

_LOOKED_BACK = Decision(False, ("later nights were monitored already: this one was only looked at again.",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequences:
    """`raised` belong to this night, `still_open` to earlier ones; `queued` labels were asked now. `figures` go into
    the run's summary."""

    status: RunStatus
    raised: Sequence[Alarm]
    still_open: Sequence[Alarm]
    queued: int
    decision: Decision
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tonight:
    """Which night it is, of which model; `at` dates the records. Suspect labels are looked for in the workspace."""

    run_id: str
    as_of: date
    release: Release
    at: datetime
    workspace: Workspace


def draw(
    engine: sa.Engine, tonight: Tonight, evidence: Evidence, results: Sequence[DetectorResult], policy: Policy
) -> Consequences:
    """Raise and close alarms, ask for labels, decide; or only look back, see the module."""
    if followed(engine, tonight):
        return _look_back(engine, tonight, results)
    close_moot(engine, tonight.release, at=tonight.at)
    end_vain_waiting(engine, at=tonight.at)
    raised, still_open = _alarms(engine, tonight, evidence, results, policy)
    asked = label_queue.asked_by(engine, tonight.run_id)
    # The queue takes a night's requests all or none, so an earlier attempt at this night has asked them all.
    queued = 0 if asked else _ask_labels(engine, tonight, evidence, policy)
    decision = decide(_situation(engine, tonight, evidence, [*raised, *still_open], policy), policy)
    _record_decision(engine, tonight, decision)
    return Consequences(
        status=_status(results, [*raised, *still_open]),
        raised=raised,
        still_open=still_open,
        queued=queued,
        decision=decision,
        figures={
            "labels_asked": asked or queued,
            "retrain": decision.retrain,
            "reasons": list(decision.reasons),
        },
    )


def followed(engine: sa.Engine, tonight: Tonight) -> bool:
    """Whether a later night was monitored already."""
    newest = monitor_log.recent_runs(engine, limit=1)
    return bool(newest) and newest[0].as_of > tonight.as_of.isoformat()


def close_moot(engine: sa.Engine, release: Release, *, at: datetime) -> int:
    """Close alarms that were raised about another model than the one now served; returns how many."""
    moot = []
    for alarm in monitor_log.recent_alarms(engine, only_open=True):
        run = monitor_log.find_run(engine, alarm.run_id)
        if run is not None and run.model_version != release.version:
            moot.append(alarm.detector)
    return monitor_log.close_alarms(engine, at=at, detectors=moot) if moot else 0


def _look_back(engine: sa.Engine, tonight: Tonight, results: Sequence[DetectorResult]) -> Consequences:
    recorded = monitor_log.find_run(engine, tonight.run_id)
    figures = {"labels_asked": 0, "retrain": False, "reasons": list(_LOOKED_BACK.reasons)}
    if recorded is not None:
        figures = {name: recorded.summary.get(name, given) for name, given in figures.items()}
    return Consequences(
        status=recorded.status if recorded is not None else _status(results, ()),
        raised=monitor_log.alarms_of(engine, tonight.run_id),
        still_open=(),
        queued=0,
        decision=_LOOKED_BACK,
        figures=figures,
    )


def _alarms(
    engine: sa.Engine, tonight: Tonight, evidence: Evidence, results: Sequence[DetectorResult], policy: Policy
) -> tuple[list[Alarm], list[Alarm]]:
    """Tonight's alarms, and those of earlier nights that stay open; what recovered is closed."""
    runs = [run for run in _earlier(engine, tonight) if run.model_version == tonight.release.version]
    nights = [monitor_log.results_of(engine, run.run_id) for run in runs[: policy.limits.of - 1]]
    still_open = [
        alarm for alarm in monitor_log.recent_alarms(engine, only_open=True) if alarm.run_id != tonight.run_id
    ]
    names = {alarm.detector for alarm in still_open}
    over = recovered(results, [_named(night, "ok") for night in nights], names, policy.limits)
    if over:
        monitor_log.close_alarms(engine, at=tonight.at, detectors=over)
    drifted = [_named(night, "drifted") for night in nights]
    overridden = [item.ticket_id for item in evidence.judged if item.action == "corrected"]

    def told(result: DetectorResult) -> Mapping[str, Any]:
        return explain(result, evidence.reference, evidence.current, overridden=overridden, results=results).to_json()

    raised = raise_alarms(results, drifted, names, policy.limits, run_id=tonight.run_id, at=tonight.at, explain=told)
    return raised, [alarm for alarm in still_open if alarm.detector not in over]


def _earlier(engine: sa.Engine, tonight: Tonight) -> list[MonitorRun]:
    """Runs of the nights before, newest first."""
    return [
        run for run in monitor_log.recent_runs(engine, limit=monitor_log.ALL) if run.as_of < tonight.as_of.isoformat()
    ]


def _named(results: Sequence[DetectorResult], status: DetectorStatus) -> set[str]:
    return {result.detector for result in results if result.status == status}


def _ask_labels(engine: sa.Engine, tonight: Tonight, evidence: Evidence, policy: Policy) -> int:
    """Queue tonight's budget of labels; returns how many."""
    if policy.label_budget <= 0 or not len(evidence.current):
        return 0
    queued = label_queue.queued_tickets(engine).keys()
    fresh = _fresh(engine, tonight, evidence)

    def choose_new(budget: Budget) -> list[LabelRequest]:
        return choose(
            evidence.current,
            evidence.logged,
            budget=budget,
            fresh=fresh,
            queued=queued,
            answered={item.ticket_id for item in evidence.judged_after if item.action != "ignored"},
            seed=policy.seed,
        )

    wanted = suspects_wanted(policy, (item.ticket for item in evidence.logged))
    doubts = suspect_requests(
        tonight.workspace, tonight.release, count=wanted, reviewed=label_queue.unavailable(engine)
    )
    tree = read_tree(tonight.workspace)
    requests = plan_labels(engine, policy, at=tonight.at, tree=tree, doubts=doubts, choose=choose_new)
    return label_queue.enqueue(engine, requests, at=tonight.at, run_id=tonight.run_id)


def _fresh(engine: sa.Engine, tonight: Tonight, evidence: Evidence) -> set[str]:
    """Tickets that no earlier night could have chosen: those since the newest one asked, or since its day ended. Done
    again, a night asks for nothing more, so it is the first time that counts."""
    earlier = _earlier(engine, tonight)
    seen_until = LONG_AGO
    if earlier:
        looked = label_queue.first_asked(engine, earlier[0].run_id) or earlier[0].started_at
        seen_until = min(looked, period_of(date.fromisoformat(earlier[0].as_of), 1)[1])
    return {item.ticket.ticket_id for item in evidence.logged if item.suggestion.created_at >= seen_until}


def _situation(
    engine: sa.Engine, tonight: Tonight, evidence: Evidence, alarms: Sequence[Alarm], policy: Policy
) -> Situation:
    """What is new is told by when tickets were opened: that holds also where `triage replay` lives through history in
    an afternoon, on its own clock.

    A challenger that did not replace the champion, or not for good, has learned from the labels before it was trained,
    but for the days it held out; another one needs new ones. The days that tonight's would hold out teach it nothing.
    """
    held_out = timedelta(days=policy.held_out_days)
    met = _met(engine, tonight.release)
    taught = (meeting.given_until - held_out for meeting in met)
    learned_until = max([_learned_until(tonight.release, evidence), *taught])
    held_out_from = period_of(tonight.as_of, policy.held_out_days)[0]
    # An answer is never older than its ticket, and training takes none from after the night.
    given = (learned_until, period_of(tonight.as_of, 1)[1])
    answered = [
        *label_queue.labels_with_suggestions(engine, *given),
        *(row for row in feedback_log.feedback_with_suggestions(engine, *given) if row["action"] == "corrected"),
    ]
    new = {row["ticket_id"] for row in answered if learned_until < _opened(row) < held_out_from}
    judged_on = [evidence.whole_reference.end.date()] if evidence.whole_reference.end else []
    since = min((alarm.raised_at for alarm in alarms if alarm.detector not in NO_REASON_TO_RETRAIN), default=None)
    return Situation(
        as_of=tonight.as_of,
        open_alarms=alarms,
        new_labels=len(new),
        tried_until=max([*judged_on, *(meeting.day for meeting in met)], default=None),
        trained_on=_trained_on(engine, tonight.release),
        failed=sum(meeting.failed_since(since) for meeting in met),
    )


def _learned_until(release: Release, evidence: Evidence) -> datetime:
    """The newest ticket that the release was trained on; where it does not tell, the newest that it was judged on."""
    if "train" in release.windows:
        return newest_ticket(release, "train")
    return max(newest_ticket(release, *release.windows), evidence.whole_reference.end or LONG_AGO)


@dataclass(frozen=True, slots=True)
class _Meeting:
    """When the champion met a challenger and stayed: by the clock, and the day whose night it was. `given_until` ends
    what the challenger was trained from, the days it held out among it. None failed where there were too few tickets to
    judge."""

    at: datetime
    day: date
    given_until: datetime
    failed: bool
    rolled_back: bool

    def failed_since(self, alarm: datetime | None) -> bool:
        """Whether it failed while an alarm was open. A successor's promotion closed the alarms that it was trained for,
        and they are raised anew after it: a rollback counts whenever it was."""
        return self.failed and (self.rolled_back or (alarm is not None and self.at >= alarm))


def _met(engine: sa.Engine, release: Release) -> list[_Meeting]:
    """The challengers of this champion that were rejected, and successors that did worse, so that it came back."""
    timeline = monitor_log.model_timeline(engine, limit=monitor_log.ALL)
    rejected = (event for event in timeline if event.kind == "rejected")
    own = (event for event in rejected if event.details.get("champion") == release.version)
    back = (event for event in timeline if event.kind == "rolled back" and event.model_version == release.version)
    return [*(_rejection(event) for event in own), *(_rollback(event, timeline) for event in back)]


def _rejection(event: ModelEvent) -> _Meeting:
    judged = event.details.get("judged", True)
    return _Meeting(event.at, _day(event), _given_until(event), judged, rolled_back=False)


def _rollback(event: ModelEvent, timeline: Sequence[ModelEvent]) -> _Meeting:
    """The successor learned from nothing that came while it was served, however long that was."""
    left = event.details.get("from")
    begun = [other for other in timeline if other.kind in ("trained", "promoted") and other.model_version == left]
    first = begun[-1] if begun else event  # its training; of one that was trained elsewhere, its first promotion
    return _Meeting(event.at, _day(event), _given_until(first), failed=True, rolled_back=True)


def _day(event: ModelEvent) -> date:
    """Whose night it was, which runs on the day after; the day of the event where it was no night's."""
    told = event.details.get("as_of")
    return date.fromisoformat(told) if told else event.at.date()


def _given_until(training: ModelEvent) -> datetime:
    return period_of(_day(training), 1)[1] if "as_of" in training.details else training.at


def _trained_on(engine: sa.Engine, release: Release) -> date | None:
    """The day of the last training, whether its model won or lost, as the timeline tells it; where it tells of none,
    the release's own."""
    timeline = monitor_log.model_timeline(engine, limit=monitor_log.ALL)
    trained = [_day(event) for event in timeline if event.kind == "trained"]
    if trained:
        return max(trained)
    try:
        return datetime.fromisoformat(release.created_at).date()
    except ValueError:
        return None


def _record_decision(engine: sa.Engine, tonight: Tonight, decision: Decision) -> None:
    """One line in the model's timeline, once a run."""
    if not decision.retrain:
        return
    known = monitor_log.model_timeline(engine, limit=monitor_log.ALL)
    if any(event.kind == "retrain decided" and event.details.get("run_id") == tonight.run_id for event in known):
        return
    details = {"run_id": tonight.run_id, "reasons": list(decision.reasons)}
    version = tonight.release.version
    monitor_log.record_event(engine, "retrain decided", at=tonight.at, model_version=version, details=details)


def _status(results: Sequence[DetectorResult], alarms: Sequence[Alarm]) -> RunStatus:
    if alarms:
        return "alarm"
    return "unknown" if all(result.status == "unknown" for result in results) else "quiet"


def _opened(row: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(row["ticket"]["created_at"])
