"""Tickets to watch, as one model sees them: a quiet stretch of history, and tickets that are not like it.

The model is a frozen MiniLM in int8 with logistic regression on top, learned on what came before the quiet stretch.
Each ticket is read once; every window of bench/monitoring.py is drawn from these. Vectors are kept in the system's
temporary folder, so that a second run needs no encoder.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import gzip
import hashlib
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from public_data import CFPB
from sklearn.linear_model import LogisticRegression

from models.baselines.text_vectors import MeanPooled, TextVectors
from models.config import TrainConfig
from models.encoder import load_encoder, load_tokenizer
from monitoring.windows import Window
from pipeline.text.clean import clean_ticket
from pipeline.text.features import model_text
from tickets.records import Ticket
from tickets.simulate import Event, SimulationConfig, label_mix_change, new_product, simulate, wording_change

Labelled = list[tuple[Ticket, str]]

_LANGUAGES = ("en", "es", "pt", "fr", "de")
_TOKENS = 64  # of a text that are read
_ABSTAINS = 0.1  # of the first quiet tickets
_KEPT = Path(tempfile.gettempdir()) / "ticket-triage-bench"
# What the products of 2015 are called in 2023.
_RENAMED = {
    "Credit reporting, credit repair services, or other personal consumer reports": "Credit reporting",
    "Credit reporting or other personal consumer reports": "Credit reporting",
    "Checking or savings account": "Bank account or service",
    "Credit card or prepaid card": "Credit card",
    "Vehicle loan or lease": "Consumer Loan",
    "Payday loan, title loan, or personal loan": "Payday loan",
    "Money transfer, virtual currency, or money service": "Money transfers",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """`quiet` is in order of time; `shifts` holds tickets of which a share is mixed into nights to see who notices, and
    `changes` what really came later, whole nights of it."""

    name: str
    quiet: Window
    shifts: Mapping[str, Window]
    changes: Mapping[str, Window]
    reference_days: int  # of a validation period in it


class Reader:
    """Reads tickets as a release would: contact type, probability, out-of-scope score, abstention."""

    def __init__(self, learned: Labelled) -> None:
        self._encoder: TextVectors | None = None
        self._vectors = self._embed([model_text(ticket) for ticket, _ in learned])
        # The newest fifth sets the temperature only: probabilities of what was learned flatter.
        cut = len(learned) * 4 // 5
        self._classifier = LogisticRegression(C=30, max_iter=1000)
        self._classifier.fit(self._vectors[:cut], [label for _, label in learned[:cut]])
        self._temperature = self._best_temperature(self._vectors[cut:], [label for _, label in learned[cut:]])
        self.abstain_below = 0.0

    def read(self, tickets: Labelled) -> Window:
        """All of them, in the order given."""
        texts = [model_text(ticket) for ticket, _ in tickets]
        vectors = self._embed(texts)
        shares = self._shares(vectors, self._temperature)
        nearest = np.concatenate(
            [np.sort(part @ self._vectors.T, axis=1)[:, -5:].mean(axis=1) for part in np.array_split(vectors, 40)]
        )
        return Window(
            counted=len(tickets),
            start=None,
            end=None,
            ticket_ids=tuple(ticket.ticket_id for ticket, _ in tickets),
            created_at=tuple(ticket.created_at for ticket, _ in tickets),
            texts=tuple(texts),
            languages=tuple(ticket.language or "" for ticket, _ in tickets),
            channels=tuple(ticket.channel for ticket, _ in tickets),
            attributes=tuple(ticket.attributes for ticket, _ in tickets),
            predicted=tuple(self._classifier.classes_[shares.argmax(axis=1)].tolist()),
            probability=shares.max(axis=1).astype(np.float64),
            out_of_scope=np.clip(1 - nearest, 0, 1).astype(np.float64),
            abstained=shares.max(axis=1) < self.abstain_below,
            embeddings=vectors,
            contact_types=tuple(label for _, label in tickets),
        )

    def _shares(self, vectors: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
        scores = self._classifier.decision_function(vectors) / temperature
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return shares

    def _best_temperature(self, vectors: NDArray[np.float32], labels: Sequence[str]) -> float:
        places = {name: place for place, name in enumerate(self._classifier.classes_.tolist())}
        rows = [row for row, label in enumerate(labels) if label in places]
        truth = [places[labels[row]] for row in rows]
        tried = np.geomspace(0.3, 5, 25)
        lost = [
            -np.log(np.maximum(self._shares(vectors[rows], float(t))[range(len(rows)), truth], 1e-12)).mean()
            for t in tried
        ]
        return float(tried[int(np.argmin(lost))])

    def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, 384), from disk where the same encoder has read the same texts before."""
        name = TrainConfig().encoder
        key = hashlib.blake2b("\0".join([name, str(_TOKENS), *texts]).encode(), digest_size=12).hexdigest()
        path = _KEPT / f"{key}.npy"
        if path.exists():
            kept: NDArray[np.float32] = np.load(path)
            return kept
        if self._encoder is None:
            self._encoder = TextVectors.of(MeanPooled(load_encoder(name)), load_tokenizer(name, _TOKENS))
        vectors = self._encoder.embed(texts, all_cores=True)
        _KEPT.mkdir(exist_ok=True)
        np.save(path, vectors)
        return vectors


def simulated(quick: bool) -> Watched:
    """The simulated company: a steady stream, and its own events at full strength."""
    start, learned_days, quiet_days, daily = dt.date(2026, 1, 5), *((14, 56, 50) if quick else (14, 63, 500))
    history = _simulated(start, learned_days + quiet_days, daily)
    cut = dt.datetime.combine(start + dt.timedelta(days=learned_days), dt.time(), dt.UTC)
    reader, quiet = _learned([row for row in history if row[0].created_at < cut], history, cut)
    later = start + dt.timedelta(days=learned_days + quiet_days)
    many = 600 if quick else 1500
    mix = ("Account::App::App crashes", "Payments::Methods::Card declined")
    events = {
        "new_type": new_product(later, share=1.0),
        "wording": wording_change(later, share=1.0),
        "label_mix": label_mix_change(later, mix, share=1.0),
    }
    shifts = {name: reader.read(_simulated(later, 1, many, event)) for name, event in events.items()}
    foreign = [row for row, language in enumerate(quiet.languages) if language != "en"]
    shifts["language_mix"] = quiet.take(np.array(foreign, dtype=np.int64))
    shifts["one_attribute"] = _with_attribute(quiet, "city", "Newtown")
    return Watched("simulator", quiet, shifts, {}, 28)


def complaints(quick: bool) -> Watched:
    """CFPB complaints of July 2015 to February 2016, about 17 a day; contact types are products. Not like them: those
    of June 2023, and a file whose samples picked single products and banks."""
    rows = _complaints("complaints.csv.gz")
    cut, end = dt.datetime(2015, 7, 1, tzinfo=dt.UTC), dt.datetime(2016, 3, 1, tzinfo=dt.UTC)
    if quick:
        end = dt.datetime(2015, 12, 1, tzinfo=dt.UTC)
    reader, quiet = _learned(
        [row for row in rows if row[0].created_at < cut], [row for row in rows if row[0].created_at < end], cut
    )
    many = 400 if quick else 1200
    later = [row for row in rows if row[0].created_at.year == 2023][:many]
    skewed = [row for row in _complaints("complaints-skewed.csv.gz") if row[0].created_at.year < 2020][:many]
    shifts = {"one_attribute": _with_attribute(quiet, "state", "(new)")}
    changes = {"period_2023": reader.read(later), "skewed_file": reader.read(skewed)}
    return Watched("cfpb", quiet, shifts, changes, 56)


def _learned(learned: Labelled, history: Labelled, cut: dt.datetime) -> tuple[Reader, Window]:
    """A reader of `learned`, and the history from `cut` on as it reads it."""
    reader = Reader(learned)
    quiet = [row for row in history if row[0].created_at >= cut]
    reader.abstain_below = float(np.quantile(reader.read(quiet).probability[:500], _ABSTAINS))
    return reader, reader.read(quiet)


def _simulated(start: dt.date, days: int, daily: int, *events: Event) -> Labelled:
    config = SimulationConfig(seed=7, start=start, days=days, tickets_per_day=daily, events=events)
    return [
        (clean_ticket(one.ticket, _LANGUAGES), one.true_contact_type)
        for day in simulate(config)
        for one in day.tickets
        if not events or one.events
    ]


def _complaints(name: str) -> Labelled:
    """In order of time. Products that fewer than 20 complaints are about are left out."""
    with gzip.open(CFPB / name, "rt", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["Consumer complaint narrative"]]
    products = [_RENAMED.get(row["Product"], row["Product"]) for row in rows]
    often = {product for product, count in Counter(products).items() if count >= 20}
    found = [(_complaint(row), product) for row, product in zip(rows, products, strict=True) if product in often]
    return sorted(found, key=lambda item: (item[0].created_at, item[0].ticket_id))


def _complaint(row: Mapping[str, Any]) -> Ticket:
    received = dt.datetime.fromisoformat(row["Date received"]).replace(hour=12, tzinfo=dt.UTC)
    ticket = Ticket(
        ticket_id=row["Complaint ID"],
        created_at=received,
        body=row["Consumer complaint narrative"],
        channel="web",
        language="en",
        attributes={name.lower(): row[name] or None for name in ("Company", "State", "Tags")},
    )
    return clean_ticket(ticket, ("en",))


def _with_attribute(window: Window, name: str, value: str) -> Window:
    """The same tickets with one attribute all alike."""
    return dataclasses.replace(window, attributes=tuple({**row, name: value} for row in window.attributes))
