"""The network: agrees with the numpy tree, keeps its promises for new nodes and templates, and survives its files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.attributes import AttributeSpec
from models.batches import NONE, batch_of
from models.config import TrainConfig
from models.decoder import node_texts
from models.heads import load_heads, save_heads
from models.network import NetworkOutput, TriageNetwork, build_network
from models.ranker import TemplateRanker, candidate_sampler
from models.training.data import TrainingData, template_text
from models.training.run import tensors_of
from models.tree_index import IMPOSSIBLE, conditional_log_probabilities, index_tree, path_probabilities
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.errors import ReleaseError
from tickets.records import ReplyTemplate

Load = Callable[..., TrainingData]
CPU = torch.device("cpu")


@pytest.fixture
def data(load_tiny: Load) -> TrainingData:
    return load_tiny()


@pytest.fixture
def network(data: TrainingData, tiny_config: TrainConfig) -> TriageNetwork:
    """With heads as after training: nothing is zero."""
    network = build_network(tiny_config.encoder, data.tree, data.attributes, tiny_config)
    for parameter in (network.decoder.difference, network.decoder.bias, network.ranker.difference.weight):
        torch.nn.init.normal_(parameter, std=0.1)
    network.refresh_nodes(data.tokenizer)
    return network.eval()


def outputs(network: TriageNetwork, data: TrainingData, rows: int = 6) -> NetworkOutput:
    with torch.no_grad():
        answer: NetworkOutput = network(*tensors_of(batch_of(data.train, np.arange(rows)), CPU))
        return answer


def test_the_outputs_have_the_shapes_and_lengths_they_promise(network: TriageNetwork, data: TrainingData) -> None:
    batch = batch_of(data.train, np.arange(6))
    output = outputs(network, data)
    assert output.ticket_vector.shape == output.template_query.shape == (6, 384)
    assert output.node_logits.shape == (6, len(data.tree.nodes))
    assert output.token_weights.shape == batch.input_ids.shape
    assert torch.allclose(output.ticket_vector.norm(dim=1), torch.ones(6), atol=1e-5)
    assert torch.allclose(output.template_query.norm(dim=1), torch.ones(6), atol=1e-5)
    assert (output.token_weights[torch.from_numpy(batch.attention_mask) == 0] == 0).all()


def test_torch_and_numpy_mean_the_same_by_a_probability(network: TriageNetwork, data: TrainingData) -> None:
    logits = outputs(network, data).node_logits
    conditional = conditional_log_probabilities(data.index, logits.numpy())
    assert np.allclose(network.decoder.conditional(logits).detach(), conditional, atol=1e-5)
    leaves = network.decoder.leaf_probabilities(logits).detach().numpy()
    assert np.allclose(leaves, path_probabilities(data.index, logits.numpy())[:, data.index.leaves], atol=1e-5)
    assert np.allclose(leaves.sum(axis=1), 1, atol=1e-5)
    node = data.train.node[:6]
    loss = float(network.decoder.loss(logits, torch.from_numpy(node)))
    along_path = (conditional @ data.index.ancestors)[np.arange(6), node]
    assert loss == pytest.approx(-float(along_path.mean()), abs=1e-5)


def test_smoothing_spreads_the_target_over_active_siblings(network: TriageNetwork, data: TrainingData) -> None:
    logits, node = outputs(network, data).node_logits, torch.from_numpy(data.train.node[:6])
    conditional = network.decoder.conditional(logits).detach().numpy()
    expected = []
    for row, target in enumerate(node.tolist()):
        path = [place for place in data.index.paths[target] if place >= 0]
        uniform = [conditional[row, data.index.group == data.index.group[place]].mean() for place in path]
        expected.append(
            -sum(0.8 * conditional[row, place] + 0.2 * mean for place, mean in zip(path, uniform, strict=True))
        )
    assert float(network.decoder.loss(logits, node, smoothing=0.2)) == pytest.approx(np.mean(expected), abs=1e-5)


def test_padding_and_company_do_not_change_a_ticket(network: TriageNetwork, data: TrainingData) -> None:
    together = outputs(network, data)
    for row in range(6):
        with torch.no_grad():
            alone = network(*tensors_of(batch_of(data.train, np.array([row])), CPU))
        assert torch.allclose(alone.node_logits[0], together.node_logits[row], atol=1e-4)
        assert torch.allclose(alone.template_query[0], together.template_query[row], atol=1e-5)


def test_attributes_reach_the_ticket_vector(network: TriageNetwork, data: TrainingData) -> None:
    inputs = tensors_of(batch_of(data.train, np.arange(4)), CPU)
    with torch.no_grad():
        before = network(*inputs).ticket_vector
        inputs[2] = torch.zeros_like(inputs[2])
        after = network(*inputs).ticket_vector
    assert not torch.allclose(before, after, atol=1e-4)
    assert torch.isfinite(after).all()


def test_heads_read_back_give_the_same_outputs(
    network: TriageNetwork, data: TrainingData, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    save_heads(network, tmp_path / "heads.safetensors")
    other = build_network(tiny_config.encoder, data.tree, data.attributes, dataclasses.replace(tiny_config, seed=99))
    load_heads(other, tmp_path / "heads.safetensors")
    for one, two in zip(outputs(network, data), outputs(other.eval(), data), strict=True):
        assert torch.equal(one, two)


def test_damaged_heads_are_refused(network: TriageNetwork, tmp_path: Path) -> None:
    path = tmp_path / "heads.safetensors"
    path.write_bytes(b"not a tensor in sight")
    with pytest.raises(ReleaseError, match="cannot read the heads"):
        load_heads(network, path)
    save_heads(network, path)
    tensors = load_file(path)
    tensors.pop("decoder.log_scale")
    save_file(tensors, path)
    with pytest.raises(ReleaseError, match="cannot read the heads"):  # its metadata is gone with it
        load_heads(network, path)


def grown(tree: ContactTypeTree) -> ContactTypeTree:
    """The tree with another order, without `invoice`, and with a new leaf."""
    nodes = [node for node in reversed(tree.nodes) if node.id != "invoice"]
    new = ContactType(id="stolen", name="Stolen", parent="delivery", description="my parcel is stolen")
    return ContactTypeTree(nodes=(new, *nodes), version=2)


def test_nodes_that_still_exist_keep_what_was_learned(
    network: TriageNetwork, data: TrainingData, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    save_heads(network, tmp_path / "heads.safetensors")
    tree = grown(data.tree)
    other = build_network(tiny_config.encoder, tree, data.attributes, tiny_config)
    load_heads(other, tmp_path / "heads.safetensors")
    other.refresh_nodes(data.tokenizer)
    other.eval()
    assert float(other.decoder.difference[other.index.position("stolen")].detach().abs().max()) == 0
    before, after = outputs(network, data), outputs(other, data)
    for name in ("refund", "late", "delivery"):
        old, new = data.index.position(name), other.index.position(name)
        assert torch.allclose(before.node_logits[:, old], after.node_logits[:, new], atol=1e-4)


def test_attribute_values_that_still_exist_keep_what_was_learned(
    network: TriageNetwork, data: TrainingData, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    save_heads(network, tmp_path / "heads.safetensors")
    categories = tuple(
        dataclasses.replace(column, values=tuple(sorted((*column.values, "aalesund"))))
        if column.name == "city"
        else column
        for column in data.attributes.categories
    )
    spec = AttributeSpec(categories=categories, numbers=data.attributes.numbers)
    other = build_network(tiny_config.encoder, data.tree, spec, tiny_config)
    load_heads(other, tmp_path / "heads.safetensors")
    inputs = tensors_of(batch_of(data.train, np.arange(6)), CPU)
    with torch.no_grad():
        before = network(*inputs).ticket_vector
        inputs[2][:, 2] += 1  # the new city comes before the others in the alphabet
        assert torch.allclose(other.eval()(*inputs).ticket_vector, before, atol=1e-5)


def test_an_attribute_named_like_a_field_of_the_ticket_keeps_its_own_values(
    data: TrainingData, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    channel = data.attributes.categories[0]
    assert (channel.name, channel.source) == ("channel", "ticket")
    own = dataclasses.replace(channel, source="attribute", values=(*channel.values, "letter"))
    spec = AttributeSpec(categories=(channel, own, *data.attributes.categories[1:]), numbers=data.attributes.numbers)
    network = build_network(tiny_config.encoder, data.tree, spec, tiny_config)
    save_heads(network, tmp_path / "heads.safetensors")
    other = build_network(tiny_config.encoder, data.tree, spec, dataclasses.replace(tiny_config, seed=99))
    load_heads(other, tmp_path / "heads.safetensors")
    assert torch.equal(other.attributes.embedding.weight, network.attributes.embedding.weight)


def test_attribute_columns_that_still_exist_keep_what_was_learned(
    network: TriageNetwork, data: TrainingData, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    save_heads(network, tmp_path / "heads.safetensors")
    old = data.attributes
    new = dataclasses.replace(old.categories[-1], name="district", values=("north", "south"))
    tenure = dataclasses.replace(old.numbers[0], name="tenure")
    spec = AttributeSpec(categories=(new, *old.categories), numbers=(*old.numbers[::-1], tenure))
    other = build_network(tiny_config.encoder, data.tree, spec, tiny_config)
    load_heads(other, tmp_path / "heads.safetensors")
    inputs = tensors_of(batch_of(data.train, np.arange(6)), CPU)
    with torch.no_grad():
        before = network(*inputs).ticket_vector
        inputs[2] = torch.cat([torch.full((6, 1), 3), inputs[2]], dim=1)
        inputs[3] = torch.cat([inputs[3].flip(1), torch.full((6, 1), 2.0)], dim=1)
        inputs[4] = torch.cat([inputs[4].flip(1), torch.ones(6, 1)], dim=1)
        assert torch.allclose(other.eval()(*inputs).ticket_vector, before, atol=1e-5)


def test_a_node_text_is_its_path_and_description() -> None:
    tree = ContactTypeTree(
        nodes=(
            ContactType(id="a", name="Pay"),
            ContactType(id="b", name="Card", parent="a", description="Card refused"),
        )
    )
    assert node_texts(tree) == ["Pay", "Pay > Card. Card refused"]


def test_a_new_template_ranks_before_it_was_ever_sent(network: TriageNetwork, data: TrainingData) -> None:
    new = ReplyTemplate(template_id="n", title="stolen", body="hello stolen parcel")
    texts = [template_text(template) for template in (*data.templates, new)]
    vectors = network.encode_templates(data.tokenizer, texts)
    assert vectors.shape == (len(texts), 384)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(len(texts)), atol=1e-5)
    assert torch.allclose(vectors[:-1], network.encode_templates(data.tokenizer, texts[:-1]), atol=1e-5)
    asked = network.encode_templates(data.tokenizer, ["stolen. hello stolen"])
    assert int((asked @ vectors.T).argmax()) == len(texts) - 1  # by its words
    assert network.encode_templates(data.tokenizer, []).shape == (0, 384)


def test_candidates_hold_each_tickets_own_template_and_its_negatives() -> None:
    template = np.array([0, 0, 0, 1, 2])
    negatives = np.array([[3, -1], [4, -1], [-1, -1], [3, 4], [-1, -1]])
    sampler = candidate_sampler(template, negatives, templates=6, draws=2)
    rows = np.array([0, 3])
    chosen, log_chance = sampler.candidates(rows, template[rows], np.random.default_rng(0))
    assert chosen.tolist() == [0, 1, 3, 4]
    assert log_chance[0] > log_chance[1]  # a frequent template is more often there
    assert (log_chance <= 0).all()


def test_tickets_without_a_template_say_nothing_of_how_often_one_is_a_candidate() -> None:
    template, negatives = np.array([0, 1, 1]), np.array([[2], [2], [0]])
    unanswered = np.full(5, NONE)
    with_others = candidate_sampler(
        np.concatenate([template, unanswered]), np.concatenate([negatives, unanswered[:, None]]), templates=3, draws=1
    )
    alone = candidate_sampler(template, negatives, templates=3, draws=1)
    assert np.array_equal(with_others.positive_share, alone.positive_share)
    assert np.array_equal(with_others.negative_share, alone.negative_share)
    assert alone.negative_share.tolist() == pytest.approx([1 / 3, 0, 2 / 3])


def test_the_frequency_correction_takes_a_templates_popularity_out_of_its_score() -> None:
    """Queries that tell nothing: without the correction the scores learn which template is in the batch more often."""
    ranker = TemplateRanker()
    query, vectors = torch.zeros(1, 384), torch.zeros(2, 384)
    query[0, 0] = 1
    chance = torch.tensor([0.9, 0.1]).log()
    corrected = ranker.loss(query, vectors, torch.tensor([1]), chance)
    assert float(corrected.detach()) == pytest.approx(-np.log(0.1**-1 / (0.1**-1 + 0.9**-1)), abs=1e-5)


def test_an_inactive_node_takes_no_part(network: TriageNetwork, data: TrainingData, tiny_config: TrainConfig) -> None:
    nodes = tuple(dataclasses.replace(node, active=node.id != "late") for node in data.tree.nodes)
    tree = dataclasses.replace(data.tree, nodes=nodes)
    other = build_network(tiny_config.encoder, tree, data.attributes, tiny_config).eval()
    other.refresh_nodes(data.tokenizer)
    logits = outputs(other, data).node_logits
    late = index_tree(tree).position("late")
    assert (other.decoder.conditional(logits)[:, late] == IMPOSSIBLE).all()
    other.decoder.loss(logits.requires_grad_(), torch.full((6,), tree.nodes.index(tree["lost"]))).backward()
    assert logits.grad is not None
    assert (logits.grad[:, late] == 0).all()


def test_the_words_that_decide_weigh_most(network: TriageNetwork, data: TrainingData) -> None:
    """Moving a ticket's token states along the weights' direction raises the top leaf: the weights are its gradient."""
    inputs: list[Any] = tensors_of(batch_of(data.train, np.arange(1)), CPU)
    states = network.encoder(inputs[0], inputs[1]).detach()
    output = network.read_states(states, *inputs[1:])
    top = network.decoder.leaf_probabilities(output.node_logits).argmax(dim=1)
    leaves = network.decoder.ancestors[:, network.decoder.leaves]
    projected = network.projection(states)[0]  # (T, 384)
    vectors = leaves.T @ network.decoder.node_vectors()
    contrast = (vectors[top] - vectors.mean(dim=0)) @ network.decoder.query.weight
    assert torch.allclose(output.token_weights[0], (projected @ contrast.T).squeeze(1) / len(projected), atol=1e-5)
