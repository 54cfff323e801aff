"""Rung 4: COTA v1. Ranking contact types by a random forest over (ticket, candidate) pairs.

Method: Molino, Zheng, Wang, "COTA: Improving the Speed and Accuracy of Customer Support through Ranking and Deep
Networks", KDD 2018, https://arxiv.org/abs/1807.01337. A ticket's TF-IDF vector is projected on latent topics (LSA). A
candidate contact type is described by its own words and by its past tickets; their cosines with the ticket, the
ticket's topics and the attributes are what a pointwise binary classifier reads. Words, weights and cosines are those
of pipeline/topics, which makes the same features of templates in Spark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.attributes import FIRST_VALUE, AttributeSpec, EncodedAttributes, encode_attributes
from models.baselines import Baseline, RungData, least_documents, megabytes_of
from models.decoder import node_texts
from models.predictions import ModelInputs
from pipeline.topics.words import words

TOPICS = 100
VOCABULARY = 20_000
TREES = 200
NEGATIVES = 10  # candidates that were not it, a training ticket: half at random, half the closest ones
MOST_PAIRS = 400_000  # that the forest learns from; tickets are drawn beyond that
_PAIRS_AT_ONCE = 50_000  # compared or scored; bounds memory

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Space:
    """TF-IDF and latent topics, fitted on the training tickets."""

    vectorizer: Any
    svd: Any  # None where the texts have too few words for topics

    def rows(self, texts: Sequence[str]) -> tuple[Any, Floats]:
        """Sparse TF-IDF rows (n, words) and topics (n, topics)."""
        sparse = self.vectorizer.transform(texts)
        topics = np.zeros((len(texts), 0)) if self.svd is None else self.svd.transform(sparse)
        return sparse, topics.astype(np.float32)


@dataclass(frozen=True)
class Side:
    """One description of all L candidates: summed TF-IDF rows and topics, with their squared lengths."""

    sparse: Any  # (L, words)
    topics: Floats  # (L, topics)
    squares: Floats  # (L,)
    topic_squares: Floats  # (L,)

    @classmethod
    def of(cls, sparse: Any, topics: Floats) -> Side:
        squares = np.asarray(sparse.multiply(sparse).sum(axis=1), np.float32).ravel()
        return cls(sparse, topics, squares, (topics**2).sum(axis=1))

    def cosines(self, sparse: Any, topics: Floats, without: NDArray[np.bool_] | None) -> tuple[Floats, Floats]:
        """(n, L) cosines in words and in topics; where `without`, with the candidate less the ticket itself."""
        in_words = np.asarray((sparse @ self.sparse.T).todense(), np.float32)
        own = np.asarray(sparse.multiply(sparse).sum(axis=1), np.float32)
        in_topics = topics @ self.topics.T
        own_topics = (topics**2).sum(axis=1, keepdims=True)
        return (
            _cosine(in_words, own, self.squares[None, :], without),
            _cosine(in_topics, own_topics, self.topic_squares[None, :], without),
        )


@dataclass(frozen=True)
class Candidates:
    """What is known of each of the L leaves before a ticket comes."""

    own: Side  # from its name and description
    past: Side  # from its training tickets
    tickets: Integers  # (L,) training tickets
    values: tuple[NDArray[np.int64], ...]  # of each categorical attribute, (L, values) training tickets that had each


def fit(data: RungData) -> Baseline:
    """A forest that tells the right candidate from sampled others; scores are divided by their sum over candidates."""
    from sklearn.ensemble import RandomForestClassifier

    random = np.random.default_rng(data.config.seed)
    space = fit_space(data.inputs.texts, seed=data.config.seed)
    sparse, topics = space.rows(data.inputs.texts)
    told = encode_attributes(data.attributes, data.inputs.rows)
    candidates = describe(data, space, sparse, topics, told)
    kept = random.permutation(len(data.leaf))[: max(1, MOST_PAIRS // (NEGATIVES + 1))]
    pieces, relevant = [], []
    for rows in _pieces(kept, data.leaf_count):
        leaf = data.leaf[rows]
        here = sparse[rows], topics[rows], _taken(told, rows)
        cosines = compare(candidates, here[0], here[1], past_of=leaf)
        ticket, candidate = sample_pairs(cosines[..., -1], leaf, random)
        pieces.append(pair_features(candidates, cosines, here[1], here[2], (ticket, candidate), past_of=leaf))
        relevant.append(candidate == leaf[ticket])
    forest = RandomForestClassifier(
        n_estimators=TREES, min_samples_leaf=2, max_features="sqrt", random_state=data.config.seed, n_jobs=-1
    )
    forest.fit(np.concatenate(pieces), np.concatenate(relevant))
    forest.n_jobs = 1  # starting threads for one ticket takes longer than the forest

    def predict(unseen: ModelInputs) -> Floats:
        return _scores(forest, space, candidates, data.attributes, unseen)

    return Baseline(predict, megabytes_of(forest, space.vectorizer, space.svd, candidates))


def fit_space(texts: Sequence[str], *, seed: int) -> Space:
    """The words of the training tickets and their TOPICS strongest directions, fewer where there are fewer words."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        analyzer=words, min_df=least_documents(texts), max_features=VOCABULARY, dtype=np.float32
    )
    sparse = vectorizer.fit_transform(texts)
    vectorizer.idf_ = vectorizer.idf_ - 1.0  # as pipeline/topics has it: a word of every ticket weighs nothing
    count = min(TOPICS, min(sparse.shape) - 1)
    if count < 1:
        return Space(vectorizer, None)
    return Space(vectorizer, TruncatedSVD(count, random_state=seed).fit(vectorizer.transform(texts)))


def describe(data: RungData, space: Space, sparse: Any, topics: Floats, told: EncodedAttributes) -> Candidates:
    """The leaves' own words and their training tickets, summed."""
    from scipy.sparse import csr_matrix

    texts = node_texts(data.tree)
    own = Side.of(*space.rows([texts[node] for node in data.index.leaves]))
    count = len(data.leaf)
    belongs = csr_matrix(
        (np.ones(count, np.float32), (data.leaf, np.arange(count))), shape=(data.leaf_count, count), dtype=np.float32
    )
    values = []
    for column in range(told.categories.shape[1]):
        seen = np.zeros((data.leaf_count, len(data.attributes.categories[column].values) + FIRST_VALUE), np.int64)
        np.add.at(seen, (data.leaf, told.categories[:, column]), 1)
        values.append(seen)
    tickets = np.bincount(data.leaf, minlength=data.leaf_count)
    return Candidates(own, Side.of(belongs @ sparse, belongs @ topics), tickets, tuple(values))


def compare(candidates: Candidates, sparse: Any, topics: Floats, *, past_of: Integers | None) -> Floats:
    """(n, L, 4) cosines of tickets and candidates: own words, own topics, past words, past topics.

    `past_of` (n,) tells which candidate's past a training ticket is in: it is taken out first, or training would see
    in its features what no new ticket has.
    """
    without = None if past_of is None else past_of[:, None] == np.arange(len(candidates.tickets))
    past = np.stack(candidates.past.cosines(sparse, topics, without), axis=2)
    if without is not None:
        past[without & (candidates.tickets == 1)] = 0.0  # what is left of a sum of one ticket is rounding
    return np.concatenate([np.stack(candidates.own.cosines(sparse, topics, None), axis=2), past], axis=2)


def sample_pairs(closeness: Floats, leaf: Integers, random: np.random.Generator) -> tuple[Integers, Integers]:
    """Ticket and candidate of each pair: the right one, the closest others, and others at random; no pair twice."""
    count, leaves = closeness.shape
    order = random.random((count, leaves))
    order[np.arange(count), leaf] = -2.0  # the right one first, then the closest ones
    near = np.where(np.arange(leaves) == leaf[:, None], -np.inf, closeness)
    closest = np.argsort(-near, axis=1, kind="stable")[:, : min(NEGATIVES // 2, leaves - 1)]
    np.put_along_axis(order, closest, -1.0, axis=1)
    chosen = np.argsort(order, axis=1, kind="stable")[:, : min(NEGATIVES + 1, leaves)]
    return np.repeat(np.arange(count), chosen.shape[1]), chosen.ravel()


def pair_features(
    candidates: Candidates,
    cosines: Floats,
    topics: Floats,
    told: EncodedAttributes,
    pair: tuple[Integers, Integers],
    *,
    past_of: Integers | None,
) -> Floats:
    """(pairs, features): cosines, the candidate's share of history, the ticket's topics and numbers, and how often
    the candidate's tickets had the ticket's value of each categorical attribute."""
    ticket, candidate = pair
    itself = np.zeros(len(ticket), np.int64) if past_of is None else (past_of[ticket] == candidate).astype(np.int64)
    past = candidates.tickets[candidate] - itself
    columns = [cosines[ticket, candidate], np.log1p(past)[:, None], topics[ticket]]
    columns += [told.numbers[ticket], told.missing[ticket]]
    for column, seen in enumerate(candidates.values):
        same = seen[candidate, told.categories[ticket, column]] - itself
        columns.append(((same + 1.0) / (past + seen.shape[1]))[:, None])
    return np.concatenate(columns, axis=1, dtype=np.float32)


def _scores(forest: Any, space: Space, candidates: Candidates, spec: AttributeSpec, unseen: ModelInputs) -> Floats:
    leaves = len(candidates.tickets)
    scores = np.zeros((len(unseen.texts), leaves), np.float32)
    if not len(scores):
        return scores
    sparse, topics = space.rows(unseen.texts)
    told = encode_attributes(spec, unseen.rows)
    for rows in _pieces(np.arange(len(scores)), leaves):
        cosines = compare(candidates, sparse[rows], topics[rows], past_of=None)
        pair = np.repeat(np.arange(len(rows)), leaves), np.tile(np.arange(leaves), len(rows))
        features = pair_features(candidates, cosines, topics[rows], _taken(told, rows), pair, past_of=None)
        found = forest.predict_proba(features)[:, list(forest.classes_).index(True)].reshape(len(rows), leaves)
        scores[rows] = found + 1e-4 * cosines[..., -1].clip(0)  # trees that agree leave ties; the closer one wins them
    scores += 1e-9
    normalised: Floats = scores / scores.sum(axis=1, keepdims=True)
    return normalised


def _cosine(dots: Floats, one: Floats, other: Floats, without: NDArray[np.bool_] | None) -> Floats:
    """Of dot products and squared lengths: cos(a, b), or cos(a, b - a) where `without`; 0 where a side is empty."""
    if without is not None:
        other = np.where(without, np.maximum(other - 2 * dots + one, 0.0), other)
        dots = np.where(without, dots - one, dots)
    squares = one * other
    found: Floats = np.divide(dots, np.sqrt(squares), out=np.zeros_like(dots), where=squares > 1e-8)
    return found.clip(-1.0, 1.0)


def _taken(told: EncodedAttributes, rows: Integers) -> EncodedAttributes:
    return EncodedAttributes(told.categories[rows], told.numbers[rows], told.missing[rows])


def _pieces(rows: Integers, leaves: int) -> list[Integers]:
    return np.array_split(rows, max(1, -(-len(rows) * leaves // _PAIRS_AT_ONCE)))
