"""The encoder while it trains: the same function and the same gradients, only the words that are seen learn, and
afterwards it is as it came."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.batches import batch_of
from models.config import TrainConfig
from models.encoder import load_encoder
from models.training.checkpoint import learned_state
from models.training.data import TrainingData
from models.training.encoder import SeenWords, SharedDropout, compiled, prepare_encoder, restore_encoder
from models.training.fit import fit
from models.training.run import make_optimiser, start_run, take_step
from tickets.errors import MachineError

CPU = torch.device("cpu")
IDS = torch.tensor([[2, 7, 9, 3], [2, 5, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
SEEN = np.array([2, 3, 5, 7, 9, 9], np.int32)


def gradients(encoder: nn.Module) -> dict[str, torch.Tensor]:
    return {name: part.grad for name, part in encoder.named_parameters() if part.grad is not None}


def test_split_words_give_the_same_states_and_gradients(tiny_encoder: Path) -> None:
    whole, split = load_encoder(str(tiny_encoder)), load_encoder(str(tiny_encoder))
    prepare_encoder(split, SEEN, CPU)
    table = split.model.get_input_embeddings()  # type: ignore[operator]  # transformers is untyped
    assert isinstance(table, SeenWords)
    assert table.seen.shape == (5, 32)
    assert torch.equal(split.eval()(IDS, MASK), whole.eval()(IDS, MASK))
    for encoder in (whole, split):
        (encoder(IDS, MASK) * MASK[..., None]).square().sum().backward()  # type: ignore[no-untyped-call]
    expected, found = gradients(whole), gradients(split)
    words = "model.embeddings.word_embeddings"
    dense = expected.pop(f"{words}.weight")
    assert torch.equal(found.pop(f"{words}.seen"), dense[[2, 3, 5, 7, 9]])
    assert float(dense.sum(dim=1).abs().nonzero().numel()) <= 5
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-6) for name in found)


def test_a_word_outside_the_training_tickets_is_read_as_it_was_pretrained(tiny_encoder: Path) -> None:
    whole, split = load_encoder(str(tiny_encoder)), load_encoder(str(tiny_encoder))
    prepare_encoder(split, SEEN, CPU)
    other = torch.tensor([[2, 11, 12, 3]])
    split.train()
    table = split.model.get_input_embeddings()  # type: ignore[operator]
    before = whole.model.get_input_embeddings()(other)  # type: ignore[operator]
    assert torch.equal(table(other), before)


def test_the_encoder_comes_back_whole_with_what_was_learned(
    load_tiny: Callable[..., TrainingData], tiny_config: TrainConfig
) -> None:
    data = load_tiny()
    seen = data.train.take(np.flatnonzero(data.train.node == data.train.node[0]))  # these use few of the words
    run = start_run(dataclasses.replace(data, train=seen), dataclasses.replace(tiny_config, weight_decay=0.0))
    words = load_encoder(tiny_config.encoder).model.get_input_embeddings().weight  # type: ignore[operator]
    assert any(isinstance(part, SeenWords) for part in run.network.modules())
    assert not any(name.endswith(".rest") for name in learned_state(run.network))
    take_step(run, batch_of(seen, np.arange(8)))
    restore_encoder(run.network.encoder)
    kinds = {type(part) for part in run.network.modules()}
    assert not kinds & {SeenWords, SharedDropout}
    fresh, now = load_encoder(tiny_config.encoder).state_dict(), run.network.encoder.state_dict()
    assert {name: part.shape for name, part in fresh.items()} == {name: part.shape for name, part in now.items()}
    changed = (now["model.embeddings.word_embeddings.weight"] != words).any(dim=1).nonzero().flatten().tolist()
    assert changed
    assert set(changed) <= set(np.unique(seen.tokens.values).tolist())


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(3)
    dropout, ones = SharedDropout(0.1), torch.ones(333, 1001)
    out = dropout(ones)
    dropped = float((out == 0).float().mean())
    assert dropped == pytest.approx(0.1, abs=4 * (0.09 / ones.numel()) ** 0.5)
    assert float(out.max()) == pytest.approx(1 / 0.9, rel=1e-4)
    neighbours = (out.flatten()[:-1] == 0) & (out.flatten()[1:] == 0)
    assert float(neighbours.float().mean()) == pytest.approx(
        0.01, abs=0.001
    )  # decisions from one number are independent
    assert torch.equal(dropout.eval()(ones), ones)
    bf16 = SharedDropout(0.5)(torch.ones(64, dtype=torch.bfloat16, requires_grad=True))
    assert bf16.dtype == torch.bfloat16


def test_frozen_words_are_left_alone(tiny_encoder: Path) -> None:
    encoder = load_encoder(str(tiny_encoder))
    encoder.freeze_below(1)
    prepare_encoder(encoder, SEEN, CPU)
    assert type(encoder.model.get_input_embeddings()) is nn.Embedding  # type: ignore[operator]


@pytest.mark.parametrize("size", [1, 3])
def test_a_batch_in_parts_trains_the_same_network(
    load_tiny: Callable[..., TrainingData], tiny_config: TrainConfig, size: int
) -> None:
    """Gradient accumulation: without dropout only the order of sums differs."""
    data = load_tiny()
    still = dataclasses.replace(tiny_config, attribute_dropout=0.0, node_dropout=0.0)
    losses = []
    for micro in (None, size):
        run = start_run(data, dataclasses.replace(still, micro_batch_size=micro))
        run.network.eval()  # no dropout inside the encoder either
        run.optimiser = make_optimiser(run.network, still)
        losses.append([take_step(run, batch_of(data.train, np.arange(start, start + 8))) for start in range(0, 40, 8)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.slow
def test_a_compiled_encoder_is_the_same_function(tiny_encoder: Path) -> None:
    encoder = load_encoder(str(tiny_encoder)).eval()
    call = compiled(encoder, IDS, MASK, bf16=False)
    encoder.eval()
    assert torch.allclose(call(IDS, MASK), encoder(IDS, MASK), atol=1e-5)
    assert torch.allclose(call(IDS[:, :3], MASK[:, :3]), encoder(IDS[:, :3], MASK[:, :3]), atol=1e-5)


def test_compiling_where_nothing_can_compile_is_refused(
    load_tiny: Callable[..., TrainingData],
    tiny_config: TrainConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch._inductor.config as inductor

    monkeypatch.setattr(inductor.cpp, "cxx", (None, "no-such-compiler"))
    monkeypatch.setattr(inductor, "force_disable_caches", True)
    torch.compiler.reset()
    config = dataclasses.replace(tiny_config, epochs=1, compile="on")
    with pytest.raises(MachineError, match="compile does not work here"):
        fit(
            load_tiny(),
            config,
            folder=tmp_path,
            report=lambda _line: None,
            progress=lambda _step, _total, _loss: None,
        )
