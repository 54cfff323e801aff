"""The text encoder of a model directory, loaded by plain transformers: the same vectors as in the product."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from torch.nn.functional import normalize
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from models.attributes import load_attributes
from models.batches import tokenise
from models.config import DEFAULT_ENCODER, TrainConfig
from models.directory import write_network
from models.encoder import load_encoder, load_tokenizer
from models.heads import load_heads
from models.network import TriageNetwork, build_network
from models.release import open_release
from models.training.data import TrainingData, load_training_data
from tickets.catalogue import load_tree

TEXTS = [
    "Where is my refund?",
    "card charged twice, twice! double payment on my statement",
    "lost bag " * 200,  # longer than any limit here: both must cut at the same place
    "Überweisung zurück, bitte",
]


def by_transformers(folder: Path, subfolder: str = "") -> torch.Tensor:
    """(n, width): mean token states of TEXTS, of length one, as the model card says."""
    tokenizer = AutoTokenizer.from_pretrained(folder, subfolder=subfolder)
    model = AutoModel.from_pretrained(folder, subfolder=subfolder)
    batch = tokenizer(TEXTS, padding=True, truncation=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch).last_hidden_state
    return normalize((states * batch["attention_mask"].unsqueeze(-1)).sum(dim=1), dim=1)


@pytest.fixture(scope="module")
def network(trained) -> TriageNetwork:
    """The trained network, read back from its directory as a challenger's training does."""
    release = open_release(trained.model.folder)
    config = TrainConfig(**{**release.config, "device": "cpu"})
    tree, spec = load_tree(release.path("contact_types.json")), load_attributes(release.path("attributes.json"))
    network = build_network(str(release.path("encoder")), tree, spec, config)
    load_heads(network, release.path("heads.safetensors"))
    return network.eval()


def product_states(folder: Path, max_tokens: int) -> torch.Tensor:
    tokens = tokenise(load_tokenizer(str(folder), max_tokens), TEXTS)
    ids, mask = (torch.from_numpy(array) for array in tokens.padded(np.arange(len(TEXTS))))
    with torch.no_grad():
        states = load_encoder(str(folder)).eval()(ids, mask)
    return normalize((states * mask.unsqueeze(2)).sum(dim=1), dim=1)


def test_vectors_are_those_of_the_products_own_encoder(trained, network: TriageNetwork, tiny_config: TrainConfig):
    folder = trained.model.folder / "encoder"
    plain = by_transformers(folder)
    assert torch.allclose(plain, product_states(folder, tiny_config.max_tokens), atol=1e-5)
    with torch.no_grad():
        projected = normalize(network.projection(plain), dim=1)  # the head makes 384 of the encoder's 32
    tokenizer = load_tokenizer(str(folder), tiny_config.max_tokens)
    assert torch.allclose(projected, network.encode_texts(tokenizer, TEXTS), atol=1e-5)


def test_the_hubs_way_of_a_subfolder_finds_it_too(trained):
    assert torch.equal(
        by_transformers(trained.model.folder, "encoder"), by_transformers(trained.model.folder / "encoder")
    )


def test_its_tokenizer_is_the_served_one(trained, tiny_config: TrainConfig):
    """Also where a text is cut."""
    plain = AutoTokenizer.from_pretrained(trained.model.folder / "encoder")
    served = Tokenizer.from_file(str(trained.model.folder / "tokenizer.json"))
    served.no_padding()
    assert plain(TEXTS, truncation=True)["input_ids"] == [one.ids for one in served.encode_batch(TEXTS)]
    assert len(plain(TEXTS[2], truncation=True)["input_ids"]) == tiny_config.max_tokens


def test_weights_are_safetensors_and_no_pickle(trained):
    files = {path.name for path in trained.model.folder.rglob("*") if path.is_file()}
    assert "model.safetensors" in files
    assert not {name for name in files if Path(name).suffix in (".bin", ".pt", ".pkl", ".pickle")}
    config = json.loads((trained.model.folder / "encoder" / "config.json").read_text())
    assert config["model_type"] == "bert"


def test_writing_it_leaves_the_progress_bars_of_transformers_as_they_were(
    network: TriageNetwork, made_up, tiny_config: TrainConfig, tmp_path: Path
):
    tokenizer = load_tokenizer(tiny_config.encoder, tiny_config.max_tokens)
    data = load_training_data(made_up, tokenizer, tiny_config, report=lambda _line: None)
    logging.enable_progress_bar()
    write_network(network, data, tmp_path, encoder=tiny_config.encoder)
    assert logging.is_progress_bar_enabled()


@pytest.fixture(scope="module")
def minilm(made_up, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TriageNetwork, TrainingData]:
    """The default encoder in a directory as training leaves it, with heads that learned nothing yet."""
    config = TrainConfig(device="cpu", max_tokens=64)
    tokenizer = load_tokenizer(DEFAULT_ENCODER, config.max_tokens)
    data = load_training_data(made_up, tokenizer, config, report=lambda _line: None)
    network = build_network(DEFAULT_ENCODER, data.tree, data.attributes, config)
    folder = tmp_path_factory.mktemp("minilm")
    write_network(network, data, folder, encoder=DEFAULT_ENCODER)
    return folder, network, data


def test_so_are_those_of_the_default_encoder(minilm: tuple[Path, TriageNetwork, TrainingData]):
    folder, network, data = minilm
    assert torch.allclose(by_transformers(folder / "encoder"), network.encode_texts(data.tokenizer, TEXTS), atol=1e-5)
