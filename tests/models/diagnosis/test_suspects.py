"""Suspect labels: flipped ones are found far more often than chance would, right ones are left alone."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from models.diagnosis.suspects import (
    CALIBRATED,
    CROSS_VALIDATED,
    FEWEST,
    SuspectLabels,
    cross_validated,
    suspect_labels,
    write_suspects,
)
from pipeline.text.features import model_text
from tickets.simulate import SimulationConfig, simulate

INTENTS, EACH, FLIPPED = 20, 75, 0.05


def judge(labels: Sequence[str], texts: Sequence[str]) -> SuspectLabels:
    """By cross-validation over words alone. A ticket's id is its row."""
    names, column = np.unique(labels, return_inverse=True)
    kept = np.flatnonzero(np.bincount(column)[column] >= FEWEST)
    present, own = np.unique(column[kept], return_inverse=True)
    probabilities = cross_validated([texts[row] for row in kept], None, own, np.arange(len(kept)))
    return suspect_labels(
        [labels[row] for row in kept],
        probabilities,
        [str(names[one]) for one in present],
        ticket_ids=[str(row) for row in kept],
        texts=[texts[row] for row in kept],
        split="train",
        method=CROSS_VALIDATED,
    )


def hits(found: SuspectLabels, wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return wrong[[int(one.ticket_id) for one in found.suspects]]


@pytest.fixture(scope="module")
def questions(shared_data: Path) -> tuple[list[str], list[str]]:
    """Texts and intents of BANKING77's first intents."""
    with open(shared_data / "banking77" / "train.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = sorted({row["category"] for row in rows})[:INTENTS]
    picked = [row for name in chosen for row in [row for row in rows if row["category"] == name][:EACH]]
    return [row["text"] for row in picked], [row["category"] for row in picked]


def test_flipped_labels_are_found_and_clean_ones_left_alone(questions):
    """Of 1,470 questions 5 % get another label: about three in four suspects are wrong, and three in four of the wrong
    ones are suspects. The labels as published give hardly any suspects."""
    texts, labels = questions
    rng = np.random.default_rng(0)
    wrong = rng.random(len(labels)) < FLIPPED
    others = [rng.choice([name for name in set(labels) if name != label]) for label in labels]
    flipped = [str(other) if bad else label for label, other, bad in zip(labels, others, wrong, strict=True)]
    found, clean = judge(flipped, texts), judge(labels, texts)
    right = hits(found, wrong)
    assert right[:20].mean() >= 0.8  # precision@20; chance is 0.05
    assert right[:50].mean() >= 0.7
    assert right.mean() >= 0.6
    assert right.sum() / wrong.sum() >= 0.6
    assert 0.03 < found.expected_share < 0.12
    likelier = [one.likelier == labels[int(one.ticket_id)] for one in found.suspects[:50]]
    assert np.mean(likelier) >= 0.6  # and the label it had before is named
    assert len(clean.suspects) < 0.02 * clean.tickets
    assert clean.expected_share < 0.03


def test_mistakes_of_simulated_agents_stand_first():
    """Agents of the simulated company pick a wrong type for one ticket in twenty; who wrote the tickets knows."""
    plan = SimulationConfig(seed=3, start=dt.date(2026, 1, 5), days=12, tickets_per_day=150)
    tickets = [one for day in simulate(plan) for one in day.tickets]
    recorded = [one.outcome.contact_type for one in tickets]
    wrong = np.array([one.true_contact_type != label for one, label in zip(tickets, recorded, strict=True)])
    assert wrong.mean() == pytest.approx(0.05, abs=0.015)
    found = judge(recorded, [model_text(one.ticket) for one in tickets])
    right = hits(found, wrong)
    assert right[:20].mean() >= 0.7
    assert right[:50].mean() >= 0.6
    scores = [one.score for one in found.suspects]
    assert scores == sorted(scores, reverse=True)


def test_a_copy_of_the_ticket_cannot_vouch_for_its_label():
    """Three near-duplicates got the same wrong label: as one group they are judged by the others alone."""
    rng = np.random.default_rng(0)
    said = {"refund": ["refund", "money", "back", "order"], "lost": ["lost", "phone", "bag", "car", "seat"]}
    noise = ["please", "help", "with", "my", "problem", "today", "again", "thanks"]
    texts, labels = [], []
    for label, words in said.items():
        for _ in range(40):
            texts.append(" ".join([*rng.choice(words, 3), *rng.choice(noise, 4)]))
            labels.append(label)
    texts += ["umbrella refund scarf money glove"] * 3
    labels += ["lost"] * 3
    column = np.unique(labels, return_inverse=True)[1]
    alone, grouped = np.arange(len(labels)), np.arange(len(labels))
    grouped[-3:] = len(labels)
    believed = [float(cross_validated(texts, None, column, groups)[-3:, 0].mean()) for groups in (alone, grouped)]
    assert believed[0] > believed[1] + 0.1


def test_vectors_and_words_are_both_heard():
    """Words that say nothing leave it to the vectors, and the other way about."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    telling = rng.normal(size=(120, 8)).astype(np.float32) + 2 * labels[:, None].astype(np.float32)
    silent = rng.normal(size=(120, 8)).astype(np.float32)
    words = [f"{'refund' if one else 'lost'} {rng.integers(9)}" for one in labels]
    groups = np.arange(120)
    for texts, vectors in ((["same text"] * 120, telling), (words, silent)):
        shares = cross_validated(texts, vectors, labels, groups)
        assert shares.sum(axis=1) == pytest.approx(1.0)
        assert np.mean(shares.argmax(axis=1) == labels) > 0.9


def test_when_all_tickets_are_alike_nothing_is_out_of_sample():
    shares = cross_validated(["a"] * 20, None, np.repeat([0, 1], 10), np.zeros(20, np.int64))
    assert np.all(shares == 0.5)


def test_rare_types_and_unknown_labels_are_not_judged():
    labels = ["a"] * 20 + ["b"] * 20 + ["rare"] * (FEWEST - 1) + ["elsewhere"] * 3
    probabilities = np.full((len(labels), 3), 1 / 3)
    found = suspect_labels(
        labels,
        probabilities,
        ["a", "b", "rare"],
        ticket_ids=[str(row) for row in range(len(labels))],
        texts=["text"] * len(labels),
        split="test",
        method=CALIBRATED,
    )
    assert (found.tickets, found.left_out) == (40, FEWEST - 1 + 3)
    assert {row.contact_type for row in found.types} == {"a", "b"}


def test_one_type_alone_cannot_be_judged():
    found = suspect_labels(
        ["a"] * 20, np.ones((20, 1)), ["a"], ticket_ids=["t"] * 20, texts=[""] * 20, split="test", method=CALIBRATED
    )
    assert (found.tickets, found.left_out, found.suspects) == (0, 20, ())


def test_the_file_for_the_label_queue_holds_every_suspect(tmp_path: Path):
    labels = ["a"] * 30 + ["b"] * 30
    sure = np.where(np.array(labels)[:, None] == np.array(["a", "b"])[None, :], 0.95, 0.05)
    sure[3], sure[40] = sure[3][::-1].copy(), [0.97, 0.03]
    found = suspect_labels(
        labels,
        sure,
        ["a", "b"],
        ticket_ids=[f"t{row}" for row in range(60)],
        texts=["some text"] * 60,
        split="test",
        method=CALIBRATED,
    )
    path = tmp_path / "experiments" / "suspects.parquet"
    write_suspects(path, [found], version="v1")
    table = pq.read_table(path)
    assert [(row["ticket_id"], row["contact_type"], row["likelier"]) for row in table.to_pylist()] == [
        ("t40", "b", "a"),
        ("t3", "a", "b"),
    ]
    assert table["score"].to_pylist() == pytest.approx([0.97, 0.95])
    assert table.schema.metadata[b"model_version"] == b"v1"
    assert [entry.name for entry in path.parent.iterdir()] == ["suspects.parquet"]
    (wrong_a, wrong_b) = sorted(found.types, key=lambda row: row.contact_type)
    assert (wrong_a.tickets, wrong_a.expected_wrong, wrong_b.expected_wrong) == (30, 1, 1)
