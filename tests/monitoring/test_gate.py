"""The gate: a challenger must win with confidence, and lose nothing that the guards watch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from monitoring.gate import GatePolicy, GateResult, compare


@dataclass(frozen=True)
class Answered:
    """n answers: first where `correct`, else fourth; as sure as they are right; each sent template found first."""

    truth: list[str]
    correct: NDArray[np.bool_]
    ticket_ids: list[str] = field(default_factory=list)
    among_3: NDArray[np.bool_] | None = None
    sure: float | None = None
    template_found: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def ranks(self) -> NDArray[np.int64]:
        missed = 4 if self.among_3 is None else np.where(self.among_3, 3, 4)
        return np.where(self.correct, 1, missed).astype(np.int64)

    @property
    def probability(self) -> NDArray[np.float32]:
        sure = float(self.correct.mean()) if self.sure is None else self.sure
        return np.full(len(self.truth), sure, np.float32)


def answered(truth: list[str], correct: NDArray[np.bool_]) -> Answered:
    ids = [str(number) for number in range(len(truth))]
    return Answered(truth, correct, ids, template_found=np.ones(len(truth)))


def gate(
    truth: list[str], champion: NDArray[np.bool_], challenger: NDArray[np.bool_], policy: GatePolicy | None = None
) -> GateResult:
    return compare(answered(truth, champion), answered(truth, challenger), policy)


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


def test_the_rare_types_are_guarded_together() -> None:
    truth = ["refund"] * 900 + [f"rare {number // 10}" for number in range(200)]
    champion, challenger = np.r_[right(0.6, 900), right(0.9, 200)], np.r_[right(0.8, 900), right(0.6, 200)]
    result = gate(truth, champion, challenger)
    assert result.figures["lost_types"] == []
    assert not result.promote
    assert "rare contact types together: 60.0% against 90.0% of 200 tickets" in result.reasons[0]


def test_a_winner_that_shows_the_right_type_less_often_among_three_is_refused() -> None:
    champion = replace(answered(["a"] * 500, right(0.7, 500)), among_3=right(0.95, 500))
    challenger = replace(answered(["a"] * 500, right(0.8, 500)), among_3=right(0.88, 500))
    result = compare(champion, challenger)
    assert (result.figures["champion_hits@3"], result.figures["challenger_hits@3"]) == pytest.approx((0.95, 0.88))
    assert not result.promote
    assert "among three" in result.reasons[0]
    assert compare(champion, challenger, GatePolicy(hits_loss=0.1)).promote


def test_a_winner_that_finds_the_templates_later_is_refused() -> None:
    found = np.where(np.arange(500) < 300, 1.0, np.nan)  # a template was sent for 300 of the tickets
    champion = replace(answered(["a"] * 500, right(0.7, 500)), template_found=found)
    challenger = replace(answered(["a"] * 500, right(0.8, 500)), template_found=np.where(found == 1, 0.5, np.nan))
    result = compare(champion, challenger)
    assert result.figures["template_tickets"] == 300
    assert not result.promote
    assert "reciprocal rank 0.500 against 1.000" in result.reasons[0]
    assert compare(champion, replace(challenger, template_found=found)).promote


def test_without_templates_sent_there_is_nothing_to_guard() -> None:
    none = np.full(500, np.nan)
    champion = replace(answered(["a"] * 500, right(0.7, 500)), template_found=none)
    result = compare(champion, replace(answered(["a"] * 500, right(0.8, 500)), template_found=none))
    assert result.promote
    assert result.figures["template_tickets"] == 0


def test_a_winner_whose_probabilities_lie_is_refused() -> None:
    champion = answered(["a"] * 500, right(0.7, 500))
    challenger = replace(answered(["a"] * 500, right(0.8, 500)), sure=0.99)
    result = compare(champion, challenger)
    assert result.figures["challenger_ece"] == pytest.approx(0.19, abs=0.01)
    assert not result.promote
    assert "less honest" in result.reasons[0]


def test_a_window_too_small_was_not_judged_and_a_lost_one_was() -> None:
    assert not gate(["a"] * 10, right(0, 10), right(1, 10)).judged
    assert gate(["a"] * 500, right(0.7, 500), right(0.6, 500)).judged


def test_the_guards_let_a_better_model_pass_and_stop_one_that_lost_a_type() -> None:
    """Of fifty types, each by itself: better by 10 points everywhere, and the same but for one that lost 40."""
    truth = [f"type {number}" for number in range(50) for _ in range(40)]
    better, spoiled = [], []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        hard = rng.random((50, 40))
        own = np.where(rng.random((50, 40)) < 0.4, rng.random((50, 40)), hard)
        good = np.full((50, 1), 0.85)
        bad = good.copy()
        bad[0] = 0.35
        champion = (hard < 0.75).ravel()
        better.append(gate(truth, champion, (own < good).ravel()).promote)
        spoiled.append(gate(truth, champion, (own < bad).ravel()).promote)
    assert sum(better) >= 26
    assert sum(spoiled) <= 1
