"""What the quality bench does to its data before training: what it hides stays hidden, what it tells holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.batches import NONE
from models.training.data import TrainingData

Load = Callable[..., TrainingData]
pytestmark = pytest.mark.usefixtures("bench_folder")


def test_templates_that_are_taken_away_are_in_no_training_ticket_and_still_asked_of_test_tickets(
    load_tiny: Load,
) -> None:
    import replies

    data = load_tiny()
    unseen = replies.unseen_templates(data, 2, seed=0)
    without = replies.without_templates(data, unseen)
    for part in (without.train, without.validation):
        assert not np.isin(part.template, unseen).any()
        assert not np.isin(part.negatives, unseen).any()
    assert np.isin(data.train.template, unseen).any()
    assert np.isin(without.test.template, unseen).any()
    assert len(without.train) == len(data.train)  # their contact types are still learned


def test_tickets_are_told_apart_by_language_in_the_order_of_those_that_were_answered(
    load_tiny: Load, put_features: Any, make_row: Any
) -> None:
    import replies

    rows = [make_row(n, "late", "late", language="de" if n % 3 else "en") for n in range(300, 330)]
    put_features("test", [{**row, "template_id": None} if n % 5 == 0 else row for n, row in enumerate(rows)])
    data = load_tiny()
    english = replies.in_language(data, "en")
    assert len(english) == int((data.test.template != NONE).sum()) == 24
    assert english.sum() == sum(row["language"] == "en" for n, row in enumerate(rows) if n % 5)


def test_intents_that_are_held_out_are_drawn_by_the_seed() -> None:
    import banking77

    rows = [("text", f"intent {number % 9}") for number in range(90)]
    drawn = [banking77.held_out_intents(rows, 3, seed=seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    few, rest = banking77.drawn(rows, 4, seed=0)
    assert len(few) == 36
    assert len(rest) == 54


def test_a_model_that_is_told_the_mix_of_the_last_weeks_expects_what_is_asked_now(
    load_tiny: Load, put_features: Any, make_row: Any
) -> None:
    import complaints

    then = [make_row(n, "late" if n % 4 else "lost", "late") for n in range(1_500)]
    now = [make_row(n, "lost" if n % 4 else "late", "late") for n in range(1_500, 3_000)]
    put_features("train", [*then, *now])
    data = load_tiny()
    names = [data.index.ids[leaf] for leaf in data.index.leaves]
    late, lost = names.index("late"), names.index("lost")
    even = np.zeros((1, len(names)), np.float32)
    even[0, [late, lost]] = 0.5
    mixed = complaints.with_mix(data, even)
    assert mixed.sum() == pytest.approx(1.0, abs=1e-5)
    assert mixed[0, lost] == pytest.approx(0.75, abs=0.03)
