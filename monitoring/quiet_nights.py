"""Nights drawn from quiet history: each a current window and a reference that share no day, with nothing between them
but chance, the calendar and what one day has of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from monitoring.windows import Window, match_weekdays, sample

LARGEST = 1000  # tickets of a replayed window
_LEAST_DAYS = 14  # each weekday twice
_BREAK = 7  # days without a ticket that still belong to a history
_OF_HISTORY = 0.5  # at most, for the current windows: the reference must not be much smaller than a night's own
_OF_SIZE = 0.5  # of a night's tickets, at least: limits of much smaller windows are too wide to be of use

Days = list[NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Consecutive nights as the monitoring job sees them: `tickets` of `days` whole days, each night `step` later."""

    tickets: int
    days: int
    step: int
    nights: int

    @property
    def length(self) -> int:
        """Days from the first of the first night's to the last of the last one's."""
        return self.days + (self.nights - 1) * self.step


def shape_of(history: Window, *, tickets: int, window_days: int, nights: int) -> Shape | str:
    """Nights of so many tickets that `history` can give; or, in words, why it cannot.

    A history that was thinner than tickets come now has its days counted together: two of them for one, say.
    """
    rows = days_of(history)
    needed = max(_LEAST_DAYS, 2 * (window_days + nights - 1))
    if len(rows) < needed:
        return f"{len(rows)} quiet days, {needed} needed"
    overlap = 1 + (nights - 1) / window_days  # windows of several days share most of their tickets
    most = int(_OF_HISTORY * len(history) / overlap)
    if most < _OF_SIZE * tickets:
        return f"{len(history)} quiet tickets, about {math.ceil(_OF_SIZE * tickets * overlap / _OF_HISTORY)} needed"
    size = min(tickets, most)
    days = max(window_days, math.ceil(size * len(rows) / len(history)))
    step = max(1, round(days / window_days))
    while days + (nights - 1) * step > len(rows) // 2:
        days, step = days - 1, max(1, round((days - 1) / window_days))
    return Shape(tickets=min(size, days * len(history) // len(rows)), days=days, step=step, nights=nights)


def draw_nights(
    history: Window, shape: Shape, *, largest: int, in_order: bool, seed: int
) -> Iterator[tuple[Window, Window]]:
    """`shape.nights` consecutive nights as (reference, current); a reference has at most `largest` tickets.

    `in_order` keeps the calendar: the windows are consecutive days and the reference lies on one side of them, so what
    lasts for days and what changes with the season counts as quiet. Otherwise days change places within their weekday,
    which gives far more nights to draw and keeps what a day has of its own.
    """
    rng = np.random.default_rng(seed)
    rows = days_of(history)
    order = np.arange(len(rows)) if in_order else shuffled_days(history, rng)
    begin = int(rng.integers(len(rows) - shape.length + 1))
    before, after = order[:begin], order[begin + shape.length :]
    one_side = before if len(before) >= len(after) else after
    left = one_side if in_order else np.concatenate([before, after])
    rest = history.take(_rows(rows, left))
    chance = rng.permutation(len(history))  # one draw for all nights: windows that overlap keep the same tickets
    for night in range(shape.nights):
        first = begin + night * shape.step
        there = _rows(rows, order[first : first + shape.days])
        kept = there[np.argsort(chance[there])[: shape.tickets]]
        current = history.take(np.sort(kept))
        matched, _ = match_weekdays(rest, current, seed=seed)
        yield sample(matched, largest, seed=seed), current


def dates_of(history: Window) -> list[date]:
    """The calendar days (UTC) from the first to the last, days without tickets among them. Where more than a week has
    none, as between a validation period and the first day of service, the days close up."""
    dates: list[date] = []
    for day in sorted({time.date() for time in history.created_at}):
        gap = (day - dates[-1]).days if dates else 0
        if 1 < gap <= _BREAK:
            dates += [day - timedelta(days=back) for back in range(gap - 1, 0, -1)]
        dates.append(day)
    return dates


def days_of(history: Window) -> Days:
    """The rows of each of those days."""
    numbers = {day: number for number, day in enumerate(dates_of(history))}
    places = np.array([numbers[time.date()] for time in history.created_at], dtype=np.int64)
    return [np.flatnonzero(places == number) for number in range(len(numbers))]


def shuffled_days(history: Window, rng: np.random.Generator) -> NDArray[np.int64]:
    """Those days by number, in a new order: each keeps a place of its weekday."""
    weekdays = np.array([day.weekday() for day in dates_of(history)])
    order = np.arange(len(weekdays))
    for weekday in range(7):
        places = np.flatnonzero(weekdays == weekday)
        order[places] = rng.permutation(places)
    return order


def _rows(rows: Days, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    picked = [rows[day] for day in chosen.tolist()]
    return np.sort(np.concatenate(picked)) if picked else np.zeros(0, np.int64)
