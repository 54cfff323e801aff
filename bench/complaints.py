"""CFPB complaints as training data: through the pipeline, trained on all before June 2023, judged on ten weeks after;
and TF-IDF on the same rows.

The split leaves out of the test period every complaint whose near-duplicate stands in an earlier split, so figures are
lower than on all rows of the period.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from public_data import COMPLAINTS
from tokenizers import Tokenizer

from models.baselines import tfidf
from models.config import TrainConfig
from models.label_mix import days_of, label_mix
from models.ladder.rungs import rung_data
from models.predictions import ModelInputs, inputs_of
from models.quality import true_ranks
from models.training.data import TrainingData, labelled_examples, training_data
from models.tree_index import path_probabilities
from pipeline.datasets import ready_dataset
from pipeline.importing import import_dataset
from pipeline.nightly import run_pipeline
from pipeline.session import spark_session
from pipeline.split import SplitPlan
from tickets.catalogue import read_dataset, read_tree
from tickets.progress import silent
from tickets.workspace import Workspace

# The days right before the test are the nearest to it in wording and mix: they are for learning, so few validate.
PLAN = SplitPlan(validation_from=dt.date(2023, 6, 13), test_from=dt.date(2023, 6, 15), test_until=dt.date(2023, 8, 24))
SPLITS = ("train", "validation", "test")


def lake(folder: Path) -> Workspace:
    """The complaints imported, cleaned and split. Takes about a minute; Spark."""
    workspace = Workspace.create(folder)
    as_of = dt.date(2024, 2, 1)
    import_dataset(workspace, [COMPLAINTS], ready_dataset("cfpb"), as_of=as_of, report=silent)
    with spark_session() as spark:
        run_pipeline(workspace, as_of=as_of, spark=spark, plan=PLAN, report=silent)
    return workspace


def data_of(
    workspace: Workspace, tokenizer: Tokenizer, config: TrainConfig, *, with_attributes: bool, most: int | None = None
) -> TrainingData:
    """`most` tickets a split, the newest of training. Without attributes only the text and its statistics are told."""
    parts = {}
    for split, labelled in labelled_examples(workspace, SPLITS).items():
        first = max(0, len(labelled) - most) if most is not None and split == "train" else 0
        rows = labelled.slice(first, most)
        if not with_attributes:
            place = rows.schema.get_field_index("attributes")
            rows = rows.set_column(place, rows.schema.field(place), pa.array(["{}"] * len(rows)))
        parts[split] = rows
    return training_data(
        parts,
        dataset=read_dataset(workspace),
        tree=read_tree(workspace),
        templates=(),
        tokenizer=tokenizer,
        config=config,
        negatives={},
        report=silent,
    )


def tfidf_ranks(data: TrainingData, *, with_attributes: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the true leaf of each test ticket that ends in one; then the same with the label mix of the last weeks.
    Attributes are told as words of their own."""
    learned = rung_data(data, TrainConfig())
    unseen = inputs_of(data.test.rows)
    if with_attributes:
        learned = dataclasses.replace(learned, inputs=_as_words(learned.inputs))
        unseen = _as_words(unseen)
    leaves = tfidf.fit(learned).predict(unseen)
    truth = data.index.columns_of(data.test.node)
    known = truth >= 0
    mixed = with_mix(data, leaves)
    return true_ranks(leaves[known], truth[known]), true_ranks(mixed[known], truth[known])


def with_mix(data: TrainingData, leaves: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (n, L) of a model that knows no label mix, given that of the last weeks by Bayes' rule: each leaf
    times its share now over its share in all of training."""
    days = days_of(data.train.rows)
    now = path_probabilities(data.index, label_mix(days, data.train.node, data.index).now[None])[:, data.index.leaves]
    counts = np.bincount(data.index.columns_of(data.train.node) + 1, minlength=leaves.shape[1] + 1)[1:]
    mixed = leaves * now / np.maximum(counts / counts.sum(), 1e-6)
    shares: NDArray[np.float32] = (mixed / mixed.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _as_words(inputs: ModelInputs) -> ModelInputs:
    said = [
        " ".join([text, *(f"{name}_{value}".replace(" ", "_") for name, value in row.attributes.items() if value)])
        for text, row in zip(inputs.texts, inputs.rows, strict=True)
    ]
    return inputs._replace(texts=said)
