"""The bend of the first probability: honest, monotone, and never changing the order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.confidence.logistic import sigmoid
from models.confidence.reliability import Bend, bent, expected_calibration_error, fit_bend

KNOTS = (-2.0, -0.5, 0.5, 1.5, 3.0, 5.0)


def modest_in_the_middle(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """First probabilities that are fair at both ends; of those around 0.7 nine in ten are right."""
    rng = np.random.default_rng(seed)
    odds = rng.uniform(-2.0, 5.0, count)
    truth = odds + 1.4 * np.exp(-(((odds - 0.9) / 1.3) ** 2))
    return sigmoid(odds), rng.random(count) < sigmoid(truth)


def test_modesty_in_the_middle_is_bent_away_on_other_tickets():
    bend = fit_bend(*modest_in_the_middle(1500, 0))
    first, right = modest_in_the_middle(6000, 1)
    assert expected_calibration_error(first, right) > 0.05
    assert expected_calibration_error(bend(first), right) < 0.03
    assert bend(np.array([0.7]))[0] > 0.85


def test_honest_probabilities_are_bent_hardly_or_not_at_all():
    rng = np.random.default_rng(5)
    first = rng.uniform(0.2, 0.99, 1500)
    bend = fit_bend(first, rng.random(1500) < first)
    assert np.abs(bend(first) - first).max() < 0.05


def test_too_few_tickets_bend_nothing():
    assert fit_bend(*modest_in_the_middle(150, 0)) == Bend()


def test_a_likelier_first_leaf_is_never_less_honest():
    rng = np.random.default_rng(7)
    first = rng.uniform(0.2, 0.99, 2000)
    bend = fit_bend(first, rng.random(2000) < 1.2 - first)  # the more sure, the less right
    assert np.all(np.diff(bend(np.linspace(0.0, 1.0, 200))) >= -1e-12)


@given(
    arrays(np.float64, (4, 5), elements=st.floats(0.0, 1.0)),
    st.lists(st.floats(-4.0, 4.0), min_size=6, max_size=6),
)
def test_bent_probabilities_sum_to_one_and_keep_their_order(raw: np.ndarray, added: list[float]):
    plain = (raw + 1e-4) / (raw + 1e-4).sum(axis=1, keepdims=True)
    found = bent(plain, Bend(knots=KNOTS, added=tuple(added)))
    assert found.sum(axis=1) == pytest.approx(np.ones(4))
    assert np.all(found >= 0)
    for before, after in zip(plain, found, strict=True):
        order = np.argsort(-before, kind="stable")
        assert np.all(np.diff(after[order]) <= 1e-9)


def test_a_leaf_that_has_it_all_can_be_doubted():
    found = bent(np.array([[1.0, 0.0, 0.0]]), Bend(knots=KNOTS, added=(0.0, 0.0, 0.0, 0.0, 0.0, -9.0)))
    assert found.sum() == pytest.approx(1.0)
    assert 0.5 < found[0, 0] < 0.999
    assert found[0, 1] == pytest.approx(found[0, 2])


def test_calibration_error_of_perfect_and_of_hopeless_confidence():
    sure = np.ones(10, np.float32)
    assert expected_calibration_error(sure, np.ones(10, bool)) == 0.0
    assert expected_calibration_error(sure, np.zeros(10, bool)) == 1.0
