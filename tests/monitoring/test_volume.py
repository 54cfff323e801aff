"""Tickets a day: quiet on usual weeks and holidays, awake when more or fewer come, unknown without a past."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from monitoring.current import days_needed
from monitoring.detectors import volume
from tickets.monitor_log import DetectorResult

RUNS = 100
NOMINAL = 0.05
# 100 tests at 5 %: more than 12 false alarms has a chance of one in a thousand.
AT_MOST = 12


def _days(rng: np.random.Generator, first: date, count: int, *, factor: float = 1.0) -> dict[date, int]:
    """A weekly rhythm with half the traffic on weekends."""
    days = [first + timedelta(days=n) for n in range(count)]
    return {day: int(rng.poisson(factor * (50 if day.weekday() >= 5 else 100))) for day in days}


def test_volume_knows_the_weekly_rhythm() -> None:
    rng = np.random.default_rng(8)
    monday = date(2026, 3, 2)
    weekend = monday + timedelta(days=33)
    quiet = [volume.volume(_days(rng, monday, 28), _days(rng, weekend, 2)) for _ in range(RUNS)]
    assert sum(result.p_value is not None and result.p_value <= NOMINAL for result in quiet) <= AT_MOST
    burst = volume.volume(_days(rng, monday, 28), _days(rng, monday + timedelta(days=28), 7, factor=1.5))
    assert burst.p_value is not None
    assert burst.p_value < 0.001
    assert burst.statistic == pytest.approx(0.5, abs=0.15)


def _usual(first: date, count: int) -> dict[date, int]:
    return {first + timedelta(days=n): 50 if (first + timedelta(days=n)).weekday() >= 5 else 100 for n in range(count)}


def test_a_holiday_week_is_no_drift_and_its_days_are_named() -> None:
    monday = date(2026, 11, 23)
    christmas = _usual(date(2026, 12, 21), 7) | {date(2026, 12, 24): 8, date(2026, 12, 25): 3, date(2026, 12, 26): 5}
    result = volume.volume(_usual(monday, 28), christmas)
    assert result.statistic == pytest.approx(0.0, abs=0.01)
    assert result.details["quiet_days"] == ["2026-12-24", "2026-12-25", "2026-12-26"]
    after = volume.volume(_usual(monday + timedelta(days=7), 21) | christmas, _usual(date(2026, 12, 28), 7))
    assert after.statistic == pytest.approx(0.0, abs=0.01)  # nor does the week after look like a rush


def test_a_feed_that_is_broken_for_most_of_a_week_is_no_holiday() -> None:
    monday = date(2026, 3, 30)
    broken = _usual(monday, 7) | {monday + timedelta(days=n): 0 for n in range(4)}
    result = volume.volume(_usual(monday - timedelta(days=28), 28), broken)
    assert "quiet_days" not in result.details
    assert result.statistic == pytest.approx(400 / 600)
    assert result.p_value is not None
    assert result.p_value < 1e-6


@pytest.mark.parametrize("first", range(8))
def test_holidays_are_left_out_wherever_they_lie_in_a_window_of_ten_days(first: int) -> None:
    monday = date(2026, 3, 2)
    start = monday + timedelta(days=28)
    holidays = [start + timedelta(days=first + place) for place in range(2)]
    result = volume.volume(_usual(monday, 28), _usual(start, 10) | dict.fromkeys(holidays, 4))
    assert result.details["quiet_days"] == [day.isoformat() for day in holidays]
    assert result.statistic == pytest.approx(0.0, abs=0.01)


def _nights(changed: dict[date, int], nights: int, *, a_day: int = 1000) -> list[DetectorResult]:
    """What volume says night by night, where a thousand tickets a day (fewer on Sundays) make windows of a day or two.
    The first night is that of December 24."""
    first = date(2026, 11, 23)
    daily = {first + timedelta(days=n): round(a_day * (0.4 if n % 7 == 6 else 1 + 0.007 * (n % 5))) for n in range(31)}
    for night in range(nights):
        day = date(2026, 12, 24) + timedelta(days=night)
        daily[day] = changed.get(day, round(a_day * (0.4 if day.weekday() == 6 else 1)))
    results = []
    for night in range(nights):
        as_of = date(2026, 12, 24) + timedelta(days=night)
        start = as_of - timedelta(days=days_needed(daily, as_of, tickets=500, most=7) - 1)
        results.append(
            volume.volume(
                {day: count for day, count in daily.items() if day < start},
                {day: count for day, count in daily.items() if start <= day <= as_of},
            )
        )
    return results


def _moved(result: DetectorResult) -> bool:
    """By 30 % or more, and not by chance."""
    if result.statistic is None or result.p_value is None:
        return False
    return result.statistic >= 0.3 and result.p_value <= 0.0005


def _nights_of_change(changed: dict[date, int], nights: int, *, a_day: int = 1000) -> list[int]:
    """Of those nights the ones on which volume moved; night 1 is that of December 24."""
    return [number for number, night in enumerate(_nights(changed, nights, a_day=a_day), start=1) if _moved(night)]


def test_holidays_are_no_drift_where_a_day_brings_tickets_enough() -> None:
    quiet = {24: 80, 25: 30, 26: 50, 31: 300}
    holidays = {date(2026, 12, day): count for day, count in quiet.items()} | {date(2027, 1, 1): 60}
    assert _nights_of_change(holidays, 12) == []


@pytest.mark.parametrize(
    ("tickets", "nights"),
    [(0, [1, 2]), (200, [4, 5]), (600, [1, 2]), (2000, [1, 2])],
    ids=["nothing comes", "a fifth comes", "three fifths come", "twice as many come"],
)
def test_a_change_that_lasts_is_seen_on_two_nights_running(tickets: int, nights: list[int]) -> None:
    """A dead intake, a flood and a moderate fall at once; a deep one when it has outlasted holidays."""
    lasting = {date(2026, 12, 24) + timedelta(days=n): tickets for n in range(5)}
    assert _nights_of_change(lasting, 5)[:2] == nights


def _silence(nights: int) -> dict[date, int]:
    return {date(2026, 12, 24) + timedelta(days=night): 0 for night in range(nights)}


@pytest.mark.parametrize("a_day", [360, 700, 790])
def test_a_dead_intake_is_seen_at_once_where_some_hundred_tickets_come_a_day(a_day: int) -> None:
    assert _nights_of_change(_silence(3), 3, a_day=a_day)[:2] == [1, 2]


def test_a_dead_intake_is_never_called_usual_where_fewer_tickets_come() -> None:
    nights = _nights(_silence(6), 6, a_day=300)
    assert [night.status for night in nights[:3]] == ["unknown"] * 3  # it may be a holiday yet
    assert all("quiet_days" in night.details for night in nights[:3])
    assert _nights_of_change(_silence(6), 6, a_day=300)[:2] == [4, 5]


@pytest.mark.parametrize("on_weekends", [0, 10])
def test_a_dead_intake_is_never_called_usual_on_weekends_on_which_hardly_anything_comes(on_weekends: int) -> None:
    def workdays(first: date, count: int, a_day: int) -> dict[date, int]:
        days = [first + timedelta(days=n) for n in range(count)]
        return {day: a_day and (on_weekends if day.weekday() >= 5 else a_day) for day in days}

    monday = date(2026, 3, 2)
    dead_from = monday + timedelta(days=31)  # a Thursday
    daily = workdays(monday, 31, 200) | workdays(dead_from, 7, 0)
    said = []
    for night in (dead_from + timedelta(days=n) for n in range(7)):
        start = night - timedelta(days=6)
        history = {day: count for day, count in daily.items() if day < start}
        said.append(volume.volume(history, {day: count for day, count in daily.items() if start <= day <= night}))
    assert [result.status for result in said[:4]] == ["unknown"] * 4  # Thursday to Sunday: a holiday and a weekend
    assert _moved(said[5])
    assert all(result.status == "unknown" or _moved(result) for result in said)


def test_a_window_of_one_holiday_alone_is_unknown() -> None:
    monday = date(2026, 3, 2)
    history = {monday + timedelta(days=n): 5000 for n in range(28)}
    result = volume.volume(history, {monday + timedelta(days=28): 900})
    assert result.status == "unknown"
    assert result.details["quiet_days"] == ["2026-03-30"]


def test_few_tickets_a_day_have_no_holidays_by_chance() -> None:
    rng = np.random.default_rng(9)
    monday = date(2026, 3, 2)

    def days(first: date, count: int) -> dict[date, int]:
        return {first + timedelta(days=n): int(rng.poisson(3)) for n in range(count)}

    quiet = [volume.volume(days(monday, 28), days(monday + timedelta(days=28), 7)) for _ in range(RUNS)]
    assert sum(result.p_value is not None and result.p_value <= NOMINAL for result in quiet) <= AT_MOST


@pytest.mark.parametrize(
    ("history", "current"),
    [
        ({}, {}),
        ({date(2026, 3, 2) + timedelta(days=n): 9 for n in range(10)}, {date(2026, 3, 12): 5}),  # a fresh tenant
        ({}, {date(2026, 3, 2): 5}),
        ({date(2026, 1, 1) + timedelta(days=n): 0 for n in range(28)}, {date(2026, 3, 2): 5}),
    ],
)
def test_volume_without_a_past_is_unknown(history: dict[date, int], current: dict[date, int]) -> None:
    assert volume.volume(history, current).status == "unknown"
