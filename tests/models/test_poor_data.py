"""Data that cannot be learned from is refused in one clear line; data that is merely poor is learned from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.batches import batch_of
from models.config import TrainConfig
from models.training.data import LEAST_TICKETS, TrainingData
from models.training.fit import fit
from models.training.run import tensors_of, validate
from tickets.errors import TrainingDataError

Load = Callable[..., TrainingData]
Put = Callable[[str, list[dict[str, Any]]], None]
MakeRow = Callable[..., dict[str, Any]]


def silent(*_anything: object) -> None:
    """No report, no progress."""


def test_a_handful_of_tickets_is_refused_with_their_number(
    load_tiny: Load, put_features: Put, make_row: MakeRow
) -> None:
    put_features("train", [make_row(number, "late" if number % 2 else "lost", "late or lost") for number in range(5)])
    with pytest.raises(TrainingDataError, match=f"5 training tickets have an outcome; {LEAST_TICKETS} or more"):
        load_tiny()


def test_contact_types_without_tickets_stay_possible_and_are_never_preferred(
    load_tiny: Load, put_features: Put, make_row: MakeRow, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    words = {"late": "late waiting", "lost": "lost missing"}
    rows = [make_row(number, name, words[name]) for number in range(60) for name in [("late", "lost")[number % 2]]]
    put_features("train", rows[:40])
    put_features("validation", rows[40:])
    data = load_tiny()
    longer = dataclasses.replace(tiny_config, epochs=10)
    fitted = fit(data, longer, folder=tmp_path, report=silent, progress=silent)
    assert len(data.index.leaves) == 5
    assert validate(fitted.network, data.validation, batch_size=8)["validation_accuracy"] > 0.9
    with torch.no_grad():
        logits = fitted.network(*tensors_of(batch_of(data.validation, np.arange(20)), torch.device("cpu"))).node_logits
        leaves = fitted.network.decoder.leaf_probabilities(logits).numpy()
    seen = np.unique(data.train.node)
    without = ~np.isin(data.index.leaves, seen)
    assert without.sum() == 3
    assert (leaves[:, without] > 0).all()
    assert not without[leaves.argmax(axis=1)].any()


def test_an_attribute_that_no_ticket_has_is_reported_and_left_aside(
    load_tiny: Load, put_features: Put, make_row: MakeRow, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    rows = [make_row(n, "late" if n % 2 else "lost", "late" if n % 2 else "lost", attributes="{}") for n in range(40)]
    put_features("train", rows)
    lines: list[str] = []
    data = load_tiny(lines.append)
    for said in ("city has no repeated value", "amount has no value", "vip has no value"):
        assert any(said in line for line in lines)
    assert fit(data, tiny_config, folder=tmp_path, report=silent, progress=silent).history
