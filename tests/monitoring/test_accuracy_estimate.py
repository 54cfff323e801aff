"""Accuracy without labels: right where calibration holds, `unknown` with its reason where it may not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.release import Release
from monitoring.accuracy_estimate import accuracy_result, estimate_accuracy, estimated
from monitoring.windows import Window, read_reference, sample


def with_accuracy(window: Window, rng: np.random.Generator, probability: np.ndarray) -> Window:
    """The window with calibrated probabilities, and true types drawn from them."""
    right = rng.random(len(window)) < probability
    types = tuple(kind if yes else "other" for kind, yes in zip(window.predicted, right, strict=True))
    return replace(window, probability=probability, contact_types=types)


def test_the_estimate_follows_confidence_where_calibration_holds(release: Release) -> None:
    rng = np.random.default_rng(4)
    window = read_reference(release)
    covered, errors = 0, []
    for _ in range(40):
        reference = with_accuracy(window, rng, rng.beta(8, 2, len(window)))
        current = with_accuracy(window, rng, rng.beta(7.8, 2.2, len(window)))
        told = estimate_accuracy(reference, current, least=50)
        assert told.estimate is not None
        truth = float(current.correct.mean())
        errors.append(abs(told.estimate.share - truth))
        covered += told.estimate.low <= truth <= told.estimate.high
    assert np.median(errors) < 0.03
    assert covered >= 36


def test_quiet_windows_show_a_loss_as_seldom_as_promised(release: Release) -> None:
    rng = np.random.default_rng(5)
    window = read_reference(release)
    sure = 0
    for _ in range(60):
        reference, current = (with_accuracy(window, rng, rng.beta(8, 2, len(window))) for _ in range(2))
        p_value = estimate_accuracy(reference, current, least=50).p_value
        sure += p_value is not None and p_value <= 0.05
    assert sure <= 9  # 60 tests at 5 %: more than nine have a chance of one in a thousand


def test_a_window_of_ten_is_unknown_and_says_why(release: Release) -> None:
    window = read_reference(release)
    told = estimate_accuracy(window, sample(window, 10, seed=0), least=50)
    assert told.estimate is None
    assert told.unknown == "needs 50 tickets in both windows"


def test_tickets_out_of_scope_make_it_unknown(release: Release) -> None:
    window = read_reference(release)
    strange = np.where(np.arange(len(window)) % 5 == 0, 0.9, window.out_of_scope)
    told = estimate_accuracy(window, replace(window, out_of_scope=strange), least=50)
    assert told.estimate is None
    assert "lie outside what the model learned" in str(told.unknown)


def test_tickets_that_read_otherwise_make_it_unknown_and_another_mix_does_not(release: Release) -> None:
    window = read_reference(release)
    rng = np.random.default_rng(6)
    unlike = replace(
        window, embeddings=window.embeddings + np.float32(0.3) * np.eye(1, window.embeddings.shape[1], dtype=np.float32)
    )
    assert "differ too far" in str(estimate_accuracy(window, unlike, least=50).unknown)
    refunds = np.array([kind == "refund" for kind in window.predicted])
    mixed = window.take(np.sort(rng.choice(len(window), 400, p=(1 + 3 * refunds) / (1 + 3 * refunds).sum())))
    assert estimate_accuracy(window, mixed, least=50).unknown is None


def test_the_result_keeps_the_estimate_or_the_reason(release: Release) -> None:
    window = read_reference(release)
    told = estimate_accuracy(window, sample(window, 300, seed=1), least=50)
    kept, reason = estimated([accuracy_result(told)])
    assert (kept, reason) == (told.estimate, None)
    few = accuracy_result(estimate_accuracy(window, sample(window, 10, seed=1), least=50))
    assert few.status == "unknown"
    assert estimated([few]) == (None, "needs 50 tickets in both windows")


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_one_probability_for_all_is_no_crash(release: Release, probability: float) -> None:
    window = read_reference(release)
    constant = replace(window, probability=np.full(len(window), probability))
    told = estimate_accuracy(constant, constant, least=50)
    assert told.estimate is not None
    assert told.estimate.share == pytest.approx(window.correct.mean(), abs=0.01)
