"""Alerts: new alarms, rollbacks and decisions to retrain, told by webhook and e-mail, each once.

One message a night and channel tells all that is new there. What could not be sent is noted and tried again the next
night, for a week. A message holds fixed words, model versions, counts and reasons, never a word that a customer wrote:
alarms are told by their headline, and the dashboard, behind a login, says the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any, Protocol

import sqlalchemy as sa
import structlog

from monitoring.alarms import SIGNS
from tickets.alert_log import TRIED_FOR, AlertStatus, Channel, record_attempt, sent_subjects
from tickets.monitor_log import ALL, Alarm, ModelEvent, model_timeline, recent_alarms

log = structlog.get_logger()

_LISTED = 20  # lines of a message
# Events worth a message; trainings and promotions are what one expects, and told with the decision to train.
_TOLD = ("rolled back", "retrain decided")


@dataclass(frozen=True, slots=True)
class News:
    """One thing to tell: what it is about (`alarm:<id>`, `event:<id>`), how urgent it is, and a sentence."""

    subject: str
    urgent: bool
    words: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: a title of one line, and lines below it. `link` is the dashboard's address, "" for none."""

    title: str
    lines: tuple[str, ...]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Whether a message got through; `reason` says why not, or whom it did not reach."""

    sent: bool
    reason: str | None


class Sends(Protocol):
    """A way to the readers. Returns whom the message did not reach, though it reached others; None when all got it.
    Raises SendError."""

    @property
    def channel(self) -> Channel: ...

    def send(self, message: Message) -> str | None: ...


class SendError(Exception):
    """A message did not get through; the text says why, without address, password or content."""


def tell_news(engine: sa.Engine, ways: Sequence[Sends], *, now: datetime, link: str = "") -> dict[Channel, str]:
    """Tell each way what it has not been told; what came of it, in words. One way's failure is no other's."""
    told: dict[Channel, str] = {}
    lately = news_since(engine, now - TRIED_FOR) if ways else []
    for way in ways:
        known = sent_subjects(engine, way.channel)
        news = [item for item in lately if item.subject not in known]
        if not news:
            told[way.channel] = "nothing new"
            continue
        tried = try_to_send(way, digest(news, link=link))
        status: AlertStatus = "sent" if tried.sent else "failed"
        subjects = [item.subject for item in news]
        record_attempt(engine, subjects, way.channel, at=now, status=status, reason=tried.reason)
        if tried.sent:
            told[way.channel] = f"{len(news)} told{f', but {tried.reason}' if tried.reason else ''}"
        else:
            told[way.channel] = f"not sent: {tried.reason}"
    return told


def try_to_send(way: Sends, message: Message) -> Attempt:
    """One attempt, which never raises for what the other side does."""
    try:
        left_out = way.send(message)
    except SendError as error:
        log.warning("alert not sent", channel=way.channel, reason=str(error))
        return Attempt(sent=False, reason=str(error))
    return Attempt(sent=True, reason=left_out)


def news_since(engine: sa.Engine, since: datetime) -> list[News]:
    """Alarms and events since a time, the most urgent first, each kind oldest first."""
    alarms = [alarm for alarm in recent_alarms(engine) if alarm.raised_at >= since]
    events = [(event, came) for event, came in _with_outcomes(engine) if event.at >= since]
    news = [*map(_of_alarm, reversed(alarms)), *(_of_event(event, came) for event, came in events)]
    return sorted(news, key=lambda item: not item.urgent)


def _with_outcomes(engine: sa.Engine) -> list[tuple[ModelEvent, ModelEvent | None]]:
    """Events worth a message, oldest first; a decision to train with what came of it before the next one. Made again
    because nothing came of it, as when the last days have no tickets, it is told again after a week, not every night.
    """
    timeline = model_timeline(engine, limit=ALL)[::-1]
    told: list[tuple[ModelEvent, ModelEvent | None]] = []
    waits: dict[str | None, datetime] = {}  # champions to be met by a model that was not trained, and when it was told
    for place, event in enumerate(timeline):
        if event.kind not in _TOLD:
            continue
        came = _outcome(event, timeline[place + 1 :])
        if came is not None:
            waits.pop(event.model_version, None)
        elif event.kind == "retrain decided":
            if event.at - waits.get(event.model_version, event.at - TRIED_FOR) < TRIED_FOR:
                continue
            waits[event.model_version] = event.at
        told.append((event, came))
    return told


def _outcome(decision: ModelEvent, later: Iterable[ModelEvent]) -> ModelEvent | None:
    """The promotion or rejection that a decision to train led to."""
    until_next = takewhile(lambda event: event.kind != "retrain decided", later)
    met = (event for event in until_next if event.kind in ("promoted", "rejected"))
    return next((event for event in met if event.details.get("champion") == decision.model_version), None)


def digest(news: Sequence[News], *, link: str = "") -> Message:
    """All news in one message."""
    alarms = sum(item.subject.startswith("alarm:") for item in news)
    urgent = sum(item.urgent for item in news)
    counted = [_counted(alarms, "alarm"), _counted(len(news) - alarms, "event of the models", "events of the models")]
    title = "Triage: " + " and ".join(part for part in counted if part)
    if urgent:
        title += f", {urgent} urgent"
    lines = [f"{'URGENT: ' if item.urgent else ''}{item.words}" for item in news[:_LISTED]]
    if len(news) > _LISTED:
        lines.append(f"And {len(news) - _LISTED} more.")
    return Message(title, tuple(lines), link)


def trial_message(link: str = "") -> Message:
    """What `triage alerts test` sends."""
    return Message("Triage: a test", ("Alerts arrive here. Nothing has happened.",), link)


def _of_alarm(alarm: Alarm) -> News:
    closed = ", over since" if alarm.closed_at is not None else ""
    words = f"{_headline(alarm)} ({alarm.detector}, {alarm.raised_at:%Y-%m-%d}{closed})."
    return News(f"alarm:{alarm.alarm_id}", alarm.severity == "critical" and not closed, words)


def _headline(alarm: Alarm) -> str:
    """The alarm's headline where it is one of the fixed ones: others may quote what customers write."""
    sign, said = SIGNS.get(alarm.detector), alarm.details.get("headline")
    if sign is None:
        return f"{alarm.detector} changed"
    return str(said) if said in (sign.words, sign.fell) else sign.words


def _of_event(event: ModelEvent, came: ModelEvent | None) -> News:
    # A decision that was told before its training had ended is told once more, with what came of it.
    version = event.model_version or "an unknown one"
    if event.kind == "rolled back":
        left = event.details.get("from")
        told = f"An earlier model is served again: {version}{f' instead of {left}' if left else ''}"
    elif came is None:
        told = f"It was decided to train a new model, to meet {version}"
    else:
        told = f"A new model was trained, to meet {version}"
    words = [f"{told} ({event.at:%Y-%m-%d}).", _reasons(event.details), _verdict(came)]
    return News(f"event:{(came or event).event_id}", event.kind == "rolled back", " ".join(filter(None, words)))


def _verdict(came: ModelEvent | None) -> str:
    if came is None:
        return ""
    verdict = "is served now" if came.kind == "promoted" else "is left out"
    return f"It is {came.model_version} and {verdict}: {_reasons(came.details)}".removesuffix(": ")


def _reasons(details: Mapping[str, Any]) -> str:
    """Reasons of decisions are sentences of ours: detectors, counts and days."""
    reasons = details.get("reasons", ())
    return " ".join(str(reason) for reason in reasons) if isinstance(reasons, list | tuple) else ""


def _counted(number: int, one: str, many: str = "") -> str:
    return "" if number == 0 else f"{number} {one if number == 1 else many or one + 's'}"
