"""Do more or fewer tickets arrive than on the same weekdays before?

Days are days of UTC, as everywhere in the log: a change of clocks moves an hour of tickets to the day beside it and
no day loses or gains one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

import numpy as np
from scipy.stats import poisson
from scipy.stats import t as student

from monitoring.detectors.sample import seen, unknown
from tickets.monitor_log import DetectorResult

NAME = "volume"
LEAST_DAYS = 14  # of history, so that each weekday was seen twice
_QUIET = 0.5  # of what its weekday foretells: a holiday, where most days of a week are as usual
_SILENT = 0.02  # and less than this is none either: people write on holidays, and nothing comes through a broken intake
_CHANCE = 0.001  # of so few tickets on a holiday
_SURELY = 4.0  # Poisson standard deviations, too: with three tickets a day, one ticket is no holiday
_WEEK = 7  # days among which holidays are few, however short the window


def volume(history: Mapping[date, int], current: Mapping[date, int], *, least_days: int = LEAST_DAYS) -> DetectorResult:
    """Tickets a day -> the change against what the weekdays foretell, as a share (0.2: a fifth more or less).

    A quasi-Poisson model: a mean for each weekday, and the spread of history around those means as the noise. A few
    days of surely less than half the usual tickets among the usual ones of a week are holidays: they are named under
    `quiet_days` and left out. A window that ends with one, or with one and a weekend on which hardly anything comes, is
    `unknown`: the days left do not tell a holiday from a broken intake.
    """
    details: dict[str, object] = {"history_days": len(history), "tickets": sum(current.values())}
    middles = {weekday: float(np.median(counts)) for weekday, counts in _by_weekday(history).items()}
    unusual = _few_low(history, middles)
    past = _by_weekday({day: count for day, count in history.items() if day not in unusual})
    freedom = sum(map(len, past.values())) - len(past)
    weekdays = {day.weekday() for day in current}
    if len(history) < least_days or freedom < 5 or not current or not weekdays <= past.keys():
        return unknown(NAME, f"needs {least_days} earlier days with every weekday among them", details)
    means = {weekday: float(np.mean(counts)) for weekday, counts in past.items()}
    if quiet := _holidays(history, current, means):
        # Of a weekday on which hardly anything comes, nobody can say whether it is quiet.
        newest = max(day for day in current if _surely_below(0, means[day.weekday()]))
        current = {day: count for day, count in current.items() if day not in quiet}
        details |= {"quiet_days": [day.isoformat() for day in quiet], "tickets": sum(current.values())}
        if newest in quiet:
            return unknown(NAME, "its newest day is a holiday, or the intake broke", details)
    days = {weekday: sum(day.weekday() == weekday for day in current) for weekday in weekdays}
    expected = sum(means[weekday] * count for weekday, count in days.items())
    if expected == 0:
        return unknown(NAME, "no ticket came on these weekdays before", details)
    dispersion = _dispersion(past, means, freedom)
    variance = dispersion * sum(
        count * means[weekday] + count**2 * means[weekday] / len(past[weekday]) for weekday, count in days.items()
    )
    change = sum(current.values()) - expected
    p_value = float(2 * student.sf(abs(change) / np.sqrt(variance), freedom))
    return seen(NAME, abs(change) / expected, p_value, {**details, "expected": expected, "dispersion": dispersion})


def _by_weekday(days: Mapping[date, int]) -> dict[int, list[int]]:
    counts: dict[int, list[int]] = {}
    for day, count in days.items():
        counts.setdefault(day.weekday(), []).append(count)
    return counts


def _holidays(history: Mapping[date, int], current: Mapping[date, int], usual: Mapping[int, float]) -> list[date]:
    """Days of the window that are holidays. The week up to its end tells, or a longer window itself: of a window of one
    or two days, a holiday is easily half."""
    known = {day: count for day, count in {**history, **current}.items() if day.weekday() in usual}
    week = {day: known[day] for day in sorted(known)[-max(_WEEK, len(current)) :]}
    return [
        day
        for day in _few_low(week, usual)
        if day in current and poisson.cdf(known[day], _SILENT * usual[day.weekday()]) > _CHANCE
    ]


def _few_low(days: Mapping[date, int], usual: Mapping[int, float]) -> list[date]:
    """Days surely far below their weekday, when fewer than half of all are."""
    low = []
    for day, count in days.items():
        expected = usual[day.weekday()]
        if count < _QUIET * expected and _surely_below(count, expected):
            low.append(day)
    return sorted(low) if len(low) < len(days) / 2 else []


def _surely_below(count: int, expected: float) -> bool:
    return count < expected - _SURELY * math.sqrt(expected)


def _dispersion(past: Mapping[int, list[int]], means: Mapping[int, float], freedom: int) -> float:
    """How many times more than a Poisson's days spread around their weekday's mean (Pearson); at least 1."""
    pearson = sum(
        (count - means[weekday]) ** 2 / means[weekday]
        for weekday, counts in past.items()
        if means[weekday] > 0
        for count in counts
    )
    return max(1.0, pearson / freedom)
