"""Quiet history: the champion's validation period, and the days since on whose nights nothing was found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import sqlalchemy as sa

from monitoring.current import Logged, Reads, look_at, period_of, read_period
from monitoring.policy import Clock, Policy
from monitoring.windows import Window, joined
from tickets import monitor_log

_WEEKS_TOGETHER = 14  # days; fewer add little, and limits are computed anew when they have doubled
_MOST = 2000  # tickets of the log, at random; each is read by the model again
_ALL = 1000  # runs: years of nights


def quiet_days(engine: sa.Engine, version: str, *, before: date, nights: int) -> list[date]:
    """Days before `before` whose night was quiet under this model, and that no alarm followed within `nights`: a change
    is there before its alarm."""
    runs = [run for run in monitor_log.recent_runs(engine, limit=_ALL) if run.model_version == version]
    alarms = [date.fromisoformat(run.as_of) for run in runs if run.status == "alarm"]
    days = sorted({date.fromisoformat(run.as_of) for run in runs if run.status == "quiet"})
    return [
        day
        for day in days
        if day < before and not any(day <= alarm <= day + timedelta(days=nights) for alarm in alarms)
    ]


def enough_of(days: Sequence[date]) -> Sequence[date]:
    """The first 14, 28, 56 and so on of the days, as many as there are: so limits are not computed anew each night."""
    if len(days) < _WEEKS_TOGETHER:
        return []
    return days[: _WEEKS_TOGETHER * 2 ** int(math.log2(len(days) / _WEEKS_TOGETHER))]


def quiet_history(engine: sa.Engine, reads: Reads, reference: Window, days: Sequence[date], policy: Policy) -> Window:
    """The reference, and a sample of the tickets of those days as the champion reads them."""
    if not days:
        return reference
    start, end = period_of(days[0], 1)[0], period_of(days[-1], 1)[1]
    period = read_period(engine, start, end, clock=policy.clock, size=_MOST, seed=policy.seed)
    wanted = set(days)
    logged = tuple(item for item in period.logged if _day(item, policy.clock) in wanted)
    return joined([reference, look_at(replace(period, tickets=len(logged), logged=logged), reads)[0]])


def _day(item: Logged, clock: Clock) -> date:
    return (item.ticket.created_at if clock == "opened" else item.suggestion.created_at).date()
