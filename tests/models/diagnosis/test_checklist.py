"""The checks before a long training: sound data passes all of them, and each one notices what it is there for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.batches import Tokens, tokenise
from models.config import TrainConfig
from models.decoder import node_texts
from models.diagnosis.behaviour import batches_do_not_mix, gradients_flow, inputs_matter
from models.diagnosis.checklist import (
    check_training,
    initial_loss,
    knowing_nothing,
    overfits_one_batch,
    permuted_labels,
)
from models.diagnosis.dry_run import dry_run
from models.diagnosis.yardstick import known_result
from models.training.data import TrainingData
from models.training.fit import FitResult, fit
from models.training.run import TrainingRun, start_run
from tickets.contact_types import ContactTypeTree

Load = Callable[..., TrainingData]
Break = Callable[[TrainingRun], object]


def broken(harm: Break) -> Callable[[TrainingData, TrainConfig], TrainingRun]:
    """`start_run`, and then something goes wrong."""

    def start(data: TrainingData, config: TrainConfig) -> TrainingRun:
        run = start_run(data, config)
        with torch.no_grad():
            harm(run)
        return run

    return start


def forget_words(run: TrainingRun) -> None:
    """Every word of the encoder's vocabulary is the same to it."""
    words: Any = run.network.encoder.model.embeddings
    for part in words.word_embeddings.parameters():
        part.fill_(0.5)


@pytest.fixture
def data(load_tiny: Load) -> TrainingData:
    return load_tiny()


def test_sound_data_passes_every_check(data: TrainingData, tiny_config: TrainConfig) -> None:
    lines: list[str] = []
    findings = check_training(data, tiny_config, report=lines.append)
    assert [finding.check for finding in findings if not finding.passed] == [], lines
    assert len(findings) == len(lines) == 14
    figures = {finding.check: finding.figures for finding in findings}
    step = figures["a step runs on the longest batch"]
    trainable = step["trainable_parameters"] * 4 / 1e6
    assert step["parameters_mb"] == pytest.approx(step["parameters"] * 4 / 1e6, rel=1e-6)
    assert step["gradients_mb"] == pytest.approx(trainable, rel=0.05)  # a pooler gets none
    assert step["optimiser_mb"] == pytest.approx(2 * trainable, rel=0.05)
    assert 0 < step["activations_mb"] < step["memory_mb"] < step["available_mb"]
    nothing = figures["the loss of knowing nothing is exact"]
    assert nothing["loss"] == pytest.approx(nothing["unknowing"], rel=1e-5)


def test_activations_grow_with_the_batch(data: TrainingData, tiny_config: TrainConfig) -> None:
    small, large = (
        dry_run(data, dataclasses.replace(tiny_config, batch_size=size)).figures["activations_mb"] for size in (8, 32)
    )
    assert 3 < large / small < 5


def test_without_a_step_that_runs_the_rest_is_left_out(data: TrainingData, tiny_config: TrainConfig) -> None:
    numbers = data.train.numbers.astype(np.float64)
    wide = dataclasses.replace(data, train=dataclasses.replace(data.train, numbers=numbers))
    findings = check_training(wide, tiny_config, report=lambda _line: None)
    assert findings[-1].check == "a step runs on the longest batch"
    assert "numbers is float64" in findings[-1].detail


def test_the_dry_run_notices_numbers_that_are_none(data: TrainingData, tiny_config: TrainConfig) -> None:
    numbers = data.train.numbers.copy()
    numbers[:, 0] = np.nan
    finding = dry_run(dataclasses.replace(data, train=dataclasses.replace(data.train, numbers=numbers)), tiny_config)
    assert not finding.passed
    assert "numbers has values that are not finite" in finding.detail


def test_the_dry_run_notices_weights_that_are_none(data: TrainingData, tiny_config: TrainConfig) -> None:
    finding = dry_run(data, tiny_config, start=broken(lambda run: run.network.fusion.gate.weight.fill_(math.nan)))
    assert not finding.passed
    assert "not finite" in finding.detail


def test_the_dry_run_notices_weights_of_another_kind(data: TrainingData, tiny_config: TrainConfig) -> None:
    def half(run: TrainingRun) -> None:
        run.network.ranker.log_scale.data = run.network.ranker.log_scale.data.double()

    assert "float64" in dry_run(data, tiny_config, start=broken(half)).detail


def test_the_dry_run_notices_that_memory_does_not_suffice(data: TrainingData, tiny_config: TrainConfig) -> None:
    assert not dry_run(data, tiny_config, memory_mb=1.0).passed


def test_the_exact_loss_notices_a_contact_type_that_was_retired(data: TrainingData, tiny_config: TrainConfig) -> None:
    """The tree was changed after the targets were read from it."""
    nodes = tuple(dataclasses.replace(node, active=node.id != "lost") for node in data.tree.nodes)
    finding = knowing_nothing(dataclasses.replace(data, tree=ContactTypeTree(nodes=nodes)), tiny_config)
    assert not finding.passed
    assert finding.figures["loss"] > 10 * finding.figures["unknowing"]


def test_the_first_loss_notices_weights_that_are_too_sure(data: TrainingData, tiny_config: TrainConfig) -> None:
    def shout(run: TrainingRun) -> None:
        run.network.decoder.bias.copy_(torch.linspace(-30, 30, len(run.network.decoder.bias)))

    assert not initial_loss(data, tiny_config, start=broken(shout)).passed


def test_the_first_loss_notices_an_answer_in_the_text(data: TrainingData, tiny_config: TrainConfig) -> None:
    """Each ticket's text is the node text of its contact type: the untrained network knows it at once."""
    texts = node_texts(data.tree)
    told = tokenise(data.tokenizer, [texts[node] for node in data.train.node])

    def sharpen(run: TrainingRun) -> None:
        run.network.fusion.gate.bias.fill_(-50.0)  # the tiny encoder's texts lie closer together than MiniLM's
        run.network.decoder.log_scale.fill_(math.log(100.0))

    leaking = dataclasses.replace(data, train=dataclasses.replace(data.train, tokens=told))
    finding = initial_loss(leaking, tiny_config, start=broken(sharpen))
    assert not finding.passed
    assert finding.figures["loss"] < 0.25 * finding.figures["unknowing"]
    assert "outcome among the inputs" in finding.advice


def test_one_batch_cannot_be_learned_when_nothing_may_learn(data: TrainingData, tiny_config: TrainConfig) -> None:
    finding = overfits_one_batch(data, tiny_config, start=broken(lambda run: run.network.requires_grad_(False)))
    assert not finding.passed
    assert "trainable_layers" in finding.advice


def test_one_batch_cannot_be_learned_at_a_rate_of_nothing(data: TrainingData, tiny_config: TrainConfig) -> None:
    def stand_still(run: TrainingRun) -> None:
        for group in run.optimiser.param_groups:
            group["rate"] = 0.0

    assert not overfits_one_batch(data, tiny_config, start=broken(stand_still)).passed


def test_one_batch_cannot_be_learned_when_tickets_are_alike(data: TrainingData, tiny_config: TrainConfig) -> None:
    """Texts and attributes that are all the same cannot tell the tickets of a batch apart."""
    same = np.zeros_like(data.train.numbers)
    alike = dataclasses.replace(
        data.train,
        tokens=Tokens(data.train.tokens.values * 0 + 4, data.train.tokens.offsets),
        numbers=same,
        missing=same,
        categories=np.zeros_like(data.train.categories),
    )
    finding = overfits_one_batch(dataclasses.replace(data, train=alike), tiny_config)
    assert not finding.passed
    assert finding.advice


def test_permuted_labels_notice_a_training_that_has_the_true_ones(data: TrainingData, tiny_config: TrainConfig) -> None:
    """A training that looks the labels up elsewhere learns them, whatever it is dealt."""
    true = dict(zip(data.train.ticket_ids, data.train.node, strict=True))

    def cheat(dealt: TrainingData, config: TrainConfig, **options: Any) -> FitResult:
        node = np.array([true[ticket_id] for ticket_id in dealt.train.ticket_ids])
        seen = dataclasses.replace(dealt, train=dataclasses.replace(dealt.train, node=node))
        return fit(seen, config, **options)

    honest = permuted_labels(data, tiny_config)
    assert honest.verdict == "passed", honest
    assert honest.figures["by_heart"] > 0.5
    finding = permuted_labels(data, tiny_config, train=cheat)
    assert not finding.passed
    assert finding.figures["accuracy"] > finding.figures["limit"]


def idle(dealt: TrainingData, config: TrainConfig, **options: Any) -> FitResult:
    """A training that learns nothing."""
    return fit(dealt, dataclasses.replace(config, head_learning_rate=1e-9, learning_rate=1e-9), **options)


def test_node_texts_that_tell_the_answer_raise_no_alarm(data: TrainingData, tiny_config: TrainConfig) -> None:
    """Tickets in the very words of their contact type: whoever reads both needs no label to bring them together."""
    texts = node_texts(data.tree)
    told = tokenise(data.tokenizer, [texts[node] for node in data.validation.node])
    alike = dataclasses.replace(data, validation=dataclasses.replace(data.validation, tokens=told))
    for train in (idle, fit):
        finding = permuted_labels(alike, tiny_config, train=train)
        assert finding.passed, finding


def test_a_training_that_learns_little_says_little(data: TrainingData, tiny_config: TrainConfig) -> None:
    finding = permuted_labels(data, tiny_config, train=idle)
    assert finding.verdict == "remark"
    assert "tells little" in finding.advice


def test_gradients_are_missed_where_attributes_are_shut_out(data: TrainingData, tiny_config: TrainConfig) -> None:
    finding = gradients_flow(data, tiny_config, start=broken(lambda run: run.network.fusion.gate.bias.fill_(-1e6)))
    assert not finding.passed
    assert "attributes." in finding.detail


def test_gradients_are_missed_behind_a_cut(data: TrainingData, tiny_config: TrainConfig) -> None:
    class Cut(nn.Module):
        def forward(self, states: Tensor) -> Tensor:
            return states.detach()

    def cut(run: TrainingRun) -> None:
        run.network.projection = nn.Sequential(run.network.projection, Cut())

    finding = gradients_flow(data, tiny_config, start=broken(cut))
    assert not finding.passed
    assert finding.figures["reached"] < finding.figures["expected"]


def test_gradients_are_not_asked_of_a_ranker_without_templates(data: TrainingData, tiny_config: TrainConfig) -> None:
    config = dataclasses.replace(tiny_config, ranker_weight=0.0)
    assert gradients_flow(data, config).passed


@pytest.mark.parametrize(
    ("deaf_to", "harm"),
    [
        ("words", forget_words),
        ("numbers", lambda run: run.network.attributes.hidden.weight.zero_()),
        ("categories", lambda run: run.network.attributes.embedding.weight.fill_(0.5)),
    ],
)
def test_an_input_that_is_not_heard_is_named(
    data: TrainingData, tiny_config: TrainConfig, deaf_to: str, harm: Break
) -> None:
    finding = inputs_matter(data, tiny_config, start=broken(harm))
    assert not finding.passed
    assert deaf_to in finding.advice


def test_tickets_that_look_at_their_neighbours_are_noticed(data: TrainingData, tiny_config: TrainConfig) -> None:
    class Centred(nn.Module):
        def forward(self, states: Tensor) -> Tensor:
            return states - states.mean(dim=0, keepdim=True)

    def mix(run: TrainingRun) -> None:
        run.network.projection = nn.Sequential(run.network.projection, Centred())

    finding = batches_do_not_mix(data, tiny_config, start=broken(mix))
    assert not finding.passed
    assert "mask" in finding.advice


def test_texts_that_belong_to_other_tickets_are_noticed(data: TrainingData, tiny_config: TrainConfig) -> None:
    part = data.train
    mixed_up = dataclasses.replace(part, node=np.random.default_rng(3).permutation(part.node))
    finding = known_result(dataclasses.replace(data, train=mixed_up), tiny_config)
    assert not finding.passed
    assert "belong to the same tickets" in finding.advice


def test_an_encoder_that_reads_nothing_is_out_of_reach(data: TrainingData, tiny_config: TrainConfig) -> None:
    finding = known_result(data, tiny_config, start=broken(forget_words))
    assert not finding.passed
    assert "tokenizer" in finding.advice
    assert finding.figures["tfidf"] > 0.8


def test_tickets_of_inner_nodes_alone_leave_the_known_result_out(data: TrainingData, tiny_config: TrainConfig) -> None:
    inner = np.full_like(data.train.node, data.index.position("payments"))
    finding = known_result(dataclasses.replace(data, train=dataclasses.replace(data.train, node=inner)), tiny_config)
    assert finding.passed
    assert finding.detail.startswith("Left out")
