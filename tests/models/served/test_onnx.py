"""Export and int8: the served graph says what the trained network says, or training stops."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.directory import parity_inputs
from models.encoder import load_tokenizer
from models.heads import load_heads
from models.inference import OnnxModel
from models.onnx import Parity, Tolerance, check_parity, parity, torch_outputs
from models.predictions import inputs_of
from models.release import open_release
from models.training.data import load_training_data
from models.training.run import start_network
from tickets.errors import ReleaseError
from tickets.examples import read_examples


@pytest.fixture(scope="module")
def network_and_data(trained, tiny_config):
    """The trained network, read back from its directory, with its data."""
    encoder = str(trained.model.folder / "encoder")
    config = dataclasses.replace(tiny_config, encoder=encoder)
    data = load_training_data(trained.workspace, load_tokenizer(encoder, 32), config, report=lambda _line: None)
    network = start_network(data, config)
    load_heads(network, trained.model.folder / "heads.safetensors")
    return network, data


def test_the_served_graph_agrees_with_the_network_read_back_from_its_directory(trained, network_and_data):
    network, data = network_and_data
    inputs = parity_inputs(data)
    expected = torch_outputs(network, data.tokenizer, inputs)
    served = OnnxModel.load(trained.model.folder, max_tokens=32).run(*inputs)
    found = parity(network, expected, served)
    assert found.tickets == 64
    assert found.cosine > 0.99
    assert found.probability_gap < 0.02
    check_parity(found, Tolerance())


def test_only_the_encoder_is_quantised(trained):
    graph = onnx.load(str(trained.model.folder / "model.onnx")).graph
    quantised = [node.name for node in graph.node if node.op_type == "MatMulInteger"]
    floating = [node.name for node in graph.node if node.op_type in ("MatMul", "Gemm")]
    assert len(quantised) == 2 * 6  # layers times query, key, value, output and two of the feed-forward
    assert all(name.startswith("/encoder/") for name in quantised)
    assert any("decoder" in name for name in floating)


def test_quantisation_that_changes_the_model_is_refused():
    with pytest.raises(ReleaseError, match=r"cosine 0.900 \(at least 0.97\)"):
        check_parity(Parity(tickets=64, cosine=0.9, agreement=1.0, probability_gap=0.0), Tolerance())
    with pytest.raises(ReleaseError, match=r"probability gap 0\.200"):
        check_parity(Parity(tickets=64, cosine=1.0, agreement=1.0, probability_gap=0.2), Tolerance())


def test_a_graph_of_another_network_is_noticed(trained, network_and_data):
    network, data = network_and_data
    inputs = parity_inputs(data)
    served = OnnxModel.load(trained.model.folder, max_tokens=32).run(*inputs)
    other = torch_outputs(start_network(data, network_config(data, trained)), data.tokenizer, inputs)
    with pytest.raises(ReleaseError, match="int8 changed the model too much"):
        check_parity(parity(network, other, served), Tolerance())


def network_config(data, trained):
    from models.config import TrainConfig

    return TrainConfig(encoder=str(trained.model.folder / "encoder"), max_tokens=32, device="cpu")


def test_order_and_company_do_not_change_a_tickets_outputs(trained, made_up):
    model = OnnxModel.load(trained.model.folder, max_tokens=32)
    rows = read_examples(made_up).slice(0, 70)
    together = model.run(*inputs_of(rows))
    for row in (0, 33, 69):
        alone = model.run(*inputs_of(rows.slice(row, 1)))
        # Dynamic int8 scales with the batch's largest activation, so equal means nearly equal.
        assert np.allclose(alone.node_logits[0], together.node_logits[row], atol=0.35)
        assert float(alone.vectors[0] @ together.vectors[row]) > 0.99


def test_batches_hold_every_ticket_once_shortest_first_and_padded_to_their_longest(trained, made_up):
    inputs = inputs_of(read_examples(made_up).slice(0, 70))
    model = OnnxModel.load(trained.model.folder, max_tokens=32)
    encoded = model.encode(*inputs)
    lengths = np.array([len(encoding.ids) for encoding in encoded.encodings])
    batches = list(model.batches(encoded))
    order = np.concatenate([batch for batch, _ in batches])
    assert sorted(order.tolist()) == list(range(70))
    assert np.all(np.diff(lengths[order]) >= 0)
    for batch, fed in batches:
        assert fed["input_ids"].shape == (len(batch), lengths[batch].max())
        assert fed["attention_mask"].sum(axis=1).tolist() == lengths[batch].tolist()
        assert np.array_equal(fed["categories"], encoded.attributes.categories[batch])


def test_no_tickets_give_empty_outputs_of_the_right_width(trained):
    outputs = OnnxModel.load(trained.model.folder, max_tokens=32).run([], [])
    assert outputs.vectors.shape == (0, 384)
    assert outputs.node_logits.shape == (0, 7)


def test_a_graph_that_is_none_is_refused(trained, tmp_path: Path):
    release = open_release(trained.model.folder)
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    (tmp_path / "tokenizer.json").write_bytes(release.path("tokenizer.json").read_bytes())
    with pytest.raises(ReleaseError, match="cannot load"):
        OnnxModel.load(tmp_path, max_tokens=32)
