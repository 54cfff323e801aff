"""Alarms as the dashboard shows them: what changed, what it is about, what explains it, what to do.

What explains an alarm stands in its details, as names or as objects that have one; whatever it is, it is shown as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.pages import words
from tickets.monitor_log import Alarm

_NAMES = ("path", "name", "contact_type", "word", "ticket_id", "text")
_MOST = 8
_TITLES = {
    "agents": "What agents do",
    "tickets": "What customers write",
    "volume": "How many tickets come",
    "model": "What the model makes of it",
}


@dataclass(frozen=True, slots=True)
class AlarmCard:
    """An alarm, its detector in plain words, and what explains it; `examples` are ticket ids."""

    alarm: Alarm
    detector: str
    contact_types: Sequence[str]
    words: Sequence[str]
    examples: Sequence[str]
    recommends: Sequence[str]


def alarm_groups(alarms: Sequence[Alarm]) -> list[tuple[str, list[AlarmCard]]]:
    """Alarms under a title that says what they are about, the most important first."""
    groups: dict[str, list[AlarmCard]] = {}
    for alarm in sorted(alarms, key=importance):
        groups.setdefault(_TITLES.get(alarm.details.get("about", ""), "Other changes"), []).append(card(alarm))
    return list(groups.items())


def card(alarm: Alarm) -> AlarmCard:
    details = alarm.details
    return AlarmCard(
        alarm=alarm,
        detector=words.detector(alarm.detector),
        contact_types=named(details.get("contact_types")),
        words=named(details.get("words") or details.get("new")),
        examples=named(details.get("examples")),
        recommends=named(details.get("recommends")),
    )


def importance(alarm: Alarm) -> tuple[int, str]:
    """As monitoring ranked them; alarms without a rank come last."""
    return int(alarm.details.get("place", 99)), alarm.detector


def named(given: Any) -> list[str]:
    """Names of what is given: a text, a list of texts, or of objects that have a name."""
    if not given:
        return []
    if isinstance(given, str | Mapping):
        given = [given]
    if not isinstance(given, Iterable):
        return [str(given)]
    return [name for name in map(_name, given) if name][:_MOST]


def _name(given: Any) -> str:
    if isinstance(given, Mapping):
        return next((str(given[key]) for key in _NAMES if given.get(key)), "")
    if isinstance(given, list | tuple):  # a name beside its figures
        return str(given[0]) if given else ""
    return str(given)
