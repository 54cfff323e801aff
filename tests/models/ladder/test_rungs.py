"""Measuring rungs: quality on each split, cost, and reasons where one cannot learn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.baselines import Baseline, RungData
from models.config import TrainConfig
from models.evaluate import one_thread
from models.ladder.rungs import LADDER, Rung, attempt, evaluate_baselines, lay_out, measure_rung
from models.predictions import ModelInputs
from models.training.data import TrainingData
from tickets.errors import TrainingDataError

Load = Callable[..., TrainingData]


def silent(_line: str) -> None: ...


def test_each_rung_has_figures_of_both_splits_and_its_costs(load_tiny: Load, tiny_config: TrainConfig) -> None:
    figures = evaluate_baselines(load_tiny(), tiny_config, report=silent)
    assert set(figures) == {"majority", "tfidf"}
    for found in figures.values():
        assert found["validation"]["tickets"] == found["test"]["tickets"] == 40
        assert set(found["cost"]) == {"train_seconds", "ms_per_ticket", "megabytes"}
        assert min(found["cost"].values()) > 0
    assert figures["tfidf"]["test"]["accuracy"] > figures["majority"]["test"]["accuracy"] + 0.4


def test_templates_are_ranked_by_how_often_they_answered_what_a_rung_expects(
    load_tiny: Load, tiny_config: TrainConfig
) -> None:
    """Each leaf has one reply: whoever knows the leaf knows the reply."""
    figures = evaluate_baselines(load_tiny(), tiny_config, report=silent)
    assert figures["tfidf"]["test"]["template_hits@1"] == pytest.approx(figures["tfidf"]["test"]["accuracy"], abs=0.05)
    assert figures["majority"]["test"]["template_hits@1"] < 0.5


def test_a_template_that_the_customer_cannot_read_stands_behind(load_tiny: Load, tiny_config: TrainConfig) -> None:
    """As it does for the model: a rung must not lose to it by that."""
    data = load_tiny()
    first, *others = data.templates
    foreign = dataclasses.replace(data, templates=(dataclasses.replace(first, language="fi"), *others))
    hits = [
        measure_rung(LADDER["tfidf"], lay_out(one, tiny_config)).figures["test"]["template_hits@1"]
        for one in (data, foreign)
    ]
    sent = float(np.mean(data.test.template[data.test.template >= 0] == 0))
    assert hits[1] == pytest.approx(hits[0] - sent, abs=0.05)


def test_without_two_leaves_to_learn_from_rungs_are_left_out_with_the_reason(
    load_tiny: Load, tiny_config: TrainConfig
) -> None:
    data = load_tiny()
    inner = dataclasses.replace(data.train, node=np.full_like(data.train.node, data.index.position("payments")))
    lines: list[str] = []
    assert evaluate_baselines(dataclasses.replace(data, train=inner), tiny_config, report=lines.append) == {}
    assert len(lines) == 1
    assert "0 training tickets end in a leaf" in lines[0]
    with pytest.raises(TrainingDataError, match="a rung needs two"):
        lay_out(dataclasses.replace(data, train=inner), tiny_config)


def test_a_rung_that_fails_is_told_and_the_others_go_on(load_tiny: Load, tiny_config: TrainConfig) -> None:
    def broken(_data: RungData) -> Baseline:
        raise ValueError("not today\nnor tomorrow")

    lines: list[str] = []
    ladder = {"broken": Rung("broken", "text", broken), "majority": LADDER["majority"]}
    assert set(evaluate_baselines(load_tiny(), tiny_config, report=lines.append, ladder=ladder)) == {"majority"}
    assert "It is left out: ValueError: not today" in lines


def test_a_rung_that_diverged_is_no_perfect_one(load_tiny: Load, tiny_config: TrainConfig) -> None:
    def fit(data: RungData) -> Baseline:
        return Baseline(lambda unseen: np.full((len(unseen.texts), data.leaf_count), np.nan, np.float32), 0.0)

    reason = attempt("diverged", measure_rung, Rung("diverged", "text", fit), lay_out(load_tiny(), tiny_config))
    assert reason == "ArithmeticError: its probabilities are not finite; its training diverged"


def test_an_unknown_encoder_is_a_reason_and_an_interruption_is_not(load_tiny: Load, tiny_config: TrainConfig) -> None:
    nowhere = dataclasses.replace(tiny_config, encoder="/no/such/folder")
    reason = attempt("frozen", measure_rung, LADDER["frozen"], lay_out(load_tiny(), nowhere))
    assert isinstance(reason, str)
    assert "/no/such/folder" in reason

    def interrupted() -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        attempt("frozen", interrupted)


def test_single_tickets_are_timed_on_one_thread(load_tiny: Load, tiny_config: TrainConfig) -> None:
    import torch

    threads: dict[int, set[int]] = {}

    def fit(data: RungData) -> Baseline:
        def predict(unseen: ModelInputs) -> Any:
            threads.setdefault(len(unseen.texts), set()).add(torch.get_num_threads())
            return np.full((len(unseen.texts), data.leaf_count), 0.2, np.float32)

        return Baseline(predict, 0.0)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        measure_rung(Rung("watched", "text", fit), lay_out(load_tiny(), tiny_config))
        assert threads == {40: {2}, 1: {1}}
        with pytest.raises(ValueError, match="inside"), one_thread():
            raise ValueError("inside")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
