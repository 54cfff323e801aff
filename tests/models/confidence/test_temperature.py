"""Temperatures, on logits whose right temperature is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.confidence.reliability import expected_calibration_error
from models.confidence.temperature import fit_temperature, fit_temperatures


def overconfident(count: int, classes: int, *, factor: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose truths were drawn from softmax(logits), then multiplied: their right temperature is `factor`."""
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(count, classes)) * 1.5
    shares = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    truth = (shares.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
    return (honest * factor).astype(np.float32), truth


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def test_the_temperature_that_made_logits_overconfident_is_found():
    logits, truth = overconfident(4000, 8, factor=3.0)
    assert fit_temperature(logits, truth) == pytest.approx(3.0, rel=0.1)


def test_calibration_reduces_the_error_on_other_tickets():
    logits, truth = overconfident(3000, 8, factor=3.0)
    fresh, fresh_truth = overconfident(3000, 8, factor=3.0, seed=4)
    temperature = fit_temperature(logits, truth)

    def error(scores: np.ndarray) -> float:
        shares = softmax(scores)
        return expected_calibration_error(shares.max(axis=1), shares.argmax(axis=1) == fresh_truth)

    assert error(fresh) > 0.15
    assert error(fresh / temperature) < 0.04


def test_each_level_gets_its_own_temperature():
    top, top_truth = overconfident(2000, 3, factor=2.0)
    low, low_truth = overconfident(2000, 4, factor=5.0, seed=9)
    logits = np.concatenate([top, low], axis=1)
    siblings = np.array([0, 0, 0, 1, 1, 1, 1])  # four children of one of the three
    paths = np.stack([top_truth, low_truth + 3], axis=1)
    temperatures = fit_temperatures(logits, paths, siblings)
    assert temperatures == pytest.approx((2.0, 5.0), rel=0.15)


def test_only_siblings_of_the_true_node_and_only_active_ones_count():
    logits, truth = overconfident(2000, 4, factor=2.0)
    others = np.random.default_rng(1).normal(size=(2000, 3)) * 50
    inactive = np.full((2000, 1), -np.inf)
    scattered = np.concatenate([others[:, :1], logits[:, :2], inactive, logits[:, 2:], others[:, 1:]], axis=1)
    siblings = np.array([0, 1, 1, 1, 1, 1, 0, 0])
    place = np.array([1, 2, 4, 5])[truth]
    (temperature,) = fit_temperatures(scattered.astype(np.float32), place[:, None], siblings)
    assert temperature == pytest.approx(fit_temperature(logits, truth), rel=1e-3)


def test_a_choice_of_one_leaves_the_temperature_alone():
    logits = np.where(np.eye(1, 4, dtype=bool), 9.0, -np.inf).repeat(50, axis=0).astype(np.float32)
    assert fit_temperature(logits, np.zeros(50, np.int64)) == 1.0
