"""Judging a model beside simple ones on the same split, and scoring releases on later windows.

Every figure of the model is taken through ONNX after quantisation and calibration: what is measured is what is served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.baselines import Baseline, majority, tfidf
from models.batches import TicketArrays, TrainingData
from models.predictions import Predictions, Predictor, inputs_of
from models.quality import best_ranks, contact_type_quality, leaf_columns, template_quality
from models.release import Release
from models.templates import rank_templates

Rung = Callable[..., Baseline]
Figures = dict[str, dict[str, float]]  # split (or `cost`) -> figure -> value
LADDER: Mapping[str, Rung] = {"majority": majority.fit, "tfidf": tfidf.fit}
_TIMED = 50  # tickets, one at a time, that the milliseconds of a ticket are taken from


@dataclass(frozen=True, slots=True)
class Scores:
    """A release's answers on n labelled tickets; what the gate compares, ticket by ticket."""

    ticket_ids: list[str]
    truth: list[str]  # contact types
    predicted: list[str]
    correct: NDArray[np.bool_]  # (n,) the first suggestion was right
    hit_at_3: NDArray[np.bool_]  # (n,)
    probability: NDArray[np.float32]  # (n,) calibrated, of the first suggestion
    abstained: NDArray[np.bool_]  # (n,)

    def __len__(self) -> int:
        return len(self.ticket_ids)


def score_release(release: Release, features: pa.Table, *, threads: int = 1) -> Scores:
    """Answers on the examples (tickets.examples) that have a contact type.

    For an inner node any leaf under it is right, as in training and calibration. A contact type that the release does
    not know counts as wrong.
    """
    labelled = features.filter(pc.is_valid(features["contact_type"]))
    predictor = Predictor.load(release, threads=threads)
    predictions = predictor.predict(inputs_of(labelled))
    index = predictor.index
    place = {contact_type: node for node, contact_type in enumerate(index.ids)}
    truth = labelled["contact_type"].to_pylist()
    nodes = np.array([place.get(contact_type, -1) for contact_type in truth], np.int64)
    ranks = best_ranks(index, predictions.node_probabilities[:, index.leaves], nodes)
    return Scores(
        ticket_ids=labelled["ticket_id"].to_pylist(),
        truth=truth,
        predicted=[index.ids[node] for node in predictions.predicted],
        correct=ranks == 1,
        hit_at_3=ranks <= 3,
        probability=predictions.probability,
        abstained=predictions.abstained,
    )


def evaluate_model(
    data: TrainingData, predictions: Mapping[str, Predictions], template_vectors: NDArray[np.float32]
) -> Figures:
    """Figures of the model from its `predictions` of each of the `splits`."""
    figures: Figures = {}
    for split, tickets in splits(data).items():
        made = predictions[split]
        order, _ = rank_templates(
            data.templates, template_vectors, made.template_queries, tickets.rows["language"].to_pylist()
        )
        leaves = made.node_probabilities[:, data.index.leaves]
        contact_types = contact_type_quality(data.index, leaves, tickets.node)
        figures[split] = contact_types | template_quality(order, tickets.template)
        figures[split]["abstained"] = float(made.abstained.mean())
    return figures


def evaluate_baselines(
    data: TrainingData, *, seed: int, report: Callable[[str], None], ladder: Mapping[str, Rung] = LADDER
) -> dict[str, Figures]:
    """Figures of each rung, fitted on the same training tickets and measured on the same splits, with its cost.

    A rung ranks templates by how often they were sent for the contact types it expects. {} when the training tickets
    have fewer than two leaves among them: inner nodes teach a rung nothing.
    """
    leaves = leaf_columns(data.index, data.train.node)
    usable = leaves >= 0
    if len(np.unique(leaves[usable])) < 2:
        report("Baselines are left out: they need training tickets of two leaves of the tree.")
        return {}
    texts = data.train.rows.filter(pa.array(usable))["text"].to_pylist()
    sent = _sent_for(leaves[usable], data.train.template[usable], len(data.index.leaves), len(data.templates))
    figures: dict[str, Figures] = {}
    for name, fit in ladder.items():
        report(f"Baseline: {name}")
        started = time.perf_counter()
        baseline = fit(texts, leaves[usable], len(data.index.leaves), seed=seed)
        seconds = time.perf_counter() - started
        figures[name] = {
            split: _baseline_figures(baseline, data, tickets, sent) for split, tickets in splits(data).items()
        }
        some = [row["text"].to_pylist() for row in timed_rows(data)]
        figures[name]["cost"] = {
            "train_seconds": seconds,
            "ms_per_ticket": milliseconds(baseline.predict, some),
            "megabytes": baseline.megabytes,
        }
    return figures


def splits(data: TrainingData) -> dict[str, TicketArrays]:
    """The splits that have tickets, among validation and test."""
    return {name: part for name, part in (("validation", data.validation), ("test", data.test)) if len(part)}


def timed_rows(data: TrainingData) -> list[pa.Table]:
    """Single examples that the cost of a ticket is measured on."""
    return [data.validation.rows.slice(row, 1) for row in range(min(_TIMED, len(data.validation)))]


def milliseconds(predict: Callable[[Any], object], singles: Sequence[Any]) -> float:
    """The median over single tickets, after one to warm up; 0 without tickets."""
    if not singles:
        return 0.0
    predict(singles[0])
    seconds = []
    for single in singles:
        started = time.perf_counter()
        predict(single)
        seconds.append(time.perf_counter() - started)
    return 1000.0 * float(np.median(seconds))


def _baseline_figures(
    baseline: Baseline, data: TrainingData, tickets: TicketArrays, sent: NDArray[np.float32]
) -> dict[str, float]:
    leaves = baseline.predict(tickets.rows["text"].to_pylist())
    order = np.argsort(-(leaves @ sent), axis=1, kind="stable")
    return contact_type_quality(data.index, leaves, tickets.node) | template_quality(order, tickets.template)


def _sent_for(
    leaves: NDArray[np.int64], templates: NDArray[np.int64], leaf_count: int, template_count: int
) -> NDArray[np.float32]:
    """(L, T) share of each leaf's replies that used each template; a leaf without any uses the overall shares."""
    counts = np.zeros((leaf_count, template_count), np.float32)
    answered = templates >= 0
    np.add.at(counts, (leaves[answered], templates[answered]), 1.0)
    overall = counts.sum(axis=0) / max(float(counts.sum()), 1.0)
    shares: NDArray[np.float32] = (counts + overall) / np.maximum(counts.sum(axis=1, keepdims=True) + 1.0, 1.0)
    return shares
