"""What rungs 6 and 7 share: COTA v2's encoder - combiner - decoder with word embeddings learned from nothing.

Method: Molino, Zheng, Wang, KDD 2018, https://arxiv.org/abs/1807.01337. A reader makes one vector of a text's words,
the attributes join it, and a decoder goes down the contact-type tree. Attributes, fusion and decoder are the model's
own, so what differs from the last rung is the text encoder.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.attributes import AttributeSpec, EncodedAttributes, encode_attributes
from models.baselines import Baseline, RungData, megabytes_of
from models.batches import Tokens, training_order
from models.config import TrainConfig
from models.decoder import ContactTypeDecoder
from models.device import choose_device
from models.network import AttributeReader, GatedFusion
from models.predictions import ModelInputs
from models.quality import true_ranks
from pipeline.topics.words import words

WORD_WIDTH = 128
DROPOUT = 0.3
EPOCHS = 40  # at most
PATIENCE = 5  # epochs without improvement on the validation tickets; the best weights are kept
EPOCHS_UNSEEN = 15  # where there are no validation tickets to tell
BATCH = 32
RATE = 2e-3
_MOST_WORDS = 30_000
_UNKNOWN = 1  # 0 is padding
_PREDICT_AT_ONCE = 64


class WordNetwork(nn.Module):
    """`reader` makes (batch, 384) of embedded words (batch, T, WORD_WIDTH) and their mask (batch, T)."""

    def __init__(self, vocabulary_size: int, reader: nn.Module, data: RungData) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, WORD_WIDTH, padding_idx=0)
        self.dropout = nn.Dropout(DROPOUT)
        self.reader = reader
        self.attributes = AttributeReader(data.attributes, dropout=data.config.attribute_dropout)
        self.fusion = GatedFusion()
        self.decoder = ContactTypeDecoder(data.index, node_dropout=0.0)
        nn.init.normal_(self.decoder.difference, std=0.05)  # no encoder reads the nodes' texts here

    def forward(self, ids: Tensor, mask: Tensor, categories: Tensor, numbers: Tensor, missing: Tensor) -> Tensor:
        """Node logits (batch, N)."""
        text = normalize(self.reader(self.dropout(self.embedding(ids)), mask), dim=1)
        vector = self.fusion(text, self.attributes(categories, numbers, missing))
        logits: Tensor = self.decoder(self.dropout(vector))
        return logits


@dataclass(frozen=True)
class Vocabulary:
    """Word -> its number, from 2 on, and how many words of a text are read."""

    number: dict[str, int]
    most: int

    @classmethod
    def of(cls, texts: Sequence[str], *, most: int) -> Vocabulary:
        """Words of one ticket alone stay unknown, so that unknown ones are no surprise."""
        counts = Counter(word for text in texts for word in set(words(text)))
        often = [word for word, count in counts.most_common(_MOST_WORDS) if count > 1]
        return cls({word: number for number, word in enumerate(sorted(often), start=2)}, most)

    def __len__(self) -> int:
        return len(self.number) + 2

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """A text without words has one unknown."""
        rows = [[self.number.get(word, _UNKNOWN) for word in words(text)[: self.most]] or [_UNKNOWN] for text in texts]
        values = np.array([number for row in rows for number in row], np.int32)
        return Tokens(values, np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]))


def fit_network(data: RungData, reader: nn.Module) -> Baseline:
    """Train with AdamW, look at the validation tickets each epoch, keep the best weights."""
    vocabulary = Vocabulary.of(data.inputs.texts, most=data.config.max_tokens)
    network = WordNetwork(len(vocabulary), reader, data)
    train(network, vocabulary, data)

    def predict(unseen: ModelInputs) -> NDArray[np.float32]:
        return probabilities(network, vocabulary, data.attributes, unseen)

    weights = sum(parameter.numel() * 4 for parameter in network.parameters()) / 1e6
    return Baseline(predict, weights + megabytes_of(vocabulary, data.attributes))


def train(network: WordNetwork, vocabulary: Vocabulary, data: RungData) -> list[float]:
    """Mean loss of each epoch, in nats. Leaves the network on the CPU, in evaluation mode."""
    device = choose_device(data.config.device)
    tokens = vocabulary.tokens(data.inputs.texts)
    told = encode_attributes(data.attributes, data.inputs.rows)
    node = torch.from_numpy(data.index.leaves[data.leaf])
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=data.config.weight_decay)
    seen = len(data.validation_leaf) > 0
    best, since, kept = -1.0, 0, copy.deepcopy(network.state_dict())
    losses: list[float] = []
    while len(losses) < (EPOCHS if seen else EPOCHS_UNSEEN) and since < PATIENCE:
        network.to(device).train()
        order = training_order(tokens.lengths, BATCH, seed=data.config.seed, epoch=len(losses))
        steps = [
            _step(network, optimiser, _tensors(tokens, told, rows, device), node[rows].to(device), data.config)
            for rows in order
        ]
        losses.append(float(np.mean(steps)))
        network.to("cpu").eval()
        if seen:
            found = probabilities(network, vocabulary, data.attributes, data.validation)
            quality = float(np.mean(1.0 / true_ranks(found, data.validation_leaf)))
            since += 1
            if quality > best:
                best, since, kept = quality, 0, copy.deepcopy(network.state_dict())
    if seen:
        network.load_state_dict(kept)
    return losses


def probabilities(
    network: WordNetwork, vocabulary: Vocabulary, spec: AttributeSpec, inputs: ModelInputs
) -> NDArray[np.float32]:
    """(n, L) probability of each leaf, on the CPU."""
    tokens, told = vocabulary.tokens(inputs.texts), encode_attributes(spec, inputs.rows)
    found = np.zeros((len(inputs.texts), len(network.decoder.leaves)), np.float32)
    order = np.argsort(tokens.lengths, kind="stable")
    with torch.no_grad():
        for start in range(0, len(order), _PREDICT_AT_ONCE):
            rows = order[start : start + _PREDICT_AT_ONCE]
            logits = network(*_tensors(tokens, told, rows, torch.device("cpu")))
            found[rows] = network.decoder.leaf_probabilities(logits).numpy()
    return found


def _step(
    network: WordNetwork, optimiser: torch.optim.Optimizer, inputs: Sequence[Tensor], node: Tensor, config: TrainConfig
) -> float:
    loss = network.decoder.loss(network(*inputs), node, smoothing=config.label_smoothing)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
    torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
    optimiser.step()
    return float(loss.detach())


def _tensors(
    tokens: Tokens, told: EncodedAttributes, rows: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, ...]:
    arrays = (*tokens.padded(rows), told.categories[rows], told.numbers[rows], told.missing[rows])
    return tuple(torch.from_numpy(array).to(device) for array in arrays)
