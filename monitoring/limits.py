"""Limits from A/A replays: how far do the detectors' statistics go on nights on which nothing happened?

A p-value supposes that tickets come independently. They do not: a campaign, an outage, the first of the month make days
alike, and a week of them differs from the reference more than chance alone would. So nights are drawn from the tenant's
own quiet history at the size and on the weekdays of tonight's window, with the persistence that an alarm needs, and
the limits are put where all detectors together raise an alarm on at most `family_wise` of such nights. That is the
single-step max-T procedure of Westfall and Young 1993 (Resampling-Based Multiple Testing), over replays of whole nights
instead of permutations of tickets.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from monitoring.current import Reads
from monitoring.detectors.attributes import NAME as ATTRIBUTES
from monitoring.evidence import Evidence, compare_windows
from monitoring.policy import Limits, Policy
from monitoring.quiet_history import enough_of, quiet_days, quiet_history
from monitoring.quiet_nights import LARGEST, Shape, days_of, draw_nights, shape_of
from monitoring.windows import Window
from tickets.limit_log import DetectorLimits, find_limits, part_of, record_limits
from tickets.monitor_log import DetectorResult

Look = Callable[[Window, Window], Sequence[DetectorResult]]

RULES = "5"  # raise it when a statistic changes its meaning, and limits are computed anew
_SMALLEST_BUCKET = 50
_MOST_BY_CHANCE = 0.05  # the largest level for Holm's correction: p-values guard where limits came out too low
_UPPER = 0.8  # quantile of quiet nights that a tail begins at
_SEEN_AT_LEAST = 0.5  # of the replays, or a detector gets no limit


@dataclass(frozen=True, slots=True)
class LimitsFound:
    """Tonight's limits, or None; and in words where they come from, for the run's summary."""

    limits: DetectorLimits | None
    told: str


def standing_limits(
    engine: sa.Engine, reads: Reads, evidence: Evidence, policy: Policy, *, as_of: date, at: datetime
) -> LimitsFound:
    """The limits of this model at this size of window, computed when there are none yet or quiet history has doubled.

    Without enough quiet history there are none, and `monitoring.alarms.judge` goes by Holm and the least effects alone.
    """
    version, days, tickets = reads.release.version, days_in(evidence.current), bucket(len(evidence.current))
    first = as_of - timedelta(days=days - 1)
    quiet = enough_of(quiet_days(engine, version, before=first, nights=policy.limits.of))
    knobs = _knobs(policy, quiet)
    kept = find_limits(engine, version, window_days=days, window_tickets=tickets)
    if kept is None or kept.knobs != knobs:
        made = _refused(evidence, policy) or limits_for(
            evidence, policy, quiet_history(engine, reads, evidence.whole_reference, quiet, policy)
        )
        if isinstance(made, str):
            return LimitsFound(None, f"p-values alone: {made}")
        kept = replace(made, model_version=version, window_days=days, window_tickets=tickets, knobs=knobs, made_at=at)
        record_limits(engine, kept)
    return LimitsFound(kept, f"{kept.replays} replays of {kept.history_days} quiet days")


def limits_for(evidence: Evidence, policy: Policy, history: Window) -> DetectorLimits | str:
    """Limits for windows like tonight's from quiet history; or, in words, why there are none."""
    if refused := _refused(evidence, policy):
        return refused
    tickets, days = bucket(len(evidence.current)), days_in(evidence.current)
    shape = shape_of(history, tickets=tickets, window_days=days, nights=policy.limits.of)
    if isinstance(shape, str):
        return f"{shape} for A/A replays"
    return calibrate(history, looker(evidence, policy), shape, policy)


def _refused(evidence: Evidence, policy: Policy) -> str:
    """Why no history could give limits, in words; "" when it could."""
    if not policy.limits.replays:
        return "no replays are asked for"
    return "the window is too small" if len(evidence.current) < policy.least else ""


def days_in(window: Window) -> int:
    """Whole days that a window covers."""
    return (window.end - window.start).days if window.start and window.end else 0


def bucket(tickets: int) -> int:
    """Sizes of windows that share their limits: the lower end of steps of a factor of the square root of 2, whose
    limits are wide enough for all of the step; and from some size on all, since there the least effects decide."""
    tickets = min(tickets, LARGEST)
    if tickets < _SMALLEST_BUCKET:
        return tickets
    return round(_SMALLEST_BUCKET * 2 ** (math.floor(2 * math.log2(tickets / _SMALLEST_BUCKET) + 1e-9) / 2))


def looker(evidence: Evidence, policy: Policy) -> Look:
    """All detectors that test two windows, without the permutations: a limit needs statistics alone.

    Agents' feedback and the volume of tickets have no window to be drawn from, and the label mix has no test; they get
    no limit.
    """
    quick = replace(policy, permutations=0)

    def look(reference: Window, current: Window) -> Sequence[DetectorResult]:
        nights = replace(evidence, whole_reference=reference, reference=reference, current=current)
        return compare_windows(nights, quick)

    return look


def calibrate(history: Window, look: Look, shape: Shape, policy: Policy) -> DetectorLimits | str:
    """Replay nights of `history`, every other replay in calendar order, and put the limits where they belong; or
    say why there are none."""
    clock = time.perf_counter()
    replays = []
    for number in range(policy.limits.replays):
        nights = draw_nights(history, shape, largest=policy.sample, in_order=number % 2 == 0, seed=policy.seed + number)
        replays.append([_statistics(look(*pair)) for pair in nights])
    every = [night for nights in replays for night in nights]
    names = [
        name
        for name in sorted({name for night in every for name in night})
        if sum(name in night for night in every) >= _SEEN_AT_LEAST * len(every)
    ]
    if not names:
        return "no detector could look at replayed nights"
    statistics = np.array([[[night.get(name, np.nan) for name in names] for night in nights] for nights in replays])
    found, chance = limits_from(statistics, policy.limits)
    return DetectorLimits(
        limits=dict(zip(names, found.tolist(), strict=True)),
        p_limit=chance,
        replays=len(replays),
        history_days=len(days_of(history)),
        history_tickets=len(history),
        seconds=round(time.perf_counter() - clock, 3),
    )


def _statistics(results: Sequence[DetectorResult]) -> dict[str, float]:
    """By name; of a detector that looks at attributes one by one, those of the attributes."""
    found: dict[str, float] = {}
    for result in results:
        if result.detector == ATTRIBUTES:
            found |= {part_of(ATTRIBUTES, row["name"]): row["effect"] for row in result.details.get("moved", ())}
        elif result.statistic is not None:
            found[result.detector] = result.statistic
    return found


def limits_from(statistics: NDArray[np.float64], limits: Limits) -> tuple[NDArray[np.float64], float]:
    """(replays, nights, detectors) statistics of quiet nights -> (detectors,) limits, and the share of single nights
    on which any detector passes its limit, which is the level that Holm's correction may be held at.

    Detectors have tails of their own, so heights are compared in each one's mean excess over the upper fifth of its
    nights. All limits lie equally high: where the largest persisted height of a replay goes beyond on `family_wise` of
    quiet nights, by the rank that holds in any sample.
    """
    nights = statistics.reshape(-1, statistics.shape[2])
    upper = np.nanquantile(nights, _UPPER, axis=0)
    beyond = np.where(nights > upper, nights - upper, 0)
    excess = np.maximum(beyond.sum(axis=0) / np.maximum((beyond > 0).sum(axis=0), 1), 1e-9)
    height = np.nan_to_num((statistics - upper) / excess, nan=-np.inf)
    highest = np.sort(persisted(height, limits).max(axis=1))
    rank = math.ceil((len(highest) + 1) * (1 - limits.family_wise))
    # With fewer replays than the level needs, the highest of all is the best there is.
    bound = float(highest[min(rank, len(highest)) - 1])
    chance = float(np.mean(np.any(height > bound, axis=2)))
    return upper + bound * excess, min(max(chance, limits.family_wise), _MOST_BY_CHANCE)


def persisted(heights: NDArray[np.float64], limits: Limits) -> NDArray[np.float64]:
    """(replays, nights, detectors), oldest night first -> (replays, detectors): the highest limit at which the last
    night would raise an alarm, being high itself and on `persist - 1` of the nights before."""
    tonight = heights[:, -1]
    if limits.persist <= 1:
        return tonight
    before = np.sort(heights[:, :-1], axis=1)
    return np.minimum(tonight, before[:, before.shape[1] - (limits.persist - 1)])


def _knobs(policy: Policy, quiet: Sequence[date]) -> str:
    """What the limits depend on beside model and window."""
    limits = policy.limits
    asked = (limits.family_wise, limits.persist, limits.of, limits.replays, policy.sample, policy.seed, policy.least)
    return f"{RULES}: {' '.join(map(str, asked))}; quiet days {len(quiet)}"
