"""How far the accuracy estimate is off on windows that shifted, and how often it says unknown.

    python bench/shifted_windows.py

Needs public data (bench/public_data.py). TF-IDF with logistic regression stands in for the served
model, so that it takes three minutes: BANKING77 with eight intents hidden from training, and CFPB's Product in time
order, its renamings mapped. Windows without any shift are left out: they would flatter the median.
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# As a script this folder comes first, and its pipeline.py would hide the package of that name.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

import banking77
import numpy as np
from bench_record import record
from numpy.typing import NDArray
from public_data import BANKING77, CFPB
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from models.confidence.scope import LIMIT, ScopeWeights, fit_curve, fit_weights, signs
from monitoring.accuracy_estimate import estimate_accuracy
from monitoring.windows import Window

SIZES = (200, 500, 1000)
REPEATS = 5
HIDDEN = 8  # intents
LEAST_ACCURACY = 0.5  # of a stand-in on its reference; of one that learned nothing every estimate is right
_DAY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)

Labelled = tuple[str, str]  # text, contact type
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class StandIn:
    """A model that looks at tickets as the served one does: calibrated probabilities, scope, embeddings."""

    vectors: Any
    classifier: Any
    axes: Any
    trained: Doubles
    temperature: float = 1.0
    weights: ScopeWeights = field(default_factory=ScopeWeights)
    curve: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def fit(cls, train: Sequence[Labelled], reference: Sequence[Labelled]) -> StandIn:
        """Learns from `train`; temperature and scope come from the reference, as in training."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, max_features=30_000, sublinear_tf=True)
        features = vectors.fit_transform([text for text, _ in train])
        classifier = LogisticRegression(C=20, max_iter=60).fit(features, [kind for _, kind in train])
        axes = TruncatedSVD(96, random_state=0).fit(features)
        plain = cls(vectors, classifier, axes, _of_length_one(axes.transform(features)))
        at = {kind: column for column, kind in enumerate(classifier.classes_)}
        known = [(text, at[kind]) for text, kind in reference if kind in at]
        scores = classifier.decision_function(vectors.transform([text for text, _ in known]))
        true = scores[np.arange(len(known)), [column for _, column in known]]
        found = minimize_scalar(
            lambda steep: float(np.mean(logsumexp(scores * np.exp(steep), axis=1) - true * np.exp(steep))),
            bounds=(-3, 3),
            method="bounded",
        )
        warm = cls(vectors, classifier, axes, plain.trained, float(np.exp(found.x)))
        seen = warm._look([text for text, _ in reference])[2]
        weights = fit_weights(seen)
        return cls(
            vectors,
            classifier,
            axes,
            plain.trained,
            warm.temperature,
            weights,
            fit_curve(weights.strangeness(seen), 0.99),
        )

    def window(self, rows: Sequence[Labelled]) -> Window:
        texts, count = [text for text, _ in rows], len(rows)
        embeddings, probabilities, seen = self._look(texts)
        center, scale = self.curve
        outside = 1 / (1 + np.exp(-np.clip((self.weights.strangeness(seen) - center) / scale, -30, 30)))
        return Window(
            counted=count,
            start=_DAY,
            end=_DAY,
            ticket_ids=tuple(map(str, range(count))),
            created_at=(_DAY,) * count,
            texts=tuple(texts),
            languages=("en",) * count,
            channels=("",) * count,
            attributes=({},) * count,
            predicted=tuple(map(str, self.classifier.classes_[probabilities.argmax(axis=1)])),
            probability=probabilities.max(axis=1),
            out_of_scope=outside,
            abstained=outside > LIMIT,
            embeddings=embeddings.astype(np.float32),
            contact_types=tuple(kind for _, kind in rows),
        )

    def _look(self, texts: Sequence[str]) -> tuple[Doubles, Doubles, Doubles]:
        """Embeddings (n, 96), probabilities (n, types) and signs of scope (n, 3)."""
        features = self.vectors.transform(texts)
        embeddings = _of_length_one(self.axes.transform(features))
        scores = self.classifier.decision_function(features) * self.temperature
        probabilities = softmax(scores, axis=1)
        nearest = np.concatenate(
            [(rows @ self.trained.T).max(axis=1) for rows in np.array_split(embeddings, len(texts) // 500 + 1)]
        )
        first = probabilities.max(axis=1)
        return embeddings, probabilities, signs((1 - nearest).astype(np.float32), -logsumexp(scores, axis=1), first)


def banking(rng: np.random.Generator) -> Iterator[tuple[str, Window, Window]]:
    """Kind of shift, reference and current window: new intents, other mixes, broken words, texts cut short."""
    train, test = (banking77.questions(BANKING77, part) for part in ("train", "test"))
    train = [train[row] for row in rng.permutation(len(train))]
    types = sorted({kind for _, kind in train})
    hidden = set(rng.choice(types, HIDDEN, replace=False).tolist())
    known = [[row for row in rows if row[1] not in hidden] for rows in (train[:7000], train[7000:])]
    model = StandIn.fit(*known)
    reference, plain = model.window(known[1]), model.window(test)
    old = np.flatnonzero([kind not in hidden for _, kind in test])
    new = np.flatnonzero([kind in hidden for _, kind in test])
    changed = {
        f"broken words {rate:.0%}": [(_broken(text, rng, rate), kind) for text, kind in test] for rate in (0.2, 0.4)
    }
    changed["six words"] = [(" ".join(text.split()[:6]), kind) for text, kind in test]
    looked = {name: model.window(rows) for name, rows in changed.items()}
    for size in SIZES * REPEATS:
        for share in (0.05, 0.1, 0.2, 0.4):
            strange = round(size * share)
            rows = np.r_[rng.choice(old, size - strange, replace=False), rng.choice(new, strange)]
            yield f"new intents {share:.0%}", reference, plain.take(rows)
        for evenness in (0.3, 1.0):
            mix = dict(zip(types, rng.dirichlet(np.full(len(types), evenness)), strict=True))
            weight = np.array([mix[test[row][1]] for row in old])
            yield f"other mix {evenness}", reference, plain.take(rng.choice(old, size, p=weight / weight.sum()))
        for name, window in looked.items():
            yield name, reference, window.take(rng.choice(old, size, replace=False))


def complaints() -> Iterator[tuple[str, Window, Window]]:
    """Complaints of later months in the order they came, of later years, and of samples that picked one product or
    bank."""
    rows, skewed = _complaints("complaints.csv.gz"), _complaints("complaints-skewed.csv.gz")
    for learn_until, reference_until in (("2016-01-01", "2016-06-01"), ("2023-06-07", "2023-06-25")):
        train = [row[1:] for row in rows if row[0] < learn_until]
        held_out = [row[1:] for row in rows if learn_until <= row[0] < reference_until]
        model = StandIn.fit(train, held_out)
        reference = model.window(held_out)
        later = [row for row in rows if row[0] >= reference_until]
        for name, part in (
            ("complaints, in order", later),
            ("complaints, skewed", [r for r in skewed if r[0] >= learn_until]),
        ):
            looked = model.window([row[1:] for row in part])
            for size in SIZES:
                for start in np.linspace(0, len(part) - size, REPEATS).astype(int).tolist():
                    yield name, reference, looked.take(np.arange(start, start + size))


def main() -> None:
    began = time.perf_counter()
    errors: dict[str, list[float]] = defaultdict(list)
    lost: dict[str, list[float]] = defaultdict(list)
    covered: list[bool] = []
    for world in (banking(np.random.default_rng(1)), complaints()):
        for kind, reference, current in world:
            before, truth = float(reference.correct.mean()), float(current.correct.mean())
            if before < LEAST_ACCURACY:
                raise SystemExit(f"the stand-in is right on {before:.0%} of its reference: it did not learn")
            lost[kind].append(100 * (before - truth))
            told = estimate_accuracy(reference, current, least=50).estimate
            if told is not None:
                errors[kind].append(100 * (told.share - truth))
                covered.append(told.low <= truth <= told.high)
    for kind, losses in lost.items():
        count, known = len(losses), errors[kind]
        typical = f"median error {np.median(np.abs(known)):.1f} points, mean {np.mean(known):+.1f}" if known else ""
        silent = 1 - len(known) / count
        print(f"{kind:22} {count:3} windows, {np.mean(losses):5.1f} points lost, {silent:4.0%} unknown  {typical}")
    windows = sum(map(len, lost.values()))
    every = np.abs(np.concatenate([found for found in errors.values() if found]))
    figures = {
        "accuracy_estimate_error_points": round(float(np.median(every)), 1),
        "accuracy_estimate_error_p90": round(float(np.quantile(every, 0.9)), 1),
        "accuracy_estimate_unknown": round(1 - len(every) / windows, 3),
        "accuracy_estimate_in_interval": round(float(np.mean(covered)), 3),
        "windows": windows,
    }
    record("shifted_windows", figures, seconds=time.perf_counter() - began)


def _complaints(name: str) -> list[tuple[str, str, str]]:
    """Day (ISO), text and product, oldest first."""
    with gzip.open(CFPB / name, "rt", encoding="utf-8", newline="") as file:
        rows = [
            (row["Date received"], row["Consumer complaint narrative"][:1500], row["Product"])
            for row in csv.DictReader(file)
        ]
    return sorted((day, text, _one_name(product)) for day, text, product in rows if text)


def _one_name(product: str) -> str:
    """A product under one name across the renamings of 2017 and 2023."""
    name = product.lower()
    for part in ("credit report", "card", "debt collection", "mortgage", "student loan", "money", "virtual currency"):
        if part in name:
            return {"virtual currency": "money"}.get(part, part)
    return "bank account" if "account" in name else "loan"


def _broken(text: str, rng: np.random.Generator, rate: float) -> str:
    """Some words are missing, others have two letters swapped."""
    words = []
    for word in text.split():
        drawn, place = rng.random(), int(rng.integers(1, max(2, len(word) - 1)))
        if drawn >= rate / 2:
            swapped = word[:place] + word[place + 1 : place + 2] + word[place : place + 1] + word[place + 2 :]
            words.append(swapped if drawn < rate and len(word) > 3 else word)
    return " ".join(words) or text


def _of_length_one(rows: Doubles) -> Doubles:
    scaled: Doubles = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return scaled


if __name__ == "__main__":
    main()
