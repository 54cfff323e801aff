"""Quiet history: the champion's validation period, and the days since on whose nights nothing was found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import sqlalchemy as sa

from monitoring.current import Logged, Reads, look_at, period_of, read_period
from monitoring.policy import Policy
from monitoring.quiet_nights import LARGEST
from monitoring.windows import Window, joined
from tickets import monitor_log

_FORTNIGHT = 14  # days; fewer add little, and limits are computed anew when they have doubled
_NEWEST = 28  # days whose tickets the model reads again
_BACKLOG = timedelta(days=1)  # from a ticket to its suggestion


def quiet_days(engine: sa.Engine, version: str, *, before: date, nights: int) -> list[date]:
    """Days before `before` whose night was quiet under this model, and that no alarm followed within `nights`: a change
    is there before its alarm."""
    runs = [run for run in monitor_log.recent_runs(engine, limit=monitor_log.ALL) if run.model_version == version]
    alarms = [date.fromisoformat(run.as_of) for run in runs if run.status == "alarm"]
    days = sorted({date.fromisoformat(run.as_of) for run in runs if run.status == "quiet"})
    return [
        day
        for day in days
        if day < before and not any(day <= alarm <= day + timedelta(days=nights) for alarm in alarms)
    ]


def enough_of(days: Sequence[date]) -> Sequence[date]:
    """The first 14, 28, 56 and so on of the days, as many as there are: so limits are not computed anew each night."""
    if len(days) < _FORTNIGHT:
        return []
    return days[: _FORTNIGHT * 2 ** int(math.log2(len(days) / _FORTNIGHT))]


def quiet_history(engine: sa.Engine, reads: Reads, reference: Window, days: Sequence[date], policy: Policy) -> Window:
    """The reference, and the newest of those days as the champion reads them: each with as many tickets as a replayed
    window takes at most, so that days are as full as tonight's. A backlog that was suggested for at once is left out;
    its tickets would make thin days of their own."""
    windows = [reference]
    for day in days[-_NEWEST:]:
        period = read_period(engine, *period_of(day, 1), size=LARGEST, seed=policy.seed)
        fresh = tuple(item for item in period.logged if _waited(item) <= _BACKLOG)
        windows.append(look_at(replace(period, tickets=len(fresh), logged=fresh), reads)[0])
    return joined([window for window in windows if len(window)] or [reference])


def _waited(item: Logged) -> timedelta:
    return item.suggestion.created_at - item.ticket.created_at
