"""Training: it learns, resumes as if nothing had happened, starts from an earlier model, and says what is wrong."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from models.batches import batch_of, evaluation_batches
from models.config import TrainConfig
from models.heads import load_heads, save_heads
from models.network import TriageNetwork
from models.templates import TemplateMatrix
from models.training.checkpoint import BEST, CHECKPOINT, read_checkpoint
from models.training.data import TrainingData, template_text
from models.training.fit import FitResult, fit
from models.training.objective import Candidates, losses
from models.training.run import start_network, start_run, take_step, tensors_of, validate
from models.training.state_cache import cache_states
from models.tree_index import path_probabilities, top_leaves
from tickets.catalogue import read_tree, write_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.errors import InputError, MachineError, WorkspaceError
from tickets.workspace import Workspace

Load = Callable[..., TrainingData]
CPU = torch.device("cpu")


class StoppedError(Exception):
    pass


def fitted(data: TrainingData, config: TrainConfig, folder: Path, **options: Any) -> FitResult:
    options = {"report": lambda _line: None, "progress": lambda _step, _total, _loss: None, **options}
    return fit(data, config, folder=folder, **options)


def same_weights(one: TriageNetwork, two: TriageNetwork) -> bool:
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_training_learns_contact_types_and_templates(load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path) -> None:
    data = load_tiny()
    config = dataclasses.replace(tiny_config, epochs=8, patience=8)
    steps: list[tuple[int, int, float]] = []
    result = fitted(data, config, tmp_path, progress=lambda *step: steps.append(step))
    assert [step for step, _, _ in steps] == list(range(1, 121))
    assert {total for _, total, _ in steps} == {120}
    assert len(result.history) == 8
    assert result.history[-1]["loss"] < result.history[0]["loss"] / 2
    assert result.seconds > 0
    assert not result.network.training
    assert validate(result.network, data.test, batch_size=16)["validation_accuracy"] > 0.7
    vectors = result.network.encode_templates(data.tokenizer, [template_text(template) for template in data.templates])
    with torch.no_grad():
        batches = list(evaluation_batches(data.test, 64))
        right = [
            (result.network(*tensors_of(batch, CPU)).template_query @ vectors.T).argmax(dim=1).numpy() == batch.template
            for batch in batches
        ]
    assert np.concatenate(right).mean() > 0.7


@pytest.mark.parametrize(("trainable_layers", "micro_batch_size"), [(None, None), (None, 3), (1, None)])
def test_an_interrupted_training_ends_like_one_that_was_not(
    load_tiny: Load,
    tiny_config: TrainConfig,
    tmp_path: Path,
    trainable_layers: int | None,
    micro_batch_size: int | None,
) -> None:
    data = load_tiny()
    config = dataclasses.replace(
        tiny_config, checkpoint_every=7, trainable_layers=trainable_layers, micro_batch_size=micro_batch_size
    )
    whole = fitted(data, config, tmp_path / "whole")

    def stop(step: int, _total: int, _loss: float) -> None:
        if step == 25:
            raise StoppedError

    with pytest.raises(StoppedError):
        fitted(data, config, tmp_path / "cut", progress=stop)
    seen: list[int] = []
    resumed = fitted(data, config, tmp_path / "cut", progress=lambda step, _total, _loss: seen.append(step))
    assert seen[0] == 22
    assert same_weights(whole.network, resumed.network)
    assert whole.history == resumed.history


def test_a_finished_training_is_not_repeated(load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path) -> None:
    data = load_tiny()
    config = dataclasses.replace(tiny_config, epochs=1)
    first = fitted(data, config, tmp_path)
    seen: list[int] = []
    again = fitted(data, config, tmp_path, progress=lambda step, _total, _loss: seen.append(step))
    assert seen == []
    assert same_weights(first.network, again.network)


def test_a_checkpoint_of_other_settings_is_set_aside(load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path) -> None:
    data = load_tiny()
    config = dataclasses.replace(tiny_config, epochs=1)
    fitted(data, config, tmp_path)
    lines: list[str] = []
    fitted(data, dataclasses.replace(config, seed=5), tmp_path, report=lines.append)
    assert any("starts from the beginning" in line for line in lines)


def test_a_checkpoint_of_other_settings_is_not_gone_on_from_later(
    load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """The best weights beside it belong to a training that came between."""
    data = load_tiny()
    config = dataclasses.replace(tiny_config, epochs=1)
    first = fitted(data, config, tmp_path)

    def stop(_step: int, _total: int, _loss: float) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        fitted(data, dataclasses.replace(config, seed=5), tmp_path, progress=stop)
    seen: list[int] = []
    again = fitted(data, config, tmp_path, progress=lambda step, _total, _loss: seen.append(step))
    assert seen[0] == 1
    assert same_weights(first.network, again.network)


def test_seconds_before_an_interruption_count(load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path) -> None:
    data = load_tiny()
    config = dataclasses.replace(tiny_config, epochs=1)
    first = fitted(data, config, tmp_path)
    kept = read_checkpoint(tmp_path / CHECKPOINT)
    assert kept is not None
    assert 0 < kept.progress["seconds"] <= first.seconds
    assert fitted(data, config, tmp_path).seconds > kept.progress["seconds"]


def test_a_damaged_checkpoint_is_named(load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path) -> None:
    data = load_tiny()
    config = dataclasses.replace(tiny_config, epochs=1)
    fitted(data, config, tmp_path)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WorkspaceError, match="is damaged"):
        fitted(data, config, tmp_path)


def test_a_place_where_nothing_can_be_written_is_named(
    load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises((MachineError, WorkspaceError), match="checkpoint"):
        fitted(load_tiny(), tiny_config, tmp_path / "file")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_training_on_a_gpu_that_is_not_there_is_refused(
    load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(MachineError, match="--device auto"):
        fitted(load_tiny(), dataclasses.replace(tiny_config, device="cuda"), tmp_path)


def test_a_loss_that_is_no_number_ends_the_training_and_reaches_no_checkpoint(
    load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    wild = dataclasses.replace(tiny_config, head_learning_rate=1e33, gradient_clip=1e33, checkpoint_every=1)
    with pytest.raises(InputError, match=r"the loss is nan by step \d+ of \d+. Lower learning_rate"):
        fitted(load_tiny(), wild, tmp_path)
    kept = read_checkpoint(tmp_path / CHECKPOINT)
    assert kept is None or np.isfinite(kept.progress["loss_sum"])


def test_the_best_weights_are_kept_and_training_stops_when_they_stay_best(
    load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    data = load_tiny()
    config = dataclasses.replace(tiny_config, epochs=20, patience=2)
    result = fitted(data, config, tmp_path)
    best = max(entry["validation_mrr"] for entry in result.history)
    assert len(result.history) < 20
    assert validate(result.network, data.validation, batch_size=8)["validation_mrr"] == pytest.approx(best)


def test_without_a_validation_split_the_last_weights_count(
    load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    data = load_tiny()
    data = dataclasses.replace(data, validation=data.validation.take(np.zeros(0, np.int64)))
    result = fitted(data, dataclasses.replace(tiny_config, epochs=2), tmp_path)
    assert len(result.history) == 2
    assert not (tmp_path / BEST).exists()


def test_kept_states_train_the_same_network_as_the_whole_encoder(
    load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    data = load_tiny()
    config = dataclasses.replace(tiny_config, trainable_layers=1)
    lines: list[str] = []
    kept = fitted(data, config, tmp_path / "kept", report=lines.append)
    whole = fitted(data, dataclasses.replace(config, state_cache_gb=0.0), tmp_path / "whole")
    assert any("once through 2 frozen layers" in line for line in lines)
    for one, two in zip(kept.network.parameters(), whole.network.parameters(), strict=True):
        assert torch.allclose(one, two, atol=0.02)  # float16 rounds


def test_kept_states_stay_within_their_memory(load_tiny: Load, tiny_config: TrainConfig) -> None:
    data = load_tiny()
    network = start_network(data, dataclasses.replace(tiny_config, trainable_layers=1))
    needed = len(data.train.tokens.values) * 32 * 2
    for most, there in ((needed - 1, False), (needed, True)):
        cache = cache_states(network.encoder, data.train, most_bytes=most, bf16=False, report=lambda _line: None)
        assert (cache is not None) is there


def test_bfloat16_learns_too(load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny_config, precision="bf16", epochs=4, patience=4)
    result = fitted(load_tiny(), config, tmp_path)
    assert result.history[-1]["validation_accuracy"] > 0.6
    assert all(parameter.dtype == torch.float32 for parameter in result.network.parameters())


def test_retraining_starts_from_the_earlier_model(
    load_tiny: Load, tiny_config: TrainConfig, tiny_workspace: Workspace, tmp_path: Path
) -> None:
    data = load_tiny()
    first = fitted(data, dataclasses.replace(tiny_config, epochs=8, patience=8), tmp_path / "first").network
    earlier = tmp_path / "model"
    first.encoder.model.save_pretrained(earlier / "encoder")  # type: ignore[operator]  # transformers is untyped
    save_heads(first, earlier / "heads.safetensors")
    tree = read_tree(tiny_workspace)
    stolen = ContactType(id="stolen", name="Stolen", parent="delivery")
    write_tree(tiny_workspace, ContactTypeTree(nodes=(*tree.nodes, stolen), version=2))
    wider = load_tiny()
    before = validate(start_network(wider, tiny_config), wider.test, batch_size=16)
    warm = validate(start_network(wider, tiny_config, earlier), wider.test, batch_size=16)
    assert warm["validation_accuracy"] > before["validation_accuracy"] + 0.2
    gentle = dataclasses.replace(tiny_config, epochs=1, head_learning_rate=1e-3)
    again = fitted(wider, gentle, tmp_path / "second", initial=earlier)
    assert again.history[0]["validation_accuracy"] > before["validation_accuracy"] + 0.2


def test_heads_from_before_label_mix_and_lift_are_gone_on_from(
    load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    network = start_network(load_tiny(), tiny_config)
    heads = tmp_path / "heads.safetensors"
    save_heads(network, heads)
    with safe_open(heads, framework="pt") as file:
        about, names = file.metadata(), set(file.keys())
        older = {name: file.get_tensor(name) for name in names - {"decoder.mix", "ranker.type_weight"}}
    assert len(names) == len(older) + 2
    older["decoder.bias"] += 1.0
    save_file(older, heads, metadata=about)
    other = start_network(load_tiny(), tiny_config)
    load_heads(other, heads)
    assert torch.equal(other.decoder.bias, network.decoder.bias + 1.0)
    assert torch.equal(other.decoder.mix, network.decoder.mix)
    assert torch.equal(other.ranker.type_weight, network.ranker.type_weight)


def test_a_new_node_is_found_by_its_words_before_its_first_example(
    load_tiny: Load, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    """Trained without it, told its text only: tickets in its words rank it higher than other tickets do."""
    data = load_tiny()
    config = dataclasses.replace(tiny_config, epochs=8, patience=8, node_dropout=0.3)
    result = fitted(data, config, tmp_path)
    save_heads(result.network, tmp_path / "heads.safetensors")
    stolen = ContactType(id="stolen", name="Stolen", parent="payments", description="stolen stolen money")
    wider = ContactTypeTree(nodes=(*data.tree.nodes, stolen), version=2)
    network = start_network(dataclasses.replace(data, tree=wider), config)
    network.load_state_dict(
        {name: tensor for name, tensor in result.network.state_dict().items() if name.startswith("encoder.")},
        strict=False,
    )
    load_heads(network, tmp_path / "heads.safetensors")
    network.refresh_nodes(data.tokenizer)
    with torch.no_grad():
        logits = network.eval()(*tensors_of(batch_of(data.test, np.arange(40)), CPU)).node_logits.numpy()
    probabilities = path_probabilities(network.index, logits)
    new = network.index.position("stolen")
    money = data.test.node[:40] == data.index.position("refund")
    assert probabilities[money, new].mean() > 2 * probabilities[~money, new].mean()
    assert top_leaves(network.index, probabilities, 1).shape == (40, 1)


def test_training_scores_templates_as_serving_does(load_tiny: Load, tiny_config: TrainConfig) -> None:
    data = load_tiny()
    templates = tuple(
        dataclasses.replace(template, contact_types=(template.template_id.removeprefix("reply-"),))
        for template in data.templates
    )
    data = dataclasses.replace(data, templates=templates)
    run = start_run(data, tiny_config)
    network, part = run.network.eval(), batch_of(data.train, np.arange(8))
    with torch.no_grad():
        output = network(*tensors_of(part, CPU))
        matrix = TemplateMatrix(
            templates,
            network.ranker.template_vectors(run.template_texts).numpy(),
            run.serves.numpy(),
            network.decoder.usual_leaves()[0].numpy(),
            scale=network.ranker.log_scale.exp().item(),
            type_weight=network.ranker.type_weight.item(),
        )
        leaves = network.decoder.leaf_probabilities(output.node_logits).numpy()
        _, served = matrix.rank(output.template_query.numpy(), leaves, ["en"] * 8)
        every = Candidates(np.arange(len(templates)), run.template_texts, torch.zeros(len(templates)), run.serves)
        trained = losses(network, output, part, tiny_config, candidates=every, lessons=None, mix=None).template
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(served), torch.from_numpy(part.template))
    assert float(trained) == pytest.approx(float(expected), rel=1e-4)
    text_alone = dataclasses.replace(matrix, type_weight=0.0)
    _, without = text_alone.rank(output.template_query.numpy(), leaves, ["en"] * 8)
    assert not np.allclose(without, served, atol=1e-3)


def test_one_step_changes_only_what_may_learn(load_tiny: Load, tiny_config: TrainConfig) -> None:
    data = load_tiny()
    run = start_run(data, dataclasses.replace(tiny_config, trainable_layers=1))
    before = {name: parameter.detach().clone() for name, parameter in run.network.named_parameters()}
    take_step(run, batch_of(data.train, np.arange(8)))
    changed = {name for name, parameter in run.network.named_parameters() if not torch.equal(before[name], parameter)}
    assert not any(name.startswith(("encoder.model.embeddings", "encoder.model.encoder.layer.0")) for name in changed)
    assert {"decoder.difference", "decoder.bias", "fusion.gate.weight", "ranker.template.weight"} <= changed
    assert any(name.startswith("encoder.model.encoder.layer.2") for name in changed)
