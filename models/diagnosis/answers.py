"""Three ways to learn from some tickets and answer others, cheap to dear: TF-IDF and a frozen encoder, each with
logistic regression, and the network itself. And the model that is there already."""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.baselines import RungData, spread, tfidf
from models.baselines.frozen import INVERSE_PENALTY
from models.batches import TicketArrays, evaluation_batches
from models.config import TrainConfig
from models.predictions import ModelInputs, Predictor, inputs_of
from models.quality import best_ranks
from models.training.data import TrainingData
from models.tree_index import TreeIndex
from tickets.errors import TrainingDataError
from tickets.progress import Progress, Report

if TYPE_CHECKING:
    from models.network import TriageNetwork
    from models.release import Release

Judge = Callable[[TicketArrays], NDArray[np.bool_]]  # n tickets -> (n,) whether the first suggestion is wrong
Learn = Callable[[TicketArrays, int], Judge]  # tickets to learn from, a seed
Embed = Callable[[Sequence[str]], NDArray[np.float32]]  # n texts -> (n, width) of length one


def tfidf_rung(data: TrainingData, config: TrainConfig) -> Learn:
    """The rung of the ladder, on whatever tickets it is given."""

    def learn(tickets: TicketArrays, seed: int) -> Judge:
        inputs, leaves = _labelled(data.index, tickets)
        if len(np.unique(leaves)) == 1:
            return _judge(data.index, lambda unseen: _always(leaves[0], len(unseen), len(data.index.leaves)))
        rung = RungData(
            inputs=inputs,
            leaf=leaves,
            validation=ModelInputs([], []),
            validation_leaf=np.zeros(0, np.int64),
            tree=data.tree,
            index=data.index,
            attributes=data.attributes,
            config=dataclasses.replace(config, seed=seed),
        )
        fitted = tfidf.fit(rung)
        return _judge(data.index, lambda unseen: fitted.predict(inputs_of(unseen.rows)))

    return learn


def frozen_rung(data: TrainingData, embed: Embed) -> Learn:
    """Logistic regression on what an encoder makes of the texts. Each text is encoded once, however often it is
    learned from."""
    known: dict[str, NDArray[np.float32]] = {}

    def vectors(texts: Sequence[str]) -> NDArray[np.float32]:
        if new := sorted(set(texts) - known.keys()):  # to embed nothing would still start the encoder
            known.update(zip(new, embed(new), strict=True))
        return np.stack([known[text] for text in texts])

    def learn(tickets: TicketArrays, seed: int) -> Judge:
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        inputs, leaves = _labelled(data.index, tickets)
        if len(np.unique(leaves)) == 1:
            return _judge(data.index, lambda unseen: _always(leaves[0], len(unseen), len(data.index.leaves)))
        classifier = LogisticRegression(C=INVERSE_PENALTY, max_iter=300, random_state=seed)
        known_vectors = vectors(inputs.texts)
        # Threads that wait for each other cost more than these products take.
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="The number of unique classes")  # the smallest sizes of a curve
            classifier.fit(known_vectors, leaves)

        def answer(unseen: TicketArrays) -> NDArray[np.float32]:
            shares = classifier.predict_proba(vectors(unseen.rows["text"].to_pylist()))
            return spread(classifier.classes_, shares, len(data.index.leaves))

        return _judge(data.index, answer)

    return learn


def pretrained(data: TrainingData, config: TrainConfig) -> Embed:
    """The encoder before it learns anything, int8 on all cores, as the ladder runs it. Raises InputError, MachineError,
    ReleaseError."""
    from models.baselines.text_vectors import MeanPooled, TextVectors
    from models.encoder import load_encoder

    vectors = TextVectors.of(MeanPooled(load_encoder(config.encoder)), data.tokenizer)
    return lambda texts: vectors.embed(texts, all_cores=True)


def of_network(data: TrainingData, network: TriageNetwork) -> Embed:
    """The network's own encoder and projection, where the network is."""
    return lambda texts: network.encode_texts(data.tokenizer, texts).cpu().numpy()


def network_rung(data: TrainingData, config: TrainConfig, *, report: Report, progress: Progress) -> Learn:
    """The whole training on the given tickets, judged on `data.validation` as it goes."""

    def learn(tickets: TicketArrays, seed: int) -> Judge:
        from models.device import choose_device
        from models.training.fit import fit

        part = dataclasses.replace(data, train=tickets, lessons=None)
        with tempfile.TemporaryDirectory() as folder:
            seeded = dataclasses.replace(config, seed=seed)
            network = fit(part, seeded, folder=Path(folder), report=report, progress=progress).network
        network.to(choose_device(config.device))
        return _judge(data.index, lambda unseen: _network_leaves(network, unseen, config.batch_size))

    return learn


def release_judge(release: Release, data: TrainingData) -> Judge:
    """A trained model as it is served: ONNX, int8. Tickets of `data.train`, which it learned from, are judged without
    the votes of training tickets: the nearest one of such a ticket is itself.

    What the model says counts for what it means in the tree of `data`. Raises ReleaseError.
    """
    predictor = Predictor.load(release)
    alone, learned = predictor.alone(), frozenset(data.train.ticket_ids)
    right = _right_today(predictor.index, data)

    def judge(tickets: TicketArrays) -> NDArray[np.bool_]:
        heard = predictor if learned.isdisjoint(tickets.ticket_ids) else alone
        return np.asarray(~right[heard.predict(inputs_of(tickets.rows)).predicted, tickets.node])

    return judge


def _right_today(known: TreeIndex, data: TrainingData) -> NDArray[np.bool_]:
    """(nodes of `known`, nodes of `data`) whether the first is right where the second is the contact type: all that it
    means in today's tree lies there or under it."""
    right = np.zeros((len(known.ids), len(data.index.ids)), np.bool_)
    for row, contact_type in enumerate(known.ids):
        meant = [data.index.position(current) for current in data.tree.migrate(contact_type)]
        if meant:
            right[row] = (data.index.ancestors[:, meant] > 0).all(axis=1)
    return right


def _judge(index: TreeIndex, answer: Callable[[TicketArrays], NDArray[np.float32]]) -> Judge:
    """From (n, L) probabilities of leaves. For an inner node any leaf under it is right."""

    def judge(tickets: TicketArrays) -> NDArray[np.bool_]:
        if not len(tickets):
            return np.zeros(0, np.bool_)
        return np.asarray(best_ranks(index, answer(tickets), tickets.node) != 1)

    return judge


def _always(leaf: int, tickets: int, leaves: int) -> NDArray[np.float32]:
    """Where there is one leaf to learn, it is the answer."""
    return np.tile(np.eye(1, leaves, leaf, dtype=np.float32), (tickets, 1))


def _network_leaves(network: TriageNetwork, tickets: TicketArrays, batch_size: int) -> NDArray[np.float32]:
    import torch

    from models.training.run import tensors_of

    probabilities = np.zeros((len(tickets), len(network.index.leaves)), np.float32)
    network.eval()
    with torch.no_grad():
        for batch in evaluation_batches(tickets, batch_size * 2):
            logits = network(*tensors_of(batch, network.encoder.device)).node_logits
            probabilities[batch.rows] = network.decoder.leaf_probabilities(logits).cpu().numpy()
    return probabilities


def _labelled(index: TreeIndex, tickets: TicketArrays) -> tuple[ModelInputs, NDArray[np.int64]]:
    """Inputs and leaf columns of the tickets whose contact type is a leaf. Raises TrainingDataError when none is."""
    leaves = index.columns_of(tickets.node)
    usable = leaves >= 0
    if not usable.any():
        raise TrainingDataError(
            f"none of {len(tickets):,} tickets to learn from has a leaf of the tree as its contact type.",
            hint="Import more tickets with outcomes.",
        )
    return inputs_of(tickets.rows.filter(pa.array(usable))), leaves[usable]
