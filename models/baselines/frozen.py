"""Rung 5: a pretrained encoder as it is, and logistic regression on its vectors. Only the regression learns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.baselines import Baseline, RungData, megabytes_of, spread
from models.baselines.text_vectors import MeanPooled, TextVectors
from models.encoder import load_encoder, load_tokenizer
from models.predictions import ModelInputs

INVERSE_PENALTY = 30.0  # of the regression: vectors of length one need large weights


def fit(data: RungData) -> Baseline:
    """Raises InputError, MachineError or ReleaseError when the encoder cannot be loaded."""
    encoder = load_encoder(data.config.encoder)
    tokenizer = load_tokenizer(data.config.encoder, data.config.max_tokens)
    return regression(data, TextVectors.of(MeanPooled(encoder), tokenizer))


def regression(data: RungData, vectors: TextVectors) -> Baseline:
    """Logistic regression from the vectors that will be served, int8 and all, to leaves."""
    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
    classifier.fit(vectors.embed(data.inputs.texts, all_cores=True), data.leaf)

    def predict(unseen: ModelInputs) -> NDArray[np.float32]:
        if not len(unseen.texts):
            return np.zeros((0, data.leaf_count), np.float32)
        shares = classifier.predict_proba(vectors.embed(unseen.texts))
        return spread(classifier.classes_, shares, data.leaf_count)

    return Baseline(predict, vectors.megabytes + megabytes_of(classifier))
