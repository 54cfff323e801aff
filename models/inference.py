"""Running model.onnx on texts and attributes: tokenizer, batches sorted by length, raw outputs. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import release as names
from models.attributes import AttributeRow, AttributeSpec, EncodedAttributes, encode_attributes, load_attributes
from tickets.progress import under_way

INPUTS = ("input_ids", "attention_mask", "categories", "numbers", "missing")
OUTPUTS = ("ticket_vector", "node_logits", "template_query", "token_weights")
BATCH = 8  # tickets; the states between layers of larger ones outgrow a core's own cache, and pad to the longest text

_ROOM, _LITTLE = 1.25, 6  # a batch's longest has at most so many times the tokens of its shortest, and a few more

Feed = dict[str, NDArray[Any]]  # input name -> array
Answered = tuple[NDArray[np.int64], list[NDArray[np.float32]]]  # a batch's tickets, and what the graph says of them


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """One ticket's tokens: character spans, each one's word (None: no word), its weight for the top leaf."""

    offsets: list[tuple[int, int]]
    word_ids: list[int | None]
    weights: list[float]


@dataclass(frozen=True, slots=True)
class Encoded:
    """n tickets as numbers, in the order given, not yet padded. `encodings` are those of the tokenizers library."""

    encodings: list[Any]
    attributes: EncodedAttributes


@dataclass(frozen=True, slots=True)
class Outputs:
    """Raw outputs of n tickets in the order given; vectors have length 1; `tokens` is empty unless asked for."""

    vectors: NDArray[np.float32]  # (n, width)
    node_logits: NDArray[np.float32]  # (n, N)
    template_queries: NDArray[np.float32]  # (n, width)
    tokens: list[TokenWeights]


class OnnxModel:
    """model.onnx with its tokenizer and attribute specification, loaded."""

    def __init__(self, session: Any, tokenizer: Any, attributes: AttributeSpec, *, threads: int) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self._attributes = attributes
        self._threads = threads
        self._pad = next((i for i in map(tokenizer.token_to_id, ("[PAD]", "<pad>")) if i is not None), 0)

    @classmethod
    def load(cls, folder: Path, *, max_tokens: int, threads: int = 1, graph: str = names.ONNX) -> OnnxModel:
        """Load from a model directory; `threads` batches run at once. Raises ReleaseError when that fails."""
        from tokenizers import Tokenizer

        with names.loading(folder):
            session = open_session(folder / graph)
            tokenizer = Tokenizer.from_file(str(folder / names.TOKENIZER))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        return cls(session, tokenizer, load_attributes(folder / names.ATTRIBUTES), threads=threads)

    def run(self, texts: Sequence[str], rows: Sequence[AttributeRow], *, explain: bool = False) -> Outputs:
        """Texts as pipeline.text.features.model_text makes them, and their attributes, in one order."""
        encoded = self.encode(texts, rows)
        order: list[NDArray[np.int64]] = []
        parts: list[list[NDArray[np.float32]]] = []
        tokens: list[TokenWeights] = [TokenWeights([], [], [])] * (len(texts) if explain else 0)
        for batch, (*outputs, weights) in self._answers(encoded):
            order.append(batch)
            parts.append(outputs)
            if explain:
                for row, i in enumerate(batch):
                    tokens[i] = _tokens(encoded.encodings[i], weights[row])
        if not parts:
            nothing = self._nothing(encoded.attributes.categories.shape[1], encoded.attributes.numbers.shape[1])
            return Outputs(nothing[0], nothing[1], nothing[2], tokens)
        back = np.argsort(np.concatenate(order))
        vectors, logits, queries = (np.concatenate(column)[back] for column in zip(*parts, strict=True))
        return Outputs(vectors, logits, queries, tokens)

    def _answers(self, encoded: Encoded) -> Iterator[Answered]:
        """Each batch's tickets and what the graph says of them. A batch has one core: two batches at once are done
        sooner than one after the other on two cores (docs/experiments.md, 2026-11-30)."""

        def answer(batch: tuple[NDArray[np.int64], Feed]) -> Answered:
            return batch[0], self._session.run(list(OUTPUTS), batch[1])

        batches = self.batches(encoded)
        if self._threads == 1 or len(encoded.encodings) <= BATCH:
            yield from _told(map(answer, batches), len(encoded.encodings))
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                yield from _told(pool.map(answer, batches), len(encoded.encodings))

    def encode(self, texts: Sequence[str], rows: Sequence[AttributeRow]) -> Encoded:
        """Tokens, cut at the model's limit, and attributes."""
        if self._threads == 1:  # encode_batch starts threads of its own
            encodings = [self._tokenizer.encode(text) for text in texts]
        else:
            encodings = list(self._tokenizer.encode_batch(list(texts)))
        return Encoded(encodings, encode_attributes(self._attributes, rows))

    def batches(self, encoded: Encoded) -> Iterator[tuple[NDArray[np.int64], Feed]]:
        """What the graph is fed, shortest tickets first, each batch padded to its longest; with the tickets in it."""
        ids, attributes = [encoding.ids for encoding in encoded.encodings], encoded.attributes
        for batch in _of_like_length([len(tokens) for tokens in ids]):
            padded, mask = _pad_ids([ids[i] for i in batch], self._pad)
            told = (attributes.categories[batch], attributes.numbers[batch], attributes.missing[batch])
            yield batch, _feed(padded, mask, *told)

    def _nothing(self, categories: int, numbers: int) -> list[NDArray[np.float32]]:
        """Outputs of no tickets, with the right widths: one padded row is run and dropped."""
        one = np.ones((1, 2), np.int64)
        blank = np.zeros((1, numbers), np.float32)
        fed = _feed(one, one, np.zeros((1, categories), np.int64), blank, blank)
        return [output[:0] for output in self._session.run(list(OUTPUTS[:3]), fed)]


def _told(answers: Iterator[Answered], tickets: int) -> Iterator[Answered]:
    """The same, and whoever watches hears how many tickets are read."""
    read = 0
    for batch, outputs in answers:
        read += len(batch)
        under_way("tickets read by the model", read, tickets)
        yield batch, outputs


def open_session(graph: Path) -> Any:
    """ONNX Runtime on one core, with what makes it fastest there."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        str(graph),
        options,
        providers=["CPUExecutionProvider"],
        # ONNX Runtime's fused kernel works place by place; adding and normalising apart take a sixth less (measured).
        disabled_optimizers=["SkipLayerNormFusion"],
    )


def _of_like_length(lengths: Sequence[int]) -> Iterator[NDArray[np.int64]]:
    """Places of tickets, shortest first, up to BATCH of them at a time and none much longer than the first: a short one
    would be padded, and padding costs as much as text."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    for at in range(len(order)):
        if at - start == BATCH or lengths[order[at]] > _ROOM * lengths[order[start]] + _LITTLE:
            yield order[start:at]
            start = at
    if len(order):
        yield order[start:]


def _feed(*arrays: NDArray[Any]) -> Feed:
    return dict(zip(INPUTS, arrays, strict=True))


def _pad_ids(ids: list[list[int]], pad: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    width = max(map(len, ids))
    padded = np.full((len(ids), width), pad, np.int64)
    mask = np.zeros((len(ids), width), np.int64)
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return padded, mask


def _tokens(encoding: Any, weights: NDArray[np.float32]) -> TokenWeights:
    special = encoding.special_tokens_mask
    word_ids = [None if hidden else word for word, hidden in zip(encoding.word_ids, special, strict=True)]
    return TokenWeights(encoding.offsets, word_ids, weights[: len(word_ids)].tolist())
