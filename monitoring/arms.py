"""What suggestions do, and what a challenger would change: the parts of the traffic compared with each other.

Tickets fall into champion, canary and holdout by chance (service/arms.py), so differences between them are effects.
Handling times are compared by Welch's interval for the difference of two means; answers of a shadow by a paired
bootstrap, since both models answered the same tickets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from scipy.stats import t as student

from models.comparison import Difference, difference
from models.intervals import Share, share_of
from tickets.database import challenger_answers
from tickets.feedback_log import feedback_with_suggestions

_CONFIDENCE = 0.95
_LEAST = 2  # handling times, below which there is no spread to tell


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmFigures:
    """One part of the traffic: tickets with feedback, the share accepted as suggested, mean seconds of handling. A
    canary is told by its version: another that came before it is another part."""

    arm: str  # champion | holdout | canary VERSION
    tickets: int
    accepted: Share
    handle_seconds: float | None
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowFigures:
    """A challenger that answered the champion's tickets too. `better` is its share of right first contact types less
    the champion's, on tickets where feedback names the right one."""

    version: str
    agreed: Share
    better: Difference | None
    judged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmsReport:
    """`saved` and `canaries` are seconds of handling: holdout less champion (what a suggestion saves), and each canary
    less champion; None, or left out, with too few tickets."""

    arms: tuple[ArmFigures, ...]
    saved: Difference | None
    canaries: Mapping[str, Difference]  # by version
    shadows: tuple[ShadowFigures, ...]


def compare_arms(engine: sa.Engine, start: datetime, end: datetime) -> ArmsReport:
    """From feedback with start <= at < end, the latest of each suggestion."""
    latest = {row["suggestion_id"]: row for row in feedback_with_suggestions(engine, start, end)}
    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    for row in latest.values():
        arm = row["suggestion"].get("arm", "champion")
        by_arm.setdefault(f"{arm} {row['model_version']}" if arm == "canary" else arm, []).append(row)
    arms = {name: _figures(name, rows) for name, rows in sorted(by_arm.items())}
    return ArmsReport(
        arms=tuple(arms.values()),
        saved=_gap(arms.get("holdout"), arms.get("champion")),
        canaries={
            name.removeprefix("canary "): gap
            for name, arm in arms.items()
            if name.startswith("canary ") and (gap := _gap(arm, arms.get("champion"))) is not None
        },
        shadows=_shadows(engine, start, end, latest),
    )


def _figures(arm: str, rows: Sequence[Mapping[str, Any]]) -> ArmFigures:
    acted = [row for row in rows if row["action"] != "ignored"]
    seconds = tuple(float(row["handle_seconds"]) for row in rows if row["handle_seconds"] is not None)
    return ArmFigures(
        arm=arm,
        tickets=len(rows),
        accepted=share_of(sum(row["action"] == "accepted" for row in acted), len(acted)),
        handle_seconds=float(np.mean(seconds)) if seconds else None,
        seconds=seconds,
    )


def _gap(one: ArmFigures | None, other: ArmFigures | None) -> Difference | None:
    """Difference of mean handling seconds with its interval (Welch 1947)."""
    if one is None or other is None or min(len(one.seconds), len(other.seconds)) < _LEAST:
        return None
    samples = [np.array(arm.seconds) for arm in (one, other)]
    errors = [float(sample.var(ddof=1)) / len(sample) for sample in samples]
    value, error = float(samples[0].mean() - samples[1].mean()), sum(errors)
    if error == 0:
        return Difference(value, value, value)
    freedom = error**2 / sum(part**2 / (len(sample) - 1) for part, sample in zip(errors, samples, strict=True))
    reach = float(student.ppf(0.5 + _CONFIDENCE / 2, freedom)) * math.sqrt(error)
    return Difference(value, value - reach, value + reach)


def _shadows(
    engine: sa.Engine, start: datetime, end: datetime, latest: Mapping[str, Mapping[str, Any]]
) -> tuple[ShadowFigures, ...]:
    query = sa.select(challenger_answers).where(challenger_answers.c.at >= start, challenger_answers.c.at < end)
    by_version: dict[str, list[Mapping[str, Any]]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query).mappings():
            by_version.setdefault(row["model_version"], []).append(dict(row))
    return tuple(_shadow(version, rows, latest) for version, rows in sorted(by_version.items()))


def _shadow(version: str, rows: Sequence[Mapping[str, Any]], latest: Mapping[str, Mapping[str, Any]]) -> ShadowFigures:
    right, champion_right = [], []
    for row in rows:
        given = latest.get(row["suggestion_id"])
        if given is None or given["contact_type"] is None:
            continue
        suggested = given["suggestion"]["contact_types"]
        right.append(row["contact_type"] == given["contact_type"])
        champion_right.append(bool(suggested) and suggested[0]["contact_type"] == given["contact_type"])
    return ShadowFigures(
        version=version,
        agreed=share_of(sum(row["agreed"] for row in rows), len(rows)),
        better=difference(np.array(right, bool), np.array(champion_right, bool)) if right else None,
        judged=len(right),
    )
