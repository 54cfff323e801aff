"""What trained models say of the tickets, to learn from beside what agents recorded.

Several teachers distilled into one model of the size that is served (Hinton et al. 2015, "Distilling the Knowledge in a
Neural Network"), and types guessed for the tickets that nobody has labelled (self-training; Xie et al. 2020,
"Self-training with Noisy Student"). A teacher is any release: what it says is taken through its served graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.batches import TicketArrays, joined
from models.predictions import Predictor, inputs_of
from models.release import Release
from models.training.data import OLDEST_FIRST, Lessons, TrainingData, ticket_arrays
from tickets.errors import InputError, TrainingDataError
from tickets.examples import read_examples
from tickets.progress import Report
from tickets.workspace import Workspace

SHARPNESS = 2.0  # power that a teacher's probabilities are raised to: a student of doubts learns to doubt


def taught(
    data: TrainingData,
    teachers: Sequence[Release],
    *,
    unlabelled: pa.Table | None,
    threads: int,
    report: Report,
) -> TrainingData:
    """The data with lessons: what the teachers, one or more, say on average of the training tickets and of
    `unlabelled` examples.

    A leaf that a teacher does not know gets nothing from it. Raises InputError when a teacher knows none of the leaves.
    """
    tickets = data.train
    if unlabelled is not None and len(unlabelled):
        tickets = joined(tickets, ticket_arrays(data, unlabelled))
    said = np.zeros((len(tickets), len(data.index.leaves)), np.float32)
    for teacher in teachers:
        report(f"Teacher {teacher.version}: {len(tickets):,} tickets.")
        said += _said_by(teacher, data, tickets, threads) / len(teachers)
    return dataclasses.replace(data, lessons=Lessons(tickets, sharpened(said)))


def unlabelled_examples(workspace: Workspace) -> pa.Table:
    """Examples in the lake that have no outcome yet, oldest first. Raises TrainingDataError when there are none."""
    examples = read_examples(workspace, splits=["unlabelled"])
    if not len(examples):
        raise TrainingDataError(
            "every ticket of the lake has an outcome; there are none without a label to learn from.",
            hint="Leave --unlabelled out.",
        )
    return examples.sort_by(OLDEST_FIRST)


def sharpened(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows raised to SHARPNESS, summing to one again; a row without anything becomes even."""
    raised = probabilities**SHARPNESS
    whole = raised.sum(axis=1, keepdims=True)
    even = np.float32(1.0 / max(1, probabilities.shape[1]))
    shares: NDArray[np.float32] = np.where(whole > 0, raised / np.where(whole > 0, whole, 1.0), even).astype(np.float32)
    return shares


def _said_by(teacher: Release, data: TrainingData, tickets: TicketArrays, threads: int) -> NDArray[np.float32]:
    predictor = Predictor.load(teacher, threads=threads)
    nodes = predictor.index.nodes_of([data.index.ids[leaf] for leaf in data.index.leaves])  # the teacher's, (L,)
    known = np.flatnonzero(nodes >= 0)
    if not len(known):
        raise InputError(
            f"the teacher {teacher.version} knows none of the contact types.", hint="Train it on this workspace."
        )
    # A teacher has learned from labelled tickets: what their nearest ticket is, itself, must not speak for it.
    labelled, others = len(data.train), len(tickets) - len(data.train)
    judges = ((predictor.alone(), tickets.rows.slice(0, labelled)), (predictor, tickets.rows.slice(labelled, others)))
    made = np.concatenate([judge.predict(inputs_of(rows)).node_probabilities for judge, rows in judges])
    leaves = np.zeros((len(tickets), len(data.index.leaves)), np.float32)
    leaves[:, known] = made[:, nodes[known]]
    leaves /= np.maximum(leaves.sum(axis=1, keepdims=True), 1e-9)
    return leaves
