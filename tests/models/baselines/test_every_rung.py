"""What holds for every rung: it learns what there is to learn, and nothing where there is nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest

from models.baselines import Baseline, RungData
from models.ladder.rungs import LADDER
from models.predictions import ModelInputs

LEARNING = [name for name in LADDER if name != "majority"]
Accuracy = Callable[[Baseline], float]


@pytest.mark.parametrize("name", LEARNING)
def test_a_separable_problem_is_learned_far_above_the_majority(
    name: str, tiny_rung: RungData, accuracy: Accuracy
) -> None:
    majority = accuracy(LADDER["majority"].fit(tiny_rung))
    assert majority < 0.35
    baseline = LADDER[name].fit(tiny_rung)
    assert accuracy(baseline) > 0.85
    assert 0 < baseline.megabytes < 10


@pytest.mark.parametrize("name", LEARNING)
def test_labels_dealt_at_random_teach_nothing(name: str, tiny_rung: RungData, accuracy: Accuracy) -> None:
    deal = np.random.default_rng(3)
    dealt = dataclasses.replace(
        tiny_rung,
        leaf=deal.permutation(tiny_rung.leaf),
        validation_leaf=deal.permutation(tiny_rung.validation_leaf),
    )
    chance = 0.25  # the commonest of five leaves
    assert accuracy(LADDER[name].fit(dealt)) < chance + 4 * math.sqrt(chance * (1 - chance) / 200)


@pytest.mark.parametrize("name", LADDER)
def test_no_ticket_gives_no_rows_and_an_empty_one_a_guess(name: str, tiny_rung: RungData) -> None:
    baseline = LADDER[name].fit(tiny_rung)
    assert baseline.predict(ModelInputs([], [])).shape == (0, 5)
    guess = baseline.predict(ModelInputs([""], tiny_rung.inputs.rows[:1]))
    assert guess.sum() == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("name", LADDER)
def test_the_same_seed_gives_the_same_answers(name: str, tiny_rung: RungData) -> None:
    unseen = ModelInputs(tiny_rung.validation.texts[:20], tiny_rung.validation.rows[:20])
    first, second = (LADDER[name].fit(tiny_rung).predict(unseen) for _ in range(2))
    assert np.allclose(first, second, atol=1e-4)


@pytest.mark.parametrize("name", LADDER)
def test_a_leaf_without_training_tickets_stays_among_the_candidates(name: str, tiny_rung: RungData) -> None:
    """Nothing was learned of it, and its column is there."""
    kept = tiny_rung.leaf != 2
    inputs = ModelInputs(
        [text for text, keep in zip(tiny_rung.inputs.texts, kept, strict=True) if keep],
        [row for row, keep in zip(tiny_rung.inputs.rows, kept, strict=True) if keep],
    )
    baseline = LADDER[name].fit(dataclasses.replace(tiny_rung, inputs=inputs, leaf=tiny_rung.leaf[kept]))
    shares = baseline.predict(tiny_rung.validation)
    assert shares.shape == (60, 5)
    assert shares[:, 2].mean() < 0.2
