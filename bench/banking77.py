"""BANKING77 (Casanueva et al. 2020) as training data: its own test split, and validation drawn from its train split.

Its questions have no dates, customers or attributes, so no pipeline runs: a question is cleaned as any ticket is, and
an intent's name is its contact type.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from models.config import TrainConfig
from models.training.data import TrainingData, training_data
from pipeline.text.clean import clean_ticket
from pipeline.text.features import model_text, text_statistics
from tickets.contact_types import ContactTypeTree
from tickets.dataset import dataset_from_toml
from tickets.examples import SCHEMA
from tickets.progress import silent
from tickets.records import ReplyTemplate, Ticket

_DAY = dt.datetime(2020, 3, 10, tzinfo=dt.UTC)  # the publication's; every question is of that day
DATASET = dataset_from_toml(
    {
        "format": "csv",
        "created_at_constant": _DAY,
        "ticket": {"body": "text"},
        "outcome": {"contact_type": "category"},
    },
    name="banking77",
)

Question = tuple[str, str]  # text, intent


def questions(folder: Path, part: str) -> list[Question]:
    """`part` is train or test; intents as people write them."""
    with (folder / f"{part}.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], _spoken(row["category"])) for row in csv.DictReader(file)]


def drawn(rows: Sequence[Question], per_intent: int, *, seed: int) -> tuple[list[Question], list[Question]]:
    """So many questions of each intent, and the rest; both in an order that the seed fixes."""
    random = np.random.default_rng(seed)
    chosen: list[Question] = []
    rest: list[Question] = []
    left = dict.fromkeys({intent for _, intent in rows}, per_intent)
    for place in random.permutation(len(rows)):
        text, intent = rows[place]
        (chosen if left[intent] > 0 else rest).append((text, intent))
        left[intent] -= 1
    return chosen, rest


def held_out_intents(rows: Sequence[Question], count: int, *, seed: int) -> set[str]:
    """Intents that a model is not told of."""
    return set(np.random.default_rng(seed).choice(sorted({intent for _, intent in rows}), count, replace=False))


def data_of(
    train: Sequence[Question],
    validation: Sequence[Question],
    test: Sequence[Question],
    tokenizer: Tokenizer,
    config: TrainConfig,
    *,
    templates: Sequence[ReplyTemplate] = (),
    spread: Callable[[pa.Table], pa.Table] = lambda rows: rows,
) -> TrainingData:
    """Training data whose tree has the intents of all three parts. `spread` may give the questions other days."""
    parts = {"train": train, "validation": validation, "test": test}
    intents = sorted({intent for rows in parts.values() for _, intent in rows})
    return training_data(
        {split: spread(examples(split, rows)) for split, rows in parts.items()},
        dataset=DATASET,
        tree=ContactTypeTree(nodes=()).with_paths(intents),
        templates=tuple(templates),
        tokenizer=tokenizer,
        config=config,
        negatives={},
        report=silent,
    )


def examples(split: str, rows: Sequence[Question]) -> pa.Table:
    """Examples as the pipeline would leave them. Where questions stand for unlabelled tickets, nobody reads their
    intents."""
    cleaned = [
        clean_ticket(Ticket(ticket_id=f"{split}-{number}", created_at=_DAY, body=text), ("en",))
        for number, (text, _) in enumerate(rows)
    ]
    texts = [model_text(ticket) for ticket in cleaned]
    columns = {
        "ticket_id": [ticket.ticket_id for ticket in cleaned],
        "arrived": [_DAY.date()] * len(rows),
        "created_at": [_DAY] * len(rows),
        "text": texts,
        "language": ["en"] * len(rows),
        "channel": [""] * len(rows),
        "attributes": ["{}"] * len(rows),
        "statistics": [json.dumps(text_statistics(text)) for text in texts],
        "contact_type": [intent for _, intent in rows],
        "split": [split] * len(rows),
    }
    filled = {name: columns.get(name, [None] * len(rows)) for name in SCHEMA.names}
    return pa.table(filled, schema=SCHEMA)


def _spoken(category: str) -> str:
    return category.replace("_", " ").strip()
