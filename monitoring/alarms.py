"""Alarms: limits over all detectors together, and only for what lasts.

A result counts as drifted when its p-value, corrected over all detectors of the night (Holm), is small enough, its
statistic is beyond what quiet nights of the past reached, and its effect is large enough to matter. An alarm needs that
on several nights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from monitoring.detectors.attributes import NAME as ATTRIBUTES
from monitoring.detectors.attributes import SURE
from monitoring.policy import Limits
from tickets.limit_log import DetectorLimits, part_of
from tickets.monitor_log import Alarm, DetectorResult, Severity

AGENTS = "feedback."  # detectors of what agents already feel
MUCH = 0.05  # accuracy lost, as a share: one ticket in twenty more is suggested the wrong contact type

Explain = Callable[[DetectorResult], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Sign:
    """What a detector's alarm says. `about` groups alarms, since one change in the world shows in several detectors."""

    about: str  # agents | tickets | volume | model
    words: str  # when the figure rose, or when there is no direction
    fell: str = ""


# The order is the order of importance: what people feel, what changed in the world, what the model makes of it.
SIGNS: Mapping[str, Sign] = {
    "feedback.acceptance": Sign("agents", "Agents accept fewer suggestions"),
    "feedback.override": Sign("agents", "Agents correct more suggestions that the model was sure of"),
    "feedback.hits_at_3": Sign("agents", "The right contact type is less often among the first three"),
    "feedback.edit_distance": Sign("agents", "Agents change more of the templates they send"),
    "accuracy.estimate": Sign("model", "The model is probably right less often"),
    "text.unseen_words": Sign(
        "tickets", "Customers use more words that are new", "Customers use fewer words that are new"
    ),
    "text.words": Sign("tickets", "Some words are used much more often", "Some words are used much less often"),
    "predictions.one_type": Sign(
        "tickets", "One contact type comes much more often", "One contact type comes much less often"
    ),
    "predictions.types": Sign("tickets", "The mix of predicted contact types changed"),
    "attributes": Sign("tickets", "Attributes of tickets changed"),
    "text.language": Sign("tickets", "The mix of languages changed"),
    "text.length": Sign("tickets", "Tickets are longer", "Tickets are shorter"),
    "embeddings.domain": Sign("tickets", "Tickets read differently from those the model was checked on"),
    "embeddings.mmd": Sign("tickets", "Tickets spread differently over topics and wordings"),
    "volume": Sign("volume", "More tickets come than usual", "Fewer tickets come than usual"),
    "confidence.probability": Sign("model", "The model is surer of itself", "The model is less sure of itself"),
    "confidence.abstained": Sign("model", "The model abstains more often", "The model abstains less often"),
    "confidence.out_of_scope": Sign(
        "model", "Tickets lie farther from what the model learned", "Tickets lie nearer to what the model learned"
    ),
}


def judge(
    results: Sequence[DetectorResult], limits: Limits, calibrated: DetectorLimits | None = None
) -> list[DetectorResult]:
    """Set limit and status of each result; `unknown` stays unknown and takes no part in the correction.

    Drifted is what passes three tests: its p-value after Holm's correction, the limit that A/A replays gave it
    (monitoring/limits.py), and the least effect that matters. Where `calibrated` gives a detector its limit, the
    p-value is held at the level that persistence allows for; elsewhere at `family_wise`. Attributes have limits each:
    a city changes every week, a plan hardly ever.
    """
    least = limits.least_effects.get(ATTRIBUTES, 0.0)
    results = [_farthest(result, calibrated, least) for result in results]
    adjusted = holm({r.detector: r.p_value for r in results if r.status != "unknown" and r.p_value is not None})
    return [_judged(result, adjusted.get(result.detector), limits, calibrated) for result in results]


def _farthest(result: DetectorResult, calibrated: DetectorLimits | None, least: float) -> DetectorResult:
    """Of the attributes that surely changed, the one farthest beyond its own limit, which is `least` at least, speaks
    for all."""
    if result.detector != ATTRIBUTES or calibrated is None or result.statistic is None:
        return result
    tests, moved = result.details["tests"], result.details["moved"]
    sure = [row for row in moved if row["p_value"] * tests <= SURE]
    if not sure:
        return result
    limits = calibrated.limits
    first = max(sure, key=lambda row: row["effect"] - max(least, limits.get(part_of(ATTRIBUTES, row["name"]), 0.0)))
    details = {**result.details, "moved": [first, *(row for row in moved if row is not first)]}
    return replace(result, statistic=first["effect"], p_value=min(1.0, first["p_value"] * tests), details=details)


def _limit_of(result: DetectorResult) -> str:
    """The name of the limit that counts: of attributes that of the one which speaks for all."""
    moved = result.details.get("moved") if result.detector == ATTRIBUTES else None
    return part_of(ATTRIBUTES, moved[0]["name"]) if moved else result.detector


def _judged(
    result: DetectorResult, p_value: float | None, limits: Limits, calibrated: DetectorLimits | None
) -> DetectorResult:
    least = limits.least_effects.get(result.detector, 0.0)
    quiet = calibrated.limits.get(_limit_of(result)) if calibrated else None
    limit = least if quiet is None else max(least, quiet)
    if p_value is None or result.statistic is None:
        return replace(result, limit=limit)
    p_limit = limits.family_wise if calibrated is None or quiet is None else calibrated.p_limit
    drifted = p_value <= p_limit and result.statistic >= limit
    details = {**result.details, "p_adjusted": p_value, "p_limit": p_limit, "least_effect": least, "quiet_limit": quiet}
    return replace(result, limit=limit, status="drifted" if drifted else "ok", details=details)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected for their number: Holm 1979, which keeps the chance of any false call without assumptions."""
    ordered = sorted(p_values.items(), key=lambda item: item[1])
    adjusted, so_far = {}, 0.0
    for rank, (name, p_value) in enumerate(ordered):
        so_far = max(so_far, min(1.0, p_value * (len(ordered) - rank)))
        adjusted[name] = so_far
    return adjusted


def raise_alarms(
    results: Sequence[DetectorResult],
    earlier: Sequence[Set[str]],
    already_open: Set[str],
    limits: Limits,
    *,
    run_id: str,
    at: datetime,
    explain: Explain = lambda _result: {},
) -> list[Alarm]:
    """Alarms for detectors that drifted tonight and often enough before, the most important first.

    `earlier` names what drifted on the nights before of the same model, newest first; a detector whose alarm is still
    open raises no second one. `details` tells the dashboard the `headline`, what it is `about`, its `place` in order of
    importance, and what `explain` knows (monitoring.explanations).
    """
    tonight = sorted((result for result in results if result.drifted), key=lambda result: _place(result.detector))
    before = earlier[: limits.of - 1]
    alarms = []
    for result in tonight:
        nights = 1 + sum(result.detector in night for night in before)
        if nights < limits.persist or result.detector in already_open:
            continue
        alarms.append(
            Alarm(
                # The same night gives the same alarm the same id, so a rerun replaces it.
                alarm_id=hashlib.blake2b(f"{run_id}:{result.detector}".encode(), digest_size=12).hexdigest(),
                run_id=run_id,
                detector=result.detector,
                severity=_severity(result, results, agree=limits.agree),
                message=_message(result, nights, len(before) + 1),
                raised_at=at,
                details={
                    **result.details,
                    **explain(result),
                    "nights": nights,
                    "statistic": result.statistic,
                    "headline": _headline(result),
                    "about": SIGNS[result.detector].about if result.detector in SIGNS else "tickets",
                    "place": _place(result.detector),
                },
            )
        )
    return alarms


def _severity(result: DetectorResult, night: Sequence[DetectorResult], *, agree: int) -> Severity:
    """Critical when agents already feel it, or when an estimated loss of accuracy says that they will.

    Where accuracy cannot be estimated, so many detectors that `agree` are taken for as much. How many tickets come says
    nothing about the model.
    """
    if result.detector == "volume":
        return "warning"
    drifted = [other for other in night if other.drifted]
    if any(other.detector.startswith(AGENTS) for other in drifted):
        return "critical"
    estimate = next((other.statistic for other in night if other.detector == "accuracy.estimate"), None)
    lost = len(drifted) >= agree if estimate is None else estimate >= MUCH
    return "critical" if lost else "warning"


def recovered(
    results: Sequence[DetectorResult], quiet_before: Sequence[Set[str]], already_open: Set[str], limits: Limits
) -> list[str]:
    """Detectors with an open alarm that were quiet tonight and on the nights before: as many as can raise one.

    `quiet_before` names what looked and found nothing on those nights, newest first: a night that could not look is
    not a quiet one.
    """
    before = quiet_before[: limits.of - 1]
    if len(before) < limits.of - 1:
        return []
    quiet = {result.detector for result in results if result.status == "ok"}
    return sorted(name for name in already_open & quiet if all(name in night for night in before))


def _message(result: DetectorResult, nights: int, looked: int) -> str:
    words = _headline(result)
    parts = [_moved(result.details), f"{nights} of the last {looked} nights" if looked > 1 else ""]
    told = "; ".join(part for part in parts if part)
    return f"{words} ({told})." if told else f"{words}."


def _headline(result: DetectorResult) -> str:
    sign = SIGNS.get(result.detector)
    if sign is None:
        return f"{result.detector} changed"
    return sign.fell if sign.fell and fell(result.details) else sign.words


def fell(details: Mapping[str, Any]) -> bool:
    """Whether the figure that a result is about went down; False also where it has no direction."""
    match details:
        case {"share": {"reference": before, "current": now}} | {"mean": {"reference": before, "current": now}}:
            return bool(now < before)
        case {"compared": int(), "moved": [{"reference": before, "current": now}, *_]}:
            return bool(now < before)
        case {"expected": before, "tickets": now}:
            return bool(now < before)
    return False


def _place(detector: str) -> int:
    """The lower, the more important."""
    return list(SIGNS).index(detector) if detector in SIGNS else len(SIGNS)


def _moved(details: Mapping[str, Any]) -> str:
    """What moved most, in a few words."""
    match details:
        case {"share": {"reference": before, "current": now}}:
            words = f"{before:.0%} before, {now:.0%} now"
        case {"moved": [{"name": name, "current": now, "reference": before}, *_]}:
            words = f"{name}: {before:.1%} before, {now:.1%} now"
        case {"moved": [{"name": name, "categories": [{"name": value, "current": now, "reference": before}, *_]}, *_]}:
            words = f"{name} {value}: {before:.1%} before, {now:.1%} now"
        case {"moved": [{"name": name, "median": {"reference": before, "current": now}}, *_]}:
            words = f"{name}: median {before:.3g} before, {now:.3g} now"
        case {"moved": [{"name": name}, *_]}:
            words = str(name)
        case {"new": [_, *_]}:
            words = f"new: {', '.join(details['new'][:5])}"
        case {"expected": expected, "tickets": tickets}:
            words = f"{tickets} tickets, about {expected:.0f} expected"
        case {"median": {"reference": before, "current": now}} if before != now:
            words = f"median {before:.3g} before, {now:.3g} now"
        case {"mean": {"reference": before, "current": now}}:
            words = f"mean {before:.3g} before, {now:.3g} now"
        case {"chance": float()}:
            words = "a classifier tells them apart"
        case _:
            words = ""
    return words
