"""The gate: a challenger must win with confidence, and on no large contact type lose."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from monitoring.gate import GateResult, compare


@dataclass(frozen=True)
class Answered:
    truth: list[str]
    correct: NDArray[np.bool_]
    ticket_ids: list[str] = field(default_factory=list)


def gate(truth: list[str], champion: NDArray[np.bool_], challenger: NDArray[np.bool_]) -> GateResult:
    ids = [str(number) for number in range(len(truth))]
    return compare(Answered(truth, champion, ids), Answered(truth, challenger, ids))


def right(share: float, count: int) -> NDArray[np.bool_]:
    """Exactly `share` of `count` right, the first ones."""
    return np.arange(count) < round(share * count)


def test_a_clear_winner_passes_with_its_figures() -> None:
    result = gate(["a"] * 500, right(0.70, 500), right(0.80, 500))
    assert result.promote
    assert result.figures["difference"] == pytest.approx(0.1)
    assert 0.05 < result.figures["difference_low"] < 0.1 < result.figures["difference_high"] < 0.15


def test_an_equal_or_worse_challenger_is_refused() -> None:
    equal = gate(["a"] * 500, right(0.7, 500), right(0.7, 500))
    worse = gate(["a"] * 500, right(0.7, 500), right(0.6, 500))
    assert not equal.promote
    assert not worse.promote
    assert "does not win" in worse.reasons[0]


def test_a_win_that_chance_could_give_is_refused() -> None:
    result = gate(["a"] * 300, right(0.7, 300), right(0.71, 300))
    assert not result.promote
    assert "chance" in result.reasons[0]


def test_a_challenger_better_on_average_and_much_worse_on_one_large_type_is_refused() -> None:
    truth = ["refund"] * 900 + ["login"] * 100
    champion = np.r_[right(0.6, 900), right(0.9, 100)]
    challenger = np.r_[right(0.8, 900), right(0.5, 100)]
    result = gate(truth, champion, challenger)
    assert result.figures["difference"] > 0.1
    assert not result.promote
    assert result.figures["lost_types"][0]["contact_type"] == "login"
    assert "login" in result.reasons[0]


def test_a_loss_on_a_small_type_does_not_stop_a_winner() -> None:
    truth = ["refund"] * 900 + ["rare"] * 10
    champion, challenger = np.r_[right(0.6, 900), right(1, 10)], np.r_[right(0.8, 900), right(0, 10)]
    assert gate(truth, champion, challenger).promote


def test_a_window_too_small_to_tell_is_refused() -> None:
    result = gate(["a"] * 10, right(0, 10), right(1, 10))
    assert not result.promote
    assert "needed" in result.reasons[0]


def test_equal_models_pass_seldom() -> None:
    rng = np.random.default_rng(2)
    passed = sum(gate(["a"] * 400, rng.random(400) < 0.7, rng.random(400) < 0.7).promote for _ in range(100))
    assert passed <= 12  # 5 % promised


def test_answers_on_different_tickets_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different tickets"):
        compare(Answered(["a"], right(1, 1), ["1"]), Answered(["a"], right(1, 1), ["2"]))
