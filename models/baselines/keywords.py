"""Rung 2: keyword rules, as a support team would write them: this word speaks for that contact type.

The words are found by the log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi, Quinn 2008,
"Fightin' Words"): a leaf's own words beside those of all other leaves, with the whole history as the prior, so that
neither rare nor common words win by their number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.baselines import Baseline, RungData, least_documents, megabytes_of
from models.predictions import ModelInputs
from pipeline.topics.words import words

RULES_A_LEAF = 30
LEAST_Z = 1.96  # a word further from chance than this is a rule
MOST_WORDS = 30_000  # looked at, the most frequent ones
_PRIOR_WORDS = 500.0  # how many words of the whole history stand beside each leaf's own


@dataclass(frozen=True, slots=True)
class Rule:
    """One vote for a leaf where the ticket has the word (or two words in a row). `z` is how telling the word is."""

    word: str
    leaf: int
    z: float


def fit(data: RungData) -> Baseline:
    """Each rule whose word is in the ticket has one vote. Votes make probabilities beside the leaves' shares, which
    count as one vote together: they break ties, and speak alone where no rule does."""
    from sklearn.feature_extraction.text import CountVectorizer

    rules = learn_rules(data.inputs.texts, data.leaf, data.leaf_count)
    shares = np.bincount(data.leaf, minlength=data.leaf_count).astype(np.float32) / len(data.leaf)
    vocabulary = sorted({rule.word for rule in rules}) or [""]  # scikit-learn refuses an empty one
    column = {word: place for place, word in enumerate(vocabulary)}
    votes = np.zeros((len(vocabulary), data.leaf_count), np.float32)
    for rule in rules:
        votes[column[rule.word], rule.leaf] = 1.0
    finder = CountVectorizer(analyzer=terms, vocabulary=vocabulary, binary=True, dtype=np.float32)

    def predict(unseen: ModelInputs) -> NDArray[np.float32]:
        if not len(unseen.texts):
            return np.zeros((0, data.leaf_count), np.float32)
        given = finder.transform(unseen.texts) @ votes + shares
        normalised: NDArray[np.float32] = (given / given.sum(axis=1, keepdims=True)).astype(np.float32)
        return normalised

    names = [data.tree.path(data.index.ids[node]) for node in data.index.leaves]
    return Baseline(predict, megabytes_of(rules, shares), written(rules, names))


def terms(text: str) -> list[str]:
    """A text's words, and its pairs of neighbouring words."""
    single = words(text)
    return single + [f"{first} {second}" for first, second in pairwise(single)]


def learn_rules(texts: Sequence[str], leaf: NDArray[np.int64], leaf_count: int) -> tuple[Rule, ...]:
    """The most telling words of each leaf, most telling first; () when no word is told apart from chance."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(analyzer=terms, min_df=least_documents(texts), max_features=MOST_WORDS, binary=True)
    try:
        counts = counter.fit_transform(texts)
    except ValueError:  # not one word occurs often enough
        return ()
    vocabulary = counter.get_feature_names_out()
    everywhere = np.asarray(counts.sum(axis=0), np.float64).ravel()
    prior = _PRIOR_WORDS * everywhere / everywhere.sum()
    rules: list[Rule] = []
    for one in range(leaf_count):
        mine = leaf == one
        if not mine.any():
            continue
        own = np.asarray(counts[mine].sum(axis=0), np.float64).ravel()
        z = log_odds_z(own, everywhere - own, prior)
        best = np.argsort(-z, kind="stable")[:RULES_A_LEAF]
        rules += [Rule(str(vocabulary[place]), one, float(z[place])) for place in best if z[place] >= LEAST_Z]
    return tuple(rules)


def log_odds_z(
    one: NDArray[np.float64], other: NDArray[np.float64], prior: NDArray[np.float64], *, least: float = 0.0
) -> NDArray[np.float64]:
    """Log-odds of each word in one group against another, in standard errors: counts (words,), prior (words,). A word
    that the other group has less often than `least` is judged as if it had it so often."""
    here, there = one + prior, np.maximum(other, least) + prior
    odds = np.log(here / _rest(here)) - np.log(there / _rest(other + prior))
    deviations: NDArray[np.float64] = odds / np.sqrt(1 / here + 1 / there)
    return deviations


def _rest(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """What all other words have together; a little where there is no other word."""
    rest: NDArray[np.float64] = np.maximum(counts.sum() - counts, 1e-9)
    return rest


def written(rules: Sequence[Rule], names: Sequence[str]) -> str:
    """The rules as lines, a contact type a line: `Payments::Refund: refund, money back, ...`."""
    words_of: dict[int, list[str]] = {}
    for rule in rules:
        words_of.setdefault(rule.leaf, []).append(rule.word)
    return "".join(f"{names[leaf]}: {', '.join(own)}\n" for leaf, own in words_of.items())
