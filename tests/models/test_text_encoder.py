"""Encoders come from the installed default or a folder, can be split at a layer, and fail with a clear sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import RobertaConfig, RobertaModel

from models.batches import tokenise
from models.config import DEFAULT_ENCODER, TrainConfig, preset
from models.device import choose_device
from models.encoder import MINILM_SHA256, encoder_source, load_encoder, load_tokenizer
from tickets.errors import InputError, MachineError
from tickets.manifests import file_hash


def test_the_default_encoder_is_the_published_minilm_and_knows_what_is_alike() -> None:
    assert file_hash(Path(encoder_source(DEFAULT_ENCODER)) / "model.safetensors") == MINILM_SHA256
    encoder, tokenizer = load_encoder(DEFAULT_ENCODER).eval(), load_tokenizer(DEFAULT_ENCODER, 32)
    texts = ["where is my parcel", "  My PARCEL has\nnot arrived", "please close my bank account"]
    ids, mask = (torch.from_numpy(array) for array in tokenise(tokenizer, texts).padded(np.arange(3)))
    with torch.no_grad():
        states = encoder(ids, mask)
        assert torch.allclose(encoder.upper(4, encoder.lower(4, ids, mask), mask), states, atol=1e-4)
    vectors = torch.nn.functional.normalize((states * mask.unsqueeze(2)).sum(1), dim=1)
    likeness = vectors @ vectors.T
    assert encoder.width == 384
    assert likeness[0, 1] > likeness[0, 2] + 0.2


def test_frozen_layers_get_no_gradient_and_no_dropout(tiny_encoder: Path) -> None:
    encoder = load_encoder(str(tiny_encoder))
    encoder.freeze_below(1)
    encoder.train()
    ids, mask = torch.full((2, 5), 6), torch.ones(2, 5, dtype=torch.long)
    assert torch.equal(encoder.lower(2, ids, mask), encoder.lower(2, ids, mask))
    assert not torch.equal(encoder(ids, mask), encoder(ids, mask))  # the top layer drops out
    encoder(ids, mask).sum().backward()
    learned = [name for name, parameter in encoder.named_parameters() if parameter.grad is not None]
    assert learned
    assert all(".layer.2." in name for name in learned)
    assert len(encoder.layers) == 3


def test_a_split_encoder_says_what_the_whole_one_says(tiny_encoder: Path) -> None:
    encoder = load_encoder(str(tiny_encoder)).eval()
    assert encoder.can_split(2)
    ids = torch.randint(4, 20, (3, 7))
    mask = torch.ones_like(ids)
    mask[0, 4:] = 0
    split = encoder.upper(2, encoder.lower(2, ids, mask), mask)
    assert torch.allclose(split[mask.bool()], encoder(ids, mask)[mask.bool()], atol=1e-5)


def test_texts_are_cut_at_the_limit(tiny_encoder: Path) -> None:
    tokens = tokenise(load_tokenizer(str(tiny_encoder), 10), ["hello " * 500])
    assert tokens.lengths.tolist() == [10]


@pytest.mark.parametrize("name", ["/no/such/folder", "./nothing-here", "a/b/c"])
def test_a_folder_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_encoder(name)


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot load the encoder"):
        load_encoder(str(tmp_path))
    with pytest.raises(InputError, match="cannot load the encoder"):
        load_tokenizer(str(tmp_path), 32)


def test_weights_that_are_damaged_or_of_another_shape_are_refused(tiny_encoder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_encoder, tmp_path / "encoder")
    shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**shape, "hidden_size": 64}), encoding="utf-8")
    with pytest.raises(InputError, match="cannot load the encoder"):
        load_encoder(str(folder))
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(InputError, match="cannot load the encoder"):
        load_encoder(str(folder))


def test_more_tokens_than_the_encoder_reads_are_refused(tiny_encoder: Path) -> None:
    with pytest.raises(InputError, match="reads 64 at most"):
        load_tokenizer(str(tiny_encoder), 65)


def test_positions_that_an_encoder_never_uses_do_not_count(tiny_encoder: Path, tmp_path: Path) -> None:
    """RoBERTa's first position is the one behind the padding's number: 514 of them hold 512 tokens."""
    folder = shutil.copytree(tiny_encoder, tmp_path / "roberta")
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    RobertaModel(RobertaConfig(vocab_size=50, max_position_embeddings=12, pad_token_id=1, **shape)).save_pretrained(
        folder
    )
    with pytest.raises(InputError, match="reads 10 at most"):
        load_tokenizer(str(folder), 11)
    load_tokenizer(str(folder), 10)
    ids = torch.full((1, 10), 6)
    assert load_encoder(str(folder)).eval()(ids, torch.ones_like(ids)).shape == (1, 10, 32)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(MachineError, match="this machine has 0 of that kind"):
        choose_device("cuda")


def test_a_word_that_is_no_device_is_refused() -> None:
    with pytest.raises(InputError, match="no device"):
        choose_device("gpu please")


def test_a_knob_that_cannot_work_is_refused() -> None:
    with pytest.raises(InputError, match="epochs is 0"):
        TrainConfig(epochs=0)
    with pytest.raises(InputError, match="seed is -1; it must be from 0"):
        TrainConfig(seed=-1)
    with pytest.raises(InputError, match="no preset 'huge'"):
        preset("huge")


@pytest.mark.parametrize("attention_dropout", [None, 0.0, 0.4])
def test_attention_dropout_is_the_encoders_own_unless_told(tiny_encoder: Path, attention_dropout: float | None) -> None:
    own = load_encoder(str(tiny_encoder)).model.config.attention_probs_dropout_prob  # type: ignore[union-attr]
    assert own not in (0.0, 0.4)
    encoder = load_encoder(str(tiny_encoder), attention_dropout=attention_dropout)
    wanted = own if attention_dropout is None else attention_dropout
    assert [layer.attention.self.dropout.p for layer in encoder.layers] == [wanted] * 3  # type: ignore[union-attr]
