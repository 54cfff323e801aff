"""Simulator: a million tickets as a helpdesk export, timed, and what a linear model makes of their text.

    python bench/simulator.py [--quick]

Figures: tickets_per_second, seconds_per_million, peak_mb (the largest process), mean_words, same_bytes (one process
against two), tfidf_leaf_accuracy (TF-IDF and logistic regression on text alone, trained on 6,000 recorded types and
judged on 2,000 true ones).
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_record import peak_mb, record
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from tickets.manifests import file_hash
from tickets.simulate import SimulationConfig, simulate, write_history


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="100,000 tickets instead of a million")
    quick = arguments.parse_args().quick
    days = 10 if quick else 100
    config = SimulationConfig(seed=7, start=dt.date(2026, 1, 5), days=days, tickets_per_day=10_000)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_history(config, Path(folder), processes=2)
        seconds = time.perf_counter() - started
        export = Path(folder) / "tickets.jsonl"
        tickets, words = 0, 0
        with open(export, encoding="utf-8") as lines:
            for line in lines:
                tickets += 1
                words += len(json.loads(line)["description"].split()) if tickets <= 20_000 else 0
    rate = tickets / seconds
    record(
        "simulator",
        {
            "tickets": tickets,
            "tickets_per_second": round(rate, 1),
            "seconds_per_million": round(1e6 / rate, 1),
            "mean_words": round(words / min(tickets, 20_000), 1),
            "peak_mb": peak_mb(),
            "same_bytes": _same_bytes(),
            "tfidf_leaf_accuracy": _tfidf_accuracy(),
        },
        seconds=time.perf_counter() - started,
    )


def _same_bytes() -> bool:
    config = SimulationConfig(seed=7, start=dt.date(2026, 1, 5), days=4, tickets_per_day=1000)
    hashes = set()
    for processes in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            write_history(config, Path(folder), processes=processes)
            hashes.add(file_hash(Path(folder) / "tickets.jsonl"))
    return len(hashes) == 1


def _tfidf_accuracy() -> float:
    config = SimulationConfig(seed=11, start=dt.date(2026, 1, 5), days=54, tickets_per_day=150)
    simulated = [one for day in simulate(config) for one in day.tickets][:8000]
    texts = [f"{one.ticket.subject} {one.ticket.body}" for one in simulated]
    recorded = [one.outcome.contact_type for one in simulated]
    truth = np.array([one.true_contact_type for one in simulated])
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=300)
    model.fit(vectorizer.fit_transform(texts[:6000]), recorded[:6000])
    return round(float(np.mean(model.predict(vectorizer.transform(texts[6000:])) == truth[6000:])), 4)


if __name__ == "__main__":
    main()
