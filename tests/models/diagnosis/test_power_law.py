"""The power law is found again in numbers that were made from one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.diagnosis.power_law import PowerLaw, fit_power_law

SIZES = np.array([200, 320, 512, 819, 1311, 2097, 3355, 5369], np.int64)


@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 4.0, 0.5), (0.0, 2.0, 0.25), (0.3, 30.0, 0.9), (0.05, 1.5, 0.2)])
def test_a_law_is_recovered_from_its_own_numbers(a: float, b: float, c: float) -> None:
    true = PowerLaw(a=a, b=b, c=c)
    found = fit_power_law(SIZES, np.array([true.error_at(size) for size in SIZES]))
    assert found.a == pytest.approx(a, abs=0.003)
    assert found.c == pytest.approx(c, rel=0.02)
    assert found.error_at(50_000) == pytest.approx(true.error_at(50_000), abs=0.001)


def test_noise_of_a_point_moves_the_curve_by_little_nearby() -> None:
    true = PowerLaw(a=0.12, b=5.0, c=0.5)
    exact = np.array([true.error_at(size) for size in SIZES])
    random = np.random.default_rng(4)
    ahead = [fit_power_law(SIZES, exact + random.normal(0, 0.005, 8)).error_at(10_738) for _ in range(50)]
    assert np.abs(np.array(ahead) - true.error_at(10_738)).max() < 0.03
    assert np.mean(ahead) == pytest.approx(true.error_at(10_738), abs=0.006)


def test_points_count_by_how_sure_they_are() -> None:
    errors = np.array([PowerLaw(a=0.2, b=4.0, c=0.5).error_at(size) for size in SIZES])
    errors[0] += 0.2
    unsure = np.where(np.arange(8) == 0, 10.0, 0.001)
    assert fit_power_law(SIZES, errors, deviations=unsure).a == pytest.approx(0.2, abs=0.005)
    assert fit_power_law(SIZES, errors).c > 0.6


def test_a_flat_line_stays_flat() -> None:
    assert fit_power_law(SIZES, np.full(8, 0.25)).error_at(100_000) == pytest.approx(0.25, abs=0.005)


def test_the_tickets_for_an_error_are_those_that_have_it() -> None:
    law = PowerLaw(a=0.1, b=4.0, c=0.5)
    assert law.error_at(law.tickets_for(0.15)) == pytest.approx(0.15)
    assert law.tickets_for(0.1) == math.inf
    assert law.tickets_for(0.05) == math.inf
    assert PowerLaw(a=0.1, b=0.0, c=0.5).tickets_for(0.2) == 0
    assert PowerLaw(a=0.0, b=1.0, c=0.02).tickets_for(1e-12) == math.inf


def test_three_sizes_are_too_few() -> None:
    with pytest.raises(ValueError, match="4 or more"):
        fit_power_law(SIZES[:3], np.array([0.5, 0.4, 0.3]))
