"""Judging a model on a split (beside simple ones: models/ladder/rungs.py), and scoring releases on later windows.

Every figure of the model is taken through ONNX after quantisation and calibration: what is measured is what is served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.batches import TicketArrays
from models.predictions import Predictions, Predictor, inputs_of
from models.quality import best_ranks, contact_type_quality, ranks_of, template_quality
from models.release import Release, served_megabytes
from models.suggest import Suggester
from models.templates import TemplateMatrix
from models.training.data import TrainingData
from models.tree_index import TreeIndex
from tickets.contact_types import ContactTypeTree
from tickets.records import ReplyTemplate

Figures = dict[str, dict[str, float]]  # split (or `cost`) -> figure -> value
_TIMED = 50  # tickets, one at a time, that the milliseconds of a ticket are taken from


@dataclass(frozen=True, slots=True)
class Scores:
    """A release's answers on n labelled tickets; what the gate compares, ticket by ticket."""

    ticket_ids: list[str]
    truth: list[str]  # contact types
    predicted: list[str]
    ranks: NDArray[np.int64]  # (n,) place of the true type among the suggestions, 1 is first
    probability: NDArray[np.float32]  # (n,) calibrated, of the first
    template_found: NDArray[np.float64]  # (n,) 1 / rank of the template sent, 0 for an unknown one, nan where none was
    told: NDArray[np.bool_]  # (n,) False where contact types changed so that nothing tells whether it was right

    def __len__(self) -> int:
        return len(self.ticket_ids)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) the first suggestion was right."""
        first: NDArray[np.bool_] = self.ranks == 1
        return first

    def take(self, rows: NDArray[np.bool_]) -> Scores:
        """The tickets whose `rows` (n,) is true."""
        kept = np.flatnonzero(rows).tolist()
        return Scores(
            ticket_ids=[self.ticket_ids[row] for row in kept],
            truth=[self.truth[row] for row in kept],
            predicted=[self.predicted[row] for row in kept],
            ranks=self.ranks[kept],
            probability=self.probability[kept],
            template_found=self.template_found[kept],
            told=self.told[kept],
        )


def score_release(release: Release, features: pa.Table, *, today: ContactTypeTree | None = None) -> Scores:
    """Answers on the examples (tickets.examples) that have a contact type.

    For an inner node any leaf under it is right, as in training and calibration. A contact type that the release does
    not know counts as wrong. With `today`, the tree in use, a leaf of the release counts for what it is
    there, and a ticket whose contact type is no one place there is not `told`.
    """
    labelled = features.filter(pc.is_valid(features["contact_type"]))
    suggester = Suggester.load(release)
    predictions = suggester.predictor.predict(inputs_of(labelled))
    index = suggester.predictor.index
    truth = labelled["contact_type"].to_pylist()
    leaves = predictions.node_probabilities[:, index.leaves]
    ranks, told = best_ranks(index, leaves, index.nodes_of(truth)), np.ones(len(truth), np.bool_)
    if today is not None and today.nodes:
        ranks, told = _judged_today(index, leaves, truth, today)
    order, _ = suggester.template_matrix.rank(predictions.template_queries, leaves, labelled["language"].to_pylist())
    return Scores(
        ticket_ids=labelled["ticket_id"].to_pylist(),
        truth=truth,
        predicted=[index.ids[node] for node in predictions.predicted],
        ranks=ranks,
        probability=predictions.probability,
        template_found=_template_found(suggester.templates, order, labelled["template_id"].to_pylist()),
        told=told,
    )


def _judged_today(
    index: TreeIndex, leaves: NDArray[np.float32], truth: Sequence[str], today: ContactTypeTree
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(n, L) probabilities in leaf order -> (n,) ranks as `best_ranks` gives them, and (n,) `told`.

    A leaf is right where all that it is in today's tree lies at or under the truth; where only a part does, as of a
    type that was split, nobody can tell. Nor can they where the truth itself is no one place today.
    """
    means = [set(today.leaves_today(index.ids[leaf])) for leaf in index.leaves]
    right, perhaps = (np.zeros(leaves.shape, np.bool_) for _ in range(2))
    placed = np.zeros(len(truth), np.bool_)
    for contact_type in set(truth):
        rows = np.array([name == contact_type for name in truth])
        wanted = set(today.leaves_today(contact_type))
        placed[rows] = len(today.migrate(contact_type)) == 1
        right[rows] = [bool(found) and found <= wanted for found in means]
        perhaps[rows] = [not found.isdisjoint(wanted) and not found <= wanted for found in means]
    first = perhaps[np.arange(len(truth)), leaves.argmax(axis=1)] if len(truth) else placed
    return ranks_of(leaves, right), placed & ~first & (right.any(axis=1) | ~perhaps.any(axis=1))


def _template_found(
    templates: Sequence[ReplyTemplate], order: NDArray[np.int64], sent: Sequence[str | None]
) -> NDArray[np.float64]:
    """(n, T) template columns best first -> (n,) reciprocal rank of the one that was sent, as Scores tells it."""
    column = {template.template_id: place for place, template in enumerate(templates)}
    found = np.full(len(sent), np.nan)
    for row, template_id in enumerate(sent):
        if template_id in column:
            found[row] = 1.0 / (1 + int(np.argmax(order[row] == column[template_id])))
        elif template_id is not None:
            found[row] = 0.0
    return found


def evaluate_model(data: TrainingData, predictions: Mapping[str, Predictions], templates: TemplateMatrix) -> Figures:
    """Figures of the model from its `predictions` of each of the `splits`."""
    figures: Figures = {}
    for split, tickets in splits(data).items():
        made = predictions[split]
        leaves = made.node_probabilities[:, data.index.leaves]
        order, _ = templates.rank(made.template_queries, leaves, tickets.rows["language"].to_pylist())
        contact_types = contact_type_quality(data.index, leaves, tickets.node)
        figures[split] = contact_types | template_quality(order, tickets.template)
        figures[split]["abstained"] = float(made.abstained.mean())
    return figures


def splits(data: TrainingData) -> dict[str, TicketArrays]:
    """The splits that have tickets, among validation and test."""
    return {name: part for name, part in (("validation", data.validation), ("test", data.test)) if len(part)}


def timed_rows(data: TrainingData) -> list[pa.Table]:
    """Single examples that the cost of a ticket is measured on: of validation, or of test where it is empty."""
    rows = (data.validation if len(data.validation) else data.test).rows
    return [rows.slice(row, 1) for row in range(min(_TIMED, len(rows)))]


def model_cost(
    release_folder: Path, predictor: Predictor, data: TrainingData, train_seconds: float
) -> dict[str, float]:
    """What the model in a directory costs, as every rung of the ladder tells it."""
    return {
        "train_seconds": train_seconds,
        "ms_per_ticket": milliseconds(predictor.predict, [inputs_of(row) for row in timed_rows(data)]),
        "megabytes": served_megabytes(release_folder),
    }


def milliseconds(predict: Callable[[Any], object], singles: Sequence[Any]) -> float:
    """The median over single tickets on one thread, after one to warm up; 0 without tickets."""
    if not singles:
        return 0.0
    seconds = []
    with one_thread():
        predict(singles[0])
        for single in singles:
            started = time.perf_counter()
            predict(single)
            seconds.append(time.perf_counter() - started)
    return 1000.0 * float(np.median(seconds))


@contextmanager
def one_thread() -> Iterator[None]:
    """Numeric libraries use one thread inside, as a service that answers several agents at once does."""
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
