"""Labels that are likely wrong: tickets whose contact type a model that never saw them finds hard to believe.

Confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"),
by cleanlab. Nothing is relabelled here: a person looks at the list. A model that mixes two contact types up makes
labels of both look suspect, so the expected share of wrong labels is the less true the weaker the model is.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.baselines import least_documents
from models.diagnosis.mistakes import shortened
from tickets.errors import MachineError

FOLDS = 5
FEWEST = 8  # tickets of a contact type; of rarer ones too little is known to doubt a label
MOST_TRAINING = 20_000  # the most recent training tickets; they take a few minutes
_SHARPNESS = 10.0  # inverse regularisation of the regression over vectors of length one
_WORDS, _PASSES = 20_000, 5
_TINY = 1e-9  # keeps a geometric mean from zero
CALIBRATED = "the model's own calibrated probabilities"
CROSS_VALIDATED = f"{FOLDS}-fold cross-validation of logistic regressions over ticket vectors and TF-IDF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A ticket whose label may be wrong. `score` is 0 to 1: one half is a tie between the given and the likelier
    contact type, one is all for the likelier."""

    ticket_id: str
    contact_type: str
    likelier: str
    score: float
    given_probability: float
    likelier_probability: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeNoise:
    """How many of a contact type's labels are expected to be wrong, by the confident joint."""

    contact_type: str
    tickets: int
    expected_wrong: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectLabels:
    """The suspects of one split, surest first, and what share of labels is expected to be wrong. `left_out` tickets
    could not be judged: their contact type is rare, no leaf, or one that the model mostly misses."""

    split: str
    method: str
    tickets: int
    left_out: int
    agreement: float = 0.0  # share of the judged labels that are also the likeliest
    expected_share: float = 0.0
    suspects: tuple[Suspect, ...] = ()
    types: tuple[TypeNoise, ...] = ()


def suspect_labels(
    contact_types: Sequence[str],
    probabilities: NDArray[np.floating],
    names: Sequence[str],
    *,
    ticket_ids: Sequence[str],
    texts: Sequence[str],
    split: str,
    method: str,
) -> SuspectLabels:
    """Judge n labels by out-of-sample probabilities (n, K) of the K contact types `names`, in one order.

    Labels outside of `names` and those of contact types with fewer than FEWEST tickets are left out. Raises
    MachineError without cleanlab.
    """
    place = {name: column for column, name in enumerate(names)}
    column = np.array([place.get(name, -1) for name in contact_types], np.int64)
    counts = np.bincount(column[column >= 0], minlength=len(names))
    kept = np.flatnonzero(counts >= FEWEST)
    judged = np.flatnonzero(np.isin(column, kept))
    if len(kept) < 2:
        return SuspectLabels(split=split, method=method, tickets=0, left_out=len(column))
    labels = np.searchsorted(kept, column[judged])
    shares = np.asarray(probabilities, np.float64)[np.ix_(judged, kept)] + _TINY
    shares /= shares.sum(axis=1, keepdims=True)
    order, joint = _confident_learning(labels, shares)
    others = shares.copy()
    others[np.arange(len(labels)), labels] = -1.0
    suspects = tuple(
        Suspect(
            ticket_id=ticket_ids[int(judged[row])],
            contact_type=names[int(kept[labels[row]])],
            likelier=names[int(kept[others[row].argmax()])],
            score=round(float(1.0 + others[row].max() - shares[row, labels[row]]) / 2.0, 4),
            given_probability=round(float(shares[row, labels[row]]), 4),
            likelier_probability=round(float(others[row].max()), 4),
            text=shortened(texts[int(judged[row])]),
        )
        for row in order.tolist()
    )
    return SuspectLabels(
        split=split,
        method=method,
        tickets=len(judged),
        left_out=len(column) - len(judged),
        agreement=float(np.mean(shares.argmax(axis=1) == labels)),
        expected_share=float(1.0 - np.trace(joint) / joint.sum()),
        suspects=suspects,
        types=_noise(joint, [names[one] for one in kept.tolist()]),
    )


def cross_validated(
    texts: Sequence[str],
    vectors: NDArray[np.float32] | None,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    *,
    seed: int = 17,
) -> NDArray[np.float64]:
    """Out-of-sample probabilities (n, K) of labels 0..K-1 (n,): no ticket is judged by a model that learned from it, or
    from one of its group (n,). Where that leaves nothing to learn from, all K are equally likely.

    Two regressions, over the ticket vectors (n, width) if there are any and over TF-IDF of words, are mixed by their
    geometric mean. The vectors come from a model that saw the labels and believes them too much; the words are fresh.
    """
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.model_selection import StratifiedGroupKFold

    classes = int(labels.max()) + 1
    folds = min(FOLDS, len(np.unique(groups)))
    mixed = np.full((len(labels), classes), 1.0 / classes)
    if folds < 2:
        return mixed
    inputs: list[tuple[Any, Callable[[], Any]]] = [
        (
            _tfidf(texts),
            lambda: SGDClassifier(
                loss="log_loss", alpha=1e-5, max_iter=_PASSES, tol=None, average=True, random_state=seed, n_jobs=-1
            ),
        )
    ]
    if vectors is not None:
        inputs.append((vectors, lambda: LogisticRegression(C=_SHARPNESS, max_iter=200)))
    for train, unseen in StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(labels, labels, groups):
        if len(np.unique(labels[train])) < 2:
            continue
        logs = np.zeros((len(unseen), classes))
        for rows, learner in inputs:
            fitted = learner().fit(rows[train], labels[train])
            shares = np.zeros_like(logs)  # 0 for a class that was not among the tickets learned from
            shares[:, fitted.classes_] = fitted.predict_proba(rows[unseen])
            logs += np.log(shares + _TINY) / len(inputs)
        mixed[unseen] = np.exp(logs) / np.exp(logs).sum(axis=1, keepdims=True)
    return mixed


def write_suspects(path: Path, found: Sequence[SuspectLabels], *, version: str) -> None:
    """All suspects as Parquet, surest first: what a label queue reads. The file is whole or not there."""
    rows = [{**asdict(one), "split": labels.split} for labels in found for one in labels.suspects]
    schema = pa.schema(
        [
            *(pa.field(name, pa.string()) for name in ("ticket_id", "contact_type", "likelier", "text", "split")),
            *(pa.field(name, pa.float64()) for name in ("score", "given_probability", "likelier_probability")),
        ],
        metadata={"model_version": version, "methods": json.dumps({one.split: one.method for one in found})},
    )
    table = pa.Table.from_pylist(rows, schema=schema).sort_by([("score", "descending"), ("ticket_id", "ascending")])
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        pq.write_table(table, aside)
        aside.rename(path)
    finally:
        aside.unlink(missing_ok=True)


def _confident_learning(
    labels: NDArray[np.int64], shares: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows with suspect labels, surest first, and the calibrated confident joint (K, K): given label, true label."""
    try:
        from cleanlab.count import compute_confident_joint
        from cleanlab.filter import find_label_issues
    except ImportError as error:
        raise MachineError("cleanlab is not installed.", hint="Run `pip install cleanlab`.") from error
    joint = compute_confident_joint(labels, shares, calibrate=True)
    # `both` asks two rules to agree: on simulated agents' mistakes 9 of 10 suspects are wrong, where one rule has 7.
    order = find_label_issues(
        labels, shares, filter_by="both", return_indices_ranked_by="normalized_margin", confident_joint=joint, n_jobs=1
    )
    return np.asarray(order, np.int64), np.asarray(joint, np.int64)


def _noise(joint: NDArray[np.int64], names: Sequence[str]) -> tuple[TypeNoise, ...]:
    rows = [
        TypeNoise(
            contact_type=name,
            tickets=int(joint[place].sum()),
            expected_wrong=int(joint[place].sum() - joint[place, place]),
            share=float(1.0 - joint[place, place] / max(int(joint[place].sum()), 1)),
        )
        for place, name in enumerate(names)
    ]
    return tuple(sorted(rows, key=lambda row: (-row.expected_wrong, row.contact_type)))


def _tfidf(texts: Sequence[str]) -> Any:
    """Weighted words and word pairs, (n, words), a sparse matrix of SciPy. It reads no label."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2), min_df=least_documents(texts), max_features=_WORDS, sublinear_tf=True, dtype=np.float32
    ).fit_transform(texts)
