"""MiniLM trained for a minute on real tickets, and served: what a made-up world of words cannot show."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from models.config import TrainConfig
from models.encoder import load_tokenizer
from models.release import open_release
from models.suggest import Suggester
from models.train import package
from models.training.data import TrainingData, training_data
from models.training.fit import fit
from pipeline.text.clean import clean_ticket
from pipeline.text.features import model_text, text_statistics
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.dataset import dataset_from_toml
from tickets.examples import SCHEMA
from tickets.records import ReplyTemplate, Ticket

DAY = datetime(2020, 3, 10, tzinfo=UTC)
QUICK = TrainConfig(
    max_tokens=32,
    epochs=4,
    batch_size=32,
    trainable_layers=1,
    learning_rate=3e-4,
    head_learning_rate=3e-3,
    patience=4,
    device="cpu",
)


@dataclass(frozen=True)
class Question:
    """A ticket as a customer wrote it, and how it ended."""

    text: str
    contact_type: str
    template_id: str | None = None


@dataclass(frozen=True)
class Served:
    """A release over real tickets, and test tickets: of types it learned, and of those it was only told of."""

    suggester: Suggester
    known: list[Question]
    told: list[Question]


def ticket(text: str) -> Ticket:
    return Ticket(ticket_id="new", created_at=DAY, body=text)


@pytest.fixture(scope="session")
def banking(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """BANKING77, 24 questions an intent. Three intents, drawn, are in the tree and have no training ticket."""
    rng = random.Random(11)
    train, test = (_banking(shared_data / "banking77" / f"{part}.csv", rng) for part in ("train", "test"))
    intents = sorted({row.contact_type for row in train})
    told = set(rng.sample(intents, 3))
    splits = {"train": _some(train, 24, told), "validation": _some(train[::-1], 6, told), "test": _some(test, 1, told)}
    tree = ContactTypeTree(
        nodes=tuple(ContactType(id=intent, name=intent.replace("_", " ").strip().capitalize()) for intent in intents)
    )
    suggester = _trained(splits, tree, (), tmp_path_factory.mktemp("banking"))
    known = [row for row in test if row.contact_type not in told]
    return Served(suggester, known[:600], [row for row in test if row.contact_type in told])


def _banking(path: Path, rng: random.Random) -> list[Question]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = [Question(row["text"], row["category"]) for row in csv.DictReader(file)]
    rng.shuffle(rows)
    return rows


@pytest.fixture(scope="session")
def bitext(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Bitext, 40 messages an intent; of five intents, drawn, the reply was never sent in training."""
    rng = random.Random(11)
    with (shared_data / "bitext" / "tickets-with-replies.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["instruction"], row["category"], row["intent"], row["response"]) for row in csv.DictReader(file)]
    rng.shuffle(rows)
    replies = {intent: response for _, _, intent, response in rows}
    unsent = set(rng.sample(sorted(replies), 5))
    questions = [Question(text, intent, intent) for text, _, intent, _ in rows]
    learned = [
        Question(row.text, row.contact_type, None if row.template_id in unsent else row.template_id)
        for row in questions
    ]
    nodes = [ContactType(id=f"c:{name}", name=name.capitalize()) for name in sorted({row[1] for row in rows})]
    above = {intent: f"c:{category}" for _, category, intent, _ in rows}
    nodes += [
        ContactType(id=intent, name=intent.replace("_", " ").capitalize(), parent=above[intent]) for intent in above
    ]
    templates = tuple(
        ReplyTemplate(template_id=intent, title=intent.replace("_", " ").capitalize(), body=body)
        for intent, body in replies.items()
    )
    half = len(rows) // 2
    splits = {"train": _some(learned[:half], 40, set()), "validation": _some(learned[half:], 6, set())}
    splits["test"] = _some(learned[half:][::-1], 1, set())
    suggester = _trained(splits, ContactTypeTree(nodes=tuple(nodes)), templates, tmp_path_factory.mktemp("bitext"))
    fresh = _some(questions[half:][::-1], 20, set())
    return Served(
        suggester,
        [row for row in fresh if row.template_id not in unsent],
        [row for row in fresh if row.template_id in unsent],
    )


def _some(rows: Sequence[Question], each: int, without: set[str]) -> list[Question]:
    """The first so many rows of each contact type."""
    left = dict.fromkeys({row.contact_type for row in rows} - without, each)
    chosen = []
    for row in rows:
        if left.get(row.contact_type, 0) > 0:
            left[row.contact_type] -= 1
            chosen.append(row)
    return chosen


def _trained(
    splits: Mapping[str, Sequence[Question]],
    tree: ContactTypeTree,
    templates: tuple[ReplyTemplate, ...],
    folder: Path,
) -> Suggester:
    tokenizer = load_tokenizer(QUICK.encoder, QUICK.max_tokens)
    data: TrainingData = training_data(
        {split: _examples(split, rows) for split, rows in splits.items()},
        dataset=dataset_from_toml(
            {"format": "csv", "created_at_constant": DAY, "ticket": {"body": "text"}}, name="real"
        ),
        tree=tree,
        templates=templates,
        tokenizer=tokenizer,
        config=QUICK,
        negatives={},
        report=lambda _line: None,
    )
    fitted = fit(
        data,
        QUICK,
        folder=folder / "checkpoints",
        report=lambda _line: None,
        progress=lambda _step, _steps, _loss: None,
    )
    release = folder / "release"
    release.mkdir()
    package(
        fitted, data, QUICK, release, encoder=QUICK.encoder, languages=("en",), report=lambda _line: None, ladder={}
    )
    return Suggester.load(open_release(release))


def _examples(split: str, rows: Sequence[Question]) -> pa.Table:
    """As the pipeline would leave them."""
    texts = [model_text(clean_ticket(ticket(row.text), ("en",))) for row in rows]
    columns = {
        "ticket_id": [f"{split}-{number}" for number in range(len(rows))],
        "arrived": [DAY.date()] * len(rows),
        "created_at": [DAY] * len(rows),
        "text": texts,
        "language": ["en"] * len(rows),
        "channel": [""] * len(rows),
        "attributes": ["{}"] * len(rows),
        "statistics": [json.dumps(text_statistics(text)) for text in texts],
        "contact_type": [row.contact_type for row in rows],
        "template_id": [row.template_id for row in rows],
        "split": [split] * len(rows),
    }
    filled = {name: columns.get(name, [None] * len(rows)) for name in SCHEMA.names}
    return pa.table(filled, schema=SCHEMA)
