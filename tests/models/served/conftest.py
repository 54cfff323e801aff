"""A workspace of made-up tickets, a two-layer BERT that nobody trained before, and one model trained from both."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.config import TrainConfig
from models.train import ModelVersion, train
from pipeline.text.features import text_statistics
from tickets.catalogue import keep_dataset, write_templates, write_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.records import ReplyTemplate
from tickets.workspace import Workspace

DATASET = """
name = "made-up"
format = "jsonl"
languages = ["en", "de"]
[ticket]
ticket_id = "id"
created_at = "at"
body = "text"
[attributes]
categorical = ["product"]
numeric = ["amount"]
[outcome]
contact_type = "type"
template_id = "template"
"""
TREE = ContactTypeTree(
    nodes=(
        ContactType(id="pay", name="Payments"),
        ContactType(id="refund", name="Refund", parent="pay", description="money back"),
        ContactType(id="double", name="Charged twice", parent="pay"),
        ContactType(id="ride", name="Ride"),
        ContactType(id="lost", name="Lost item", parent="ride"),
        ContactType(id="route", name="Wrong route", parent="ride"),
        ContactType(id="account", name="Account access"),
    )
)
WORDS = {
    "refund": "refund money back return cancelled order reimburse",
    "double": "charged twice double payment duplicate card statement",
    "lost": "lost phone bag left car seat umbrella",
    "route": "driver wrong route detour longer street map",
    "account": "password login account locked reset email access",
}
FILLER = [
    "hello",
    "please",
    "help",
    "with",
    "my",
    "problem",
    "the",
    "app",
    "is",
    "today",
    "again",
    "thanks",
    "since",
    "yesterday",
    "and",
    "nobody",
    "answers",
]
SPLITS = {"train": 260, "validation": 80, "test": 60}
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Trained:
    """One training's results; `tracking_uri` is the SQLite store it was recorded in."""

    workspace: Workspace
    model: ModelVersion
    tracking_uri: str
    lines: list[str]


def ticket_text(contact_type: str, rng: random.Random) -> str:
    words = rng.sample(WORDS[contact_type].split(), 3) + rng.sample(FILLER, 5)
    rng.shuffle(words)
    return " ".join(words)


def examples(count: int, first: int, rng: random.Random) -> list[dict[str, Any]]:
    rows = []
    for number in range(first, first + count):
        contact_type = rng.choice(list(WORDS))
        text = ticket_text(contact_type, rng)
        paying = (contact_type in ("refund", "double")) == (rng.random() < 0.7)  # a hint, no proof
        product = "card" if paying else "ride"
        rows.append(
            {
                "ticket_id": f"T{number:04d}",
                "created_at": START + timedelta(hours=number),
                "text": text,
                "language": "en",
                "channel": rng.choice(["mail", "app"]),
                "attributes": json.dumps({"product": product, "amount": 3.5}),
                "statistics": json.dumps(text_statistics(text)),
                # One agent in ten picks another type: a model that is always sure would be wrong.
                "contact_type": contact_type if rng.random() > 0.1 else rng.choice(list(WORDS)),
                "template_id": f"reply-{contact_type}",
                "outcome_source": "import",
            }
        )
    return rows


def templates() -> list[ReplyTemplate]:
    replies = [
        ReplyTemplate(
            template_id=f"reply-{kind}", title=words.split()[0], body=f"About your {words}", contact_types=(kind,)
        )
        for kind, words in WORDS.items()
    ]
    german = ReplyTemplate(template_id="reply-de", title="Erstattung", body="refund money back return", language="de")
    retired = ReplyTemplate(template_id="reply-old", title="Old refund", body="refund money back", active=False)
    return [*replies, german, retired]


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory, write_examples: Callable[..., None]) -> Workspace:
    """A workspace as the pipeline leaves it: examples, pairs and the catalogue."""
    folder = tmp_path_factory.mktemp("made-up")
    workspace = Workspace.create(folder / "workspace")
    (folder / "dataset.toml").write_text(DATASET)
    keep_dataset(workspace, folder / "dataset.toml")
    write_tree(workspace, TREE)
    write_templates(workspace, templates())
    rng, first, splits = random.Random(5), 0, dict[str, list[dict[str, Any]]]()
    for split, count in SPLITS.items():
        splits[split] = examples(count, first, rng)
        first += count
    pairs = [
        {"ticket_id": row["ticket_id"], "template_id": template, "relevant": template == row["template_id"]}
        for rows in splits.values()
        for row in rows
        for template in (row["template_id"], "reply-lost")
    ]
    write_examples(workspace, splits, pairs)
    return workspace


@pytest.fixture(scope="session")
def tiny_config(small_encoder: Path) -> TrainConfig:
    return TrainConfig(
        precision="fp32",  # the same figures on every CPU
        encoder=str(small_encoder),
        max_tokens=32,
        epochs=14,
        batch_size=16,
        learning_rate=2e-3,
        head_learning_rate=3e-3,
        device="cpu",
        patience=14,
        label_smoothing=0.0,
    )


@pytest.fixture(scope="session")
def trained(made_up: Workspace, tiny_config: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Trained once for all tests; they must leave its files alone."""
    lines: list[str] = []
    tracking_uri = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        model = train(
            made_up,
            tiny_config,
            report=lines.append,
            progress=lambda _step, _steps, _loss: None,
            tracking_uri=tracking_uri,
        )
    return Trained(made_up, model, tracking_uri, lines)


@pytest.fixture
def two_models(trained: Trained, tmp_path: Path) -> Workspace:
    """A workspace of its own with two models, `first` and `second`, that a test may promote and break."""
    workspace = Workspace.create(tmp_path / "two")
    for name in ("first", "second"):
        shutil.copytree(trained.model.folder, workspace.models / name)
        facts = json.loads((workspace.models / name / "release.json").read_text())
        (workspace.models / name / "release.json").write_text(json.dumps({**facts, "version": name}))
    return workspace
