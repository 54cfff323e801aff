"""Rung 3: TF-IDF of words and character n-grams, and logistic regression. Hard to beat on small histories."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from models.baselines import Baseline, RungData, least_documents, megabytes_of, spread
from models.predictions import ModelInputs

WORD_FEATURES = 30_000
CHARACTER_FEATURES = 30_000
MOST_CHARACTERS = 2_000  # of a text, for the character n-grams: their cost grows with length, their use does not


def fit(data: RungData) -> Baseline:
    """Stochastic gradient descent on the log loss, one leaf against the rest: far faster than lbfgs at 170 leaves."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline, make_union

    texts = data.inputs.texts
    least = least_documents(texts)
    words = TfidfVectorizer(
        ngram_range=(1, 2), min_df=least, max_features=WORD_FEATURES, sublinear_tf=True, dtype=np.float32
    )
    characters = TfidfVectorizer(
        analyzer="char_wb",
        ngram_range=(3, 5),
        min_df=least,
        max_features=CHARACTER_FEATURES,
        sublinear_tf=True,
        preprocessor=_beginning,
        dtype=np.float32,
    )
    classifier = SGDClassifier(
        loss="log_loss", alpha=1e-5, max_iter=20, tol=1e-3, average=True, random_state=data.config.seed, n_jobs=-1
    )
    model = make_pipeline(make_union(words, characters), classifier)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # twenty passes do, whether or not more would be better
        model.fit(texts, data.leaf)

    def predict(unseen: ModelInputs) -> NDArray[np.float32]:
        if not len(unseen.texts):
            return np.zeros((0, data.leaf_count), np.float32)
        return spread(classifier.classes_, model.predict_proba(unseen.texts), data.leaf_count)

    kept = classifier.coef_.astype(np.float32), classifier.intercept_  # the averages and steps of training are not
    return Baseline(predict, megabytes_of(kept, words, characters))


def _beginning(text: str) -> str:
    return text[:MOST_CHARACTERS].lower()
