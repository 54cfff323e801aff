"""A new champion is on probation: when agents accept clearly less than they accepted of its predecessor, or random
labels find it clearly worse, the predecessor comes back.

The two were asked about different tickets, so tickets of one contact type, by its name of today, are compared with each
other (Mantel and Haenszel 1959): a change of the mix, or a type that is new, is no fault of the model. Every night
looks again, so the chance of a wrong verdict is shared out over the nights and both measures (Bonferroni): over a whole
probation it stays below 1 - confidence.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import NormalDist
from typing import Any

import sqlalchemy as sa

from models.release import current_version, history
from monitoring.current import period_of
from monitoring.performance import read_judged, read_labelled, truth
from tickets import monitor_log
from tickets.contact_types import ContactTypeTree
from tickets.workspace import Workspace

_MEASURES = 2

Outcome = tuple[str, bool]  # the contact type it was, and whether the suggestion stood


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbationPolicy:
    """How long a new champion is watched, and what ends it."""

    days: int = 14  # after a promotion, and of the predecessor's time before it; 0 switches it off
    confidence: float = 0.95  # that no champion as good as its predecessor is rolled back in all these days
    least: int = 100  # judged tickets of either, of contact types that both have
    drop: float = 0.05  # the least fall that matters, as a share


@dataclass(frozen=True, slots=True, kw_only=True)
class Probationer:
    """A champion that is watched, since when it is served, and who was before it."""

    version: str
    predecessor: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to roll back, and why or why not, in sentences, with the figures behind it."""

    roll_back: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)


def probationer(workspace: Workspace, engine: sa.Engine) -> Probationer | None:
    """The champion, when it took over from another one; None when it is the first, came back by a rollback, or was
    promoted by force: a person who insists is not overruled."""
    version = current_version(workspace)
    entry = next((row for row in reversed(history(workspace)) if row["version"] == version), None)
    if version is None or entry is None or entry["action"] != "promote" or entry["previous"] is None:
        return None
    promoted = (
        event for event in monitor_log.model_timeline(engine, limit=monitor_log.ALL) if event.kind == "promoted"
    )
    told = next((event for event in promoted if event.model_version == version), None)
    if told is not None and told.details.get("forced"):
        return None
    since = told.at if told is not None else datetime.fromisoformat(entry["at"])
    return Probationer(version=version, predecessor=entry["previous"], since=since)


def judge_probation(
    engine: sa.Engine,
    watched: Probationer,
    *,
    as_of: date,
    today: ContactTypeTree,
    policy: ProbationPolicy | None = None,
) -> Verdict:
    """Feedback and random labels from the promotion to the end of `as_of`, beside those of the predecessor's last
    days, all read as the tree of `today` has them."""
    policy = policy or ProbationPolicy()
    until = period_of(as_of, 1)[1]
    days = (until - watched.since) / timedelta(days=1)
    if not 0 < days <= policy.days:
        told = f"{watched.version} is served for {max(days, 0):.0f} days; {policy.days} days are watched."
        return Verdict(False, (told,))
    before = (watched.since - timedelta(days=policy.days), watched.since)
    reasons, figures = [], {"champion": watched.version, "predecessor": watched.predecessor, "days": round(days, 2)}
    for name, words, read in (
        ("acceptance", "agents accept", _accepted),
        ("labels", "random labels agree with", _right),
    ):
        now = read(engine, (watched.since, until), watched.version, today)
        fall = compare(now, read(engine, before, watched.predecessor, today))
        figures[name] = fall
        if is_worse(fall, policy):
            scores = f"{fall['champion']:.1%} against {fall['predecessor']:.1%}"
            told = f"{words} {scores} of its predecessor, {-fall['difference']:.1%} less on equal contact types"
            reasons.append(f"{told} (p = {fall['p_value']:.2g}, {fall['tickets']} tickets).")
    if reasons:
        return Verdict(True, tuple(reasons), figures)
    return Verdict(False, (_all_well(figures, policy),), figures)


def compare(now: Sequence[Outcome], before: Sequence[Outcome]) -> dict[str, Any]:
    """Share that stood now and before, and the difference within contact types that both periods have, with the
    one-sided p-value of a fall. `tickets` and `tickets_before` count those that could be compared."""
    strata: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])  # stood now, tickets now, stood before, tickets
    for place, outcomes in ((0, now), (2, before)):
        for contact_type, stood in outcomes:
            strata[contact_type][place] += stood
            strata[contact_type][place + 1] += 1
    both = [row for row in strata.values() if row[1] and row[3]]
    difference, p_value = _mantel_haenszel(both)
    return {
        "champion": _share(now),
        "predecessor": _share(before),
        "difference": difference,
        "p_value": p_value,
        "tickets": sum(row[1] for row in both),
        "tickets_before": sum(row[3] for row in both),
    }


def is_worse(fall: Mapping[str, Any], policy: ProbationPolicy) -> bool:
    """Whether a fall, as `compare` tells it, is large enough to matter and hardly chance."""
    enough = min(fall["tickets"], fall["tickets_before"]) >= max(policy.least, 1)
    level = (1 - policy.confidence) / (policy.days * _MEASURES)
    return bool(enough and fall["difference"] <= -policy.drop and fall["p_value"] <= level)


def _mantel_haenszel(strata: Iterable[Sequence[int]]) -> tuple[float, float]:
    """The weighted difference of shares over strata, and the one-sided p-value (corrected for continuity) that it is
    below 0 by chance; 0 and 1 of nothing."""
    weighted = weights = observed = variance = 0.0
    for stood_now, now, stood_before, before in strata:
        count, stood = now + before, stood_now + stood_before
        weight = now * before / count
        weighted += weight * (stood_now / now - stood_before / before)
        weights += weight
        observed += stood_now - now * stood / count
        variance += now * before * stood * (count - stood) / (count**2 * (count - 1))
    if not variance:
        return (weighted / weights if weights else 0.0), 1.0
    return weighted / weights, NormalDist().cdf((observed + 0.5) / math.sqrt(variance))


def _all_well(figures: Mapping[str, Any], policy: ProbationPolicy) -> str:
    judged = figures["acceptance"]
    if min(judged["tickets"], judged["tickets_before"]) < policy.least:
        few = f"{judged['tickets']} judged tickets now and {judged['tickets_before']} before"
        return f"too early to tell: {few}, {policy.least} of each are needed."
    scores = f"{judged['champion']:.1%} against {judged['predecessor']:.1%}"
    return f"agents accept {scores} of its predecessor: no reason to go back."


def _accepted(
    engine: sa.Engine, period: tuple[datetime, datetime], version: str, today: ContactTypeTree
) -> list[Outcome]:
    """Suggestions that an agent acted on; what the ticket was, is what the agent said or took."""
    judged = read_judged(engine, *period, today=today)
    acted = (item for item in judged if item.model_version == version and item.action in {"accepted", "corrected"})
    return [(truth(item) or "", item.action == "accepted") for item in acted if item.told]


def _right(engine: sa.Engine, period: tuple[datetime, datetime], version: str, today: ContactTypeTree) -> list[Outcome]:
    labelled = read_labelled(engine, *period, today=today)
    audit = (item for item in labelled if item.model_version == version and item.action == "random" and item.told)
    return [(item.contact_type or "", item.contact_type in item.suggested[:1]) for item in audit]


def _share(outcomes: Sequence[Outcome]) -> float | None:
    return sum(stood for _, stood in outcomes) / len(outcomes) if outcomes else None
