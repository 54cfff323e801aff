"""What the dashboard says in words and single figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from service.dashboard.alarm_cards import importance
from service.dashboard.nights import unknown_because
from tickets.alert_log import TRIED_FOR, Alert
from tickets.last_night import last_night, night_at_work
from tickets.monitor_log import Alarm, MonitorRun
from tickets.workspace import Workspace

Tone = Literal["good", "bad", "unknown"]
_LATELY = timedelta(days=28)


@dataclass(frozen=True, slots=True)
class StatusLine:
    """The first thing one reads: a tone, a few words, a sentence."""

    tone: Tone
    words: str
    sentence: str


@dataclass(frozen=True, slots=True)
class NightNote:
    """What is said of the newest night, "" where it is done and none is at work; `stopped` where it failed, was killed
    or left a record that cannot be read."""

    told: str = ""
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A share with its interval and how many tickets it comes from; `share` is None while nothing is known."""

    name: str
    share: float | None
    low: float | None
    high: float | None
    tickets: int
    meaning: str
    why_unknown: str = ""


_FIGURES = (
    ("acceptance", "Accepted", "suggestions that agents took as they were, of those they acted on"),
    ("accuracy_labels", "Right, by random labels", "first contact type, on tickets drawn at random and labelled"),
    ("estimated_accuracy", "Right, estimated", "first contact type, foretold from how sure the model is"),
    ("hits_at_3", "Among the first three", "the contact type agents chose was among the first three"),
    ("abstained", "Left open", "tickets where the model chooses nothing beforehand"),
)
_WHERE_KNOWN = (
    (
        "accuracy_unaided",
        "Right, unaided",
        "first contact type, on tickets of which agents saw no suggestion (a holdout)",
    ),
    ("hits_at_3_labels", "Among the first three, by random labels", "on tickets drawn at random and labelled"),
)

NOTHING_YET = (
    "No model is served and no monitoring has run. From history to here: `triage import`, `triage features`, "
    "`triage train --promote`, then `triage nightly` each night. `triage` alone tells which comes next."
)
_LATE = "`triage nightly` does the night's work; let a timer call it."


def status_line(
    runs: Sequence[MonitorRun],
    alarms: Sequence[Alarm],
    *,
    serving: str | None,
    now: datetime,
    night: NightNote = NightNote(),
) -> StatusLine:
    """`runs` newest first; `alarms` are the open ones; `serving` is the release in service. All is well only where the
    last night did not stop and none is late; in simulated time every night is late once the simulation has ended."""
    if not runs:
        return _not_watched(serving, night.told)
    last = runs[0]
    told = f"Last looked at {last.as_of}: {last.windows['current']['tickets']} tickets, model {last.model_version}."
    late = f"No night for {_age(now - last.ended)}" if last.late(now) else ""
    if late:
        told += f" Tickets that came since are not watched. {night.told or _LATE}"
    elif night.told:
        told += f" {night.told}"
    if alarms:
        return _alarming(alarms, told)
    if late or night.stopped:
        return StatusLine("unknown", late or "The last night did not end", told)
    return _seen(last, serving, told)


def night_note(workspace: Workspace) -> NightNote:
    """The step that the newest night failed or was killed in and how it goes on, and which night is at work."""
    night, day = last_night(workspace.root), night_at_work(workspace.root)
    working = f"The night of {day} is at work." if day else ""
    if night is None or night.state in ("done", "running"):
        return NightNote(working)
    mends = f"`triage nightly --as-of {night.day}"
    if night.state == "unreadable":
        told = f"The record of the night of {night.day} cannot be read: {mends} --again` does it from the start."
    else:
        how, where = "was killed" if night.state == "killed" else "stopped", f" in the step {night.step}"
        told = f"The night of {night.day} {how}{where if night.step else ''}: {mends}` does the rest."
    return NightNote(f"{told} {working}".rstrip(), stopped=True)


def _not_watched(serving: str | None, night: str) -> StatusLine:
    """What is said before monitoring has run."""
    if serving is None:
        return StatusLine("unknown", "Nothing to watch yet", f"{NOTHING_YET} {night}".rstrip())
    told = night or f"{serving} is served; run `triage monitor` or `triage nightly` to watch it."
    return StatusLine("unknown", "Not watched yet", told)


def _seen(last: MonitorRun, serving: str | None, looked: str) -> StatusLine:
    """What a night without alarms says."""
    if last.status == "unknown":
        return StatusLine("unknown", "Too little to tell", f"{looked} Detectors need more tickets in the window.")
    if serving is not None and serving != last.model_version:
        return StatusLine("unknown", "New model, not watched yet", f"{serving} is served. {looked}")
    return StatusLine("good", "All is well", looked)


def _age(passed: timedelta) -> str:
    return f"{passed.days} days" if passed.days > 1 else f"{passed // timedelta(hours=1)} hours"


def _alarming(alarms: Sequence[Alarm], looked: str) -> StatusLine:
    """The most important alarm in large letters: one change in the world is seen by several detectors."""
    ranked = sorted(alarms, key=importance)
    first = ranked[0].details.get("headline", ranked[0].message.rstrip("."))
    since = min(alarm.raised_at for alarm in alarms)
    many = "1 alarm is open" if len(alarms) == 1 else f"{len(alarms)} alarms are open"
    critical = sum(alarm.severity == "critical" for alarm in alarms)
    told = f"{many}, {critical} of them critical" if critical and len(alarms) > 1 else many
    return StatusLine("bad", first, f"{told}, since {since:%Y-%m-%d %H:%M} UTC. {looked}")


def figures(run: MonitorRun) -> list[Figure]:
    """The shares that a run's summary keeps: the usual ones, known or not, and those that not every night has."""
    summary: Mapping[str, Any] = run.summary
    return [
        Figure(
            name,
            summary.get(key),
            summary.get(f"{key}_low"),
            summary.get(f"{key}_high"),
            int(summary.get(f"{key}_tickets") or 0),
            meaning,
            unknown_because(run) if key == "estimated_accuracy" else "",
        )
        for key, name, meaning in (*_FIGURES, *_WHERE_KNOWN)
        if (key, name, meaning) in _FIGURES or summary.get(key) is not None
    ]


def alerts_told(alerts: Sequence[Alert], *, now: datetime) -> str:
    """Whether alerts go out, in a sentence; "" where none was tried lately. `alerts` newest first. What failed is tried
    again for a week; what was given up is told for another three."""
    lately = [alert for alert in alerts if alert.at >= now - _LATELY]
    failed = [alert for alert in lately if alert.status == "failed"]
    if failed:
        newest = failed[0]
        many = "An alert" if len(failed) == 1 else f"{len(failed)} alerts"
        ends = "The next night tries again" if newest.at >= now - TRIED_FOR else "That was given up"
        return f"{many} could not be sent by {newest.channel}: {newest.reason}. {ends}."
    if not lately:
        return ""
    partly = f", but {lately[0].reason}" if lately[0].reason else ""
    return f"Told by {lately[0].channel}, last {lately[0].at:%Y-%m-%d %H:%M} UTC{partly}."


def report_page(workspace: Workspace, run: MonitorRun) -> Path | None:
    """The HTML page of a run's report, where it is kept."""
    page = _report(workspace, run, ".html")
    return page if page is not None and page.is_file() else None


def report_figures(workspace: Workspace, run: MonitorRun) -> list[tuple[str, float]]:
    """Metric names and values of a run's Evidently report; [] without one."""
    path = _report(workspace, run, ".json")
    if path is None or not path.is_file():
        return []
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
        return [
            (str(metric["metric_name"]), float(metric["value"]))
            for metric in metrics
            if isinstance(metric["value"], int | float)
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # a damaged report must not take the page down that says how things are


def _report(workspace: Workspace, run: MonitorRun, suffix: str) -> Path | None:
    """A file of the report, only from inside the workspace's reports."""
    if run.report is None:
        return None
    path = (workspace.root / run.report).with_suffix(suffix).resolve()
    return path if path.is_relative_to(workspace.reports.resolve()) else None
