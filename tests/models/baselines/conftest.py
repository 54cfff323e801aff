"""Tiny tickets for rungs: a word gives each leaf away, and some tickets end in an inner node."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.baselines import Baseline, RungData
from models.ladder.rungs import rung_data
from models.predictions import inputs_of
from models.training.data import TrainingData

SIZES = {"train": (150, 0), "validation": (60, 300), "test": (200, 600)}  # tickets, and the number of the first


@pytest.fixture
def tiny_data(load_tiny: Callable[..., TrainingData], put_features: Any, make_row: Any) -> TrainingData:
    """Each split with tickets of all five leaves, and ten of the inner node `payments` at its end."""
    words = {"refund": "refund", "invoice": "bill", "late": "waiting", "lost": "missing", "broken": "damaged"}
    noise = ["hello", "please", "my", "the", "order", "is", "today", "thanks", "again", "account"]
    for split, (count, first) in SIZES.items():
        deal = random.Random(first)
        rows = []
        for number in range(first, first + count):
            leaf = deal.choice(sorted(words))
            text = [words[leaf], *deal.choices(noise, k=deal.randint(2, 6))]
            deal.shuffle(text)
            rows.append(make_row(number, leaf, " ".join(text)))
        rows += [make_row(first + count + n, "payments", "pay the account", template_id=None) for n in range(10)]
        put_features(split, rows)
    return load_tiny()


@pytest.fixture
def tiny_rung(tiny_data: TrainingData, tiny_config: Any) -> RungData:
    return rung_data(tiny_data, tiny_config)


@pytest.fixture
def accuracy(tiny_data: TrainingData) -> Callable[[Baseline], float]:
    """`accuracy(baseline)`: the share of the 200 test tickets with a leaf that it gets right, its answers checked."""

    def measure(baseline: Baseline) -> float:
        shares = baseline.predict(inputs_of(tiny_data.test.rows))
        assert shares.shape == (210, 5)
        assert shares.dtype == np.float32
        assert (shares >= 0).all()
        assert np.allclose(shares.sum(axis=1), 1.0, atol=1e-4)
        truth = tiny_data.index.columns_of(tiny_data.test.node)
        assert (truth >= 0).sum() == 200
        return float((shares.argmax(axis=1) == truth)[truth >= 0].mean())

    return measure
