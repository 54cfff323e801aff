"""Nights after a change of known size, for bench/monitoring.py: who notices, and on which night."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from quiet_months import POLICY, Night, Watch, evidently

from monitoring.windows import Window, joined, sample

WITHIN = 3  # nights
_MONDAY = dt.date(2026, 3, 2)


@dataclass(frozen=True, slots=True)
class Case:
    """`per_day` tickets come each day, from `pool`; from the first night on `share` of them are of `shift`."""

    pool: Window
    shift: Window
    share: float
    per_day: int
    seed: int


def nights_to_detection(watch: Watch, case: Case, *, with_evidently: bool) -> tuple[int | None, int | None]:
    """The first night, from 1 on, with an alarm; and the first that Evidently calls drifted. None: not within three."""
    limits = watch.policy.limits
    drifted: Counter[str] = Counter()
    ours = theirs = None
    for number in range(WITHIN):
        night = Night(current=_window(case, number))
        if ours is None:
            found = {result.detector for result in watch.judged(night) if result.drifted}
            drifted.update(found)
            if any(drifted[name] >= limits.persist for name in found):
                ours = number + 1
        if with_evidently and theirs is None and evidently(watch.evidence(night))[0]:
            theirs = number + 1
        if ours and (theirs or not with_evidently):
            break
    return ours, theirs


def mixed_window(case: Case) -> Window:
    """The tickets of one day on which `share` of them are of the shift."""
    return _day(case, 0)


def _window(case: Case, number: int) -> Window:
    """The window of night `number` after the change, 0 the first: its days before that are quiet."""
    days = min(POLICY.window_days, math.ceil(POLICY.window_tickets / case.per_day))
    there = joined([_day(case, day) for day in range(number - days + 1, number + 1)])
    end = dt.datetime.combine(_date(case, number) + dt.timedelta(days=1), dt.time(), dt.UTC)
    kept = sample(there, POLICY.sample, seed=POLICY.seed)
    return dataclasses.replace(kept, start=end - dt.timedelta(days=days), end=end)


def _day(case: Case, day: int) -> Window:
    """The same day is the same tickets in every window that it stands in."""
    rng = np.random.default_rng([case.seed, day + 10])
    strange = round(case.share * case.per_day) if day >= 0 else 0
    parts = [
        window.take(rng.choice(len(window), count, replace=count > len(window)))
        for window, count in ((case.pool, case.per_day - strange), (case.shift, strange))
        if count
    ]
    noon = dt.datetime.combine(_date(case, day), dt.time(12), dt.UTC)
    return dataclasses.replace(joined(parts), created_at=(noon,) * case.per_day)


def _date(case: Case, day: int) -> dt.date:
    return _MONDAY + dt.timedelta(days=case.seed % 7 + day)
