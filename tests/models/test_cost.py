"""Replicas follow the busiest minute, and the break-even month is the first in which buying has not cost more."""

from __future__ import annotations

import pytest

from models.cost import HOURS_A_MONTH, Load, Owned, Rented, break_even_month, hours, replicas
from tickets.errors import InputError

LOAD = Load(tickets_a_day=36_000, peak_hour_share=0.1, burst=3.0)  # three a second in the busiest minute
OWNED = Owned(purchase=1_000, life_months=36, watts=1_000 / HOURS_A_MONTH, kwh_price=20, upkeep_a_month=30)


def test_capacity_is_planned_for_the_busiest_minute() -> None:
    assert LOAD.peak_per_second == pytest.approx(3.0)
    assert replicas(LOAD, per_second=1.0, headroom=0.0, spare=0) == 3
    assert replicas(LOAD, per_second=1.0, headroom=0.5, spare=0) == 6
    assert replicas(LOAD, per_second=0.9, headroom=0.0, spare=0) == 4


def test_a_quiet_team_still_gets_a_replica_that_may_fail() -> None:
    quiet = Load(tickets_a_day=10, peak_hour_share=0.2)

    assert replicas(quiet, per_second=480) == 2
    assert replicas(quiet, per_second=480, spare=0) == 1


@pytest.mark.parametrize(
    ("tickets_a_day", "slower", "expected"),
    [(10_000, 1, 2), (10_000, 6, 2), (100_000, 1, 2), (100_000, 6, 2), (1_000_000, 1, 2), (1_000_000, 6, 4)],
)
def test_replicas_are_those_of_the_capacity_page(tickets_a_day: int, slower: int, expected: int) -> None:
    load = Load(tickets_a_day=tickets_a_day, peak_hour_share=0.09, busiest_day=1.14, burst=3)

    assert replicas(load, per_second=480 / slower) == expected


def test_hours_are_units_over_a_rate() -> None:
    assert hours(7_200, per_second=2.0) == pytest.approx(1.0)


def test_a_month_of_owned_machines_is_purchase_power_and_people() -> None:
    assert OWNED.running_a_month == pytest.approx(50.0)  # 20 for a kilowatt-hour, 30 for people
    assert OWNED.a_month == pytest.approx(1_000 / 36 + 50)
    assert OWNED.spent(36) == pytest.approx(1_000 + 36 * 50)
    assert OWNED.spent(37) == pytest.approx(2_000 + 37 * 50)  # bought again


def test_a_month_of_rented_machines_is_what_always_runs_and_what_runs_for_a_job() -> None:
    rented = Rented(always=2, hour_price=0.1, job_hours=10, job_hour_price=3, upkeep_a_month=5)

    assert rented.a_month == pytest.approx(2 * HOURS_A_MONTH * 0.1 + 30 + 5)
    assert rented.spent(3) == pytest.approx(3 * rented.a_month)


@pytest.mark.parametrize("a_month", [80.0, 100.0, 150.0, 2_000.0])
def test_buying_has_paid_for_itself_from_the_break_even_month_on(a_month: float) -> None:
    rented = Rented(always=0, hour_price=0, upkeep_a_month=a_month)

    month = break_even_month(OWNED, rented)

    assert month is not None
    assert OWNED.spent(month) <= rented.spent(month)
    assert month == 1 or OWNED.spent(month - 1) > rented.spent(month - 1)


def test_buying_that_does_not_pay_while_the_machines_live_has_no_break_even() -> None:
    assert break_even_month(OWNED, Rented(always=0, hour_price=0, upkeep_a_month=50.0)) is None
    assert break_even_month(OWNED, Rented(always=0, hour_price=0, upkeep_a_month=70.0)) is None  # month 50 of 36


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"tickets_a_day": -1, "peak_hour_share": 0.1}, "tickets_a_day is -1"),
        ({"tickets_a_day": 1, "peak_hour_share": 0.01}, "peak_hour_share is 0.01"),
        ({"tickets_a_day": 1, "peak_hour_share": 0.1, "burst": 0.5}, "burst is 0.5"),
    ],
)
def test_a_load_that_cannot_be_is_refused(wrong: dict[str, float], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Load(**wrong)


def test_rates_and_headrooms_that_cannot_be_are_refused() -> None:
    for wrong in ({"per_second": 0.0}, {"per_second": 1.0, "headroom": 1.0}, {"per_second": 1.0, "spare": -1}):
        with pytest.raises(InputError, match="spare replicas were given"):
            replicas(LOAD, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be above 0"):
        hours(1, per_second=0)
    with pytest.raises(InputError, match="life_months is 0"):
        Owned(purchase=1, life_months=0, watts=0, kwh_price=0, upkeep_a_month=0)
