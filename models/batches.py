"""Tickets as token ids and arrays, and in batches: tokenised once, each together with others of its length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tokenizers import Tokenizer

NONE = -1  # no template, no negative; of a ticket without a label, no node
_TOKENISE_AT_ONCE = 8_192  # texts; bounds the tokeniser's memory
_BUCKET_BATCHES = 50  # batches sorted by length together; the order stays random beyond that


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of n texts, one after the other: text i is `values[offsets[i]:offsets[i + 1]]`."""

    values: NDArray[np.int32]
    offsets: NDArray[np.int64]  # (n + 1,)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.diff(self.offsets)

    def padded(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Ids and attention mask of some texts, (rows, longest of them) int64; padding has mask 0 and id 0."""
        lengths = self.lengths[rows]
        columns = np.arange(int(lengths.max(initial=1)))
        mask = columns < lengths[:, None]
        ids = np.zeros(mask.shape, dtype=np.int64)
        ids[mask] = self.values[(self.offsets[rows][:, None] + columns)[mask]]
        return ids, mask.astype(np.int64)


@dataclass(frozen=True, slots=True)
class TicketArrays:
    """The n tickets of one split that have a usable outcome. `rows` are their examples, in the same order."""

    rows: pa.Table
    tokens: Tokens
    categories: NDArray[np.int64]  # (n, C)
    numbers: NDArray[np.float32]  # (n, M)
    missing: NDArray[np.float32]  # (n, M)
    node: NDArray[np.int64]  # (n,) the contact type's place in the tree; may be an inner node
    template: NDArray[np.int64]  # (n,) the template's place in TrainingData.templates, or NONE
    negatives: NDArray[np.int64]  # (n, K) templates not sent, from PAIRS, padded with NONE; K is 0 but for training

    def __len__(self) -> int:
        return len(self.node)

    @property
    def ticket_ids(self) -> list[str]:
        return list(self.rows["ticket_id"].to_pylist())

    def take(self, rows: NDArray[np.int64]) -> TicketArrays:
        """Some of the tickets, in the given order."""
        lengths = self.tokens.lengths[rows]
        pieces = [self.tokens.values[self.tokens.offsets[row] : self.tokens.offsets[row + 1]] for row in rows]
        values = np.concatenate(pieces) if pieces else np.zeros(0, np.int32)
        return TicketArrays(
            self.rows.take(pa.array(rows)),
            Tokens(values, np.concatenate([[0], np.cumsum(lengths)])),
            categories=self.categories[rows],
            numbers=self.numbers[rows],
            missing=self.missing[rows],
            node=self.node[rows],
            template=self.template[rows],
            negatives=self.negatives[rows],
        )

    def newest(self, most: int) -> TicketArrays:
        """The last of the tickets, which are the newest where they stand in order of time."""
        return self.take(np.arange(max(0, len(self) - most), len(self)))

    def spread(self, most: int) -> TicketArrays:
        """Some of the tickets, evenly over all of them."""
        return self.take(spread_rows(len(self), most))


@dataclass(frozen=True, slots=True)
class Batch:
    """Arrays of `rows` tickets of one split, padded to the longest of them."""

    rows: NDArray[np.int64]
    input_ids: NDArray[np.int64]  # (batch, T)
    attention_mask: NDArray[np.int64]  # (batch, T)
    categories: NDArray[np.int64]  # (batch, C)
    numbers: NDArray[np.float32]  # (batch, M)
    missing: NDArray[np.float32]  # (batch, M)
    node: NDArray[np.int64]  # (batch,)
    template: NDArray[np.int64]  # (batch,)


def spread_rows(count: int, most: int) -> NDArray[np.int64]:
    """At most `most` of `count` rows, in their order and evenly over all of them."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def joined(first: TicketArrays, then: TicketArrays) -> TicketArrays:
    """The tickets of both, in order; `then` has no negatives."""
    tokens = Tokens(
        np.concatenate([first.tokens.values, then.tokens.values]),
        np.concatenate([first.tokens.offsets, first.tokens.offsets[-1] + then.tokens.offsets[1:]]),
    )
    none = np.full((len(then), first.negatives.shape[1]), NONE, np.int64)
    return TicketArrays(
        pa.concat_tables([first.rows, then.rows.select(first.rows.schema.names)]),
        tokens,
        categories=np.concatenate([first.categories, then.categories]),
        numbers=np.concatenate([first.numbers, then.numbers]),
        missing=np.concatenate([first.missing, then.missing]),
        node=np.concatenate([first.node, then.node]),
        template=np.concatenate([first.template, then.template]),
        negatives=np.concatenate([first.negatives, none]),
    )


def tokenise(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    """Token ids of the texts, cut where the tokenizer truncates."""
    pieces: list[NDArray[np.int32]] = []
    lengths = np.zeros(len(texts), dtype=np.int64)
    for start in range(0, len(texts), _TOKENISE_AT_ONCE):
        for number, encoding in enumerate(tokenizer.encode_batch(list(texts[start : start + _TOKENISE_AT_ONCE]))):
            pieces.append(np.asarray(encoding.ids, dtype=np.int32))
            lengths[start + number] = len(encoding.ids)
    values = np.concatenate(pieces) if pieces else np.zeros(0, np.int32)
    return Tokens(values, np.concatenate([[0], np.cumsum(lengths)]))


def batch_of(tickets: TicketArrays, rows: NDArray[np.int64]) -> Batch:
    """The given tickets as one padded batch."""
    ids, mask = tickets.tokens.padded(rows)
    return Batch(
        rows=rows,
        input_ids=ids,
        attention_mask=mask,
        categories=tickets.categories[rows],
        numbers=tickets.numbers[rows],
        missing=tickets.missing[rows],
        node=tickets.node[rows],
        template=tickets.template[rows],
    )


def training_order(lengths: NDArray[np.int64], batch_size: int, *, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Rows of each batch of an epoch: every ticket once, like lengths together, in an order that seed and epoch fix."""
    random = np.random.default_rng([seed, epoch])
    shuffled = random.permutation(len(lengths))
    batches: list[NDArray[np.int64]] = []
    bucket = batch_size * _BUCKET_BATCHES
    for start in range(0, len(shuffled), bucket):
        rows = shuffled[start : start + bucket]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        batches += [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
    return [batches[number] for number in random.permutation(len(batches))]


def evaluation_batches(tickets: TicketArrays, batch_size: int) -> Iterator[Batch]:
    """Every ticket once, shortest first."""
    rows = np.argsort(tickets.tokens.lengths, kind="stable")
    for start in range(0, len(rows), batch_size):
        yield batch_of(tickets, rows[start : start + batch_size])
