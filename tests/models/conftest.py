"""A tiny random encoder and a tiny world of tickets, so that networks are built and trained in about a second."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from models.config import TrainConfig
from models.training.data import TrainingData, load_training_data
from tickets.catalogue import write_templates, write_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.records import ReplyTemplate
from tickets.workspace import Workspace, write_text

WORDS = {  # leaf -> the words its customers use
    "refund": ["money", "refund"],
    "invoice": ["invoice", "bill"],
    "late": ["late", "waiting"],
    "lost": ["lost", "missing"],
    "broken": ["broken", "damaged"],
}
PARENTS = {"refund": "payments", "invoice": "payments", "late": "delivery", "lost": "delivery", "broken": "delivery"}
NOISE = [
    "hello",
    "please",
    "my",
    "the",
    "order",
    "is",
    "today",
    "thanks",
    "again",
    "parcel",
    "account",
    "pay",
    "stolen",
]
DATASET = """
name = "tiny"
created_at_constant = 2026-01-01T00:00:00Z
[ticket]
body = "text"
[attributes]
categorical = ["city", "planet"]
numeric = ["amount"]
boolean = ["vip"]
[outcome]
contact_type = "type"
"""


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in Hugging Face layout: three random BERT layers of width 32, and a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-encoder")
    words = [*sorted({word for own in WORDS.values() for word in own} | {*WORDS, *PARENTS.values()}), *NOISE, ">", "."]
    vocabulary = {word: place for place, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(words)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()  # type: ignore[assignment]
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # type: ignore[assignment]
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
    )
    # Words far apart and layers that change little: a random encoder that still tells one text from another.
    torch.nn.init.normal_(model.embeddings.word_embeddings.weight)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_config(tiny_encoder: Path) -> TrainConfig:
    return TrainConfig(
        precision="fp32",  # the same figures on every CPU
        encoder=str(tiny_encoder),
        max_tokens=24,
        epochs=3,
        batch_size=8,
        learning_rate=1e-3,
        head_learning_rate=5e-3,
        device="cpu",
    )


@pytest.fixture
def tiny_tree() -> ContactTypeTree:
    nodes = [ContactType(id=name, name=name.capitalize()) for name in ("payments", "delivery")]
    nodes += [ContactType(id=name, name=name.capitalize(), parent=above) for name, above in PARENTS.items()]
    return ContactTypeTree(nodes=tuple(nodes))


@pytest.fixture
def tiny_templates() -> tuple[ReplyTemplate, ...]:
    return tuple(
        ReplyTemplate(template_id=f"reply-{name}", title=name, body=f"hello {' '.join(own)} thanks")
        for name, own in WORDS.items()
    )


def feature_row(number: int, contact_type: str | None, text: str, **other: Any) -> dict[str, Any]:
    """An example: a row of FEATURES and how the ticket ended."""
    return {
        "ticket_id": f"t{number:04d}",
        "created_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number),
        "text": text,
        "language": "en",
        "channel": "web",
        "attributes": json.dumps(
            {"city": "Oslo" if number % 2 else "Bergen", "amount": number % 50, "vip": number % 3 == 0}
        ),
        "statistics": json.dumps({"words": len(text.split())}),
        "contact_type": contact_type,
        "template_id": None if contact_type is None else f"reply-{contact_type}",
        "outcome_source": "import",
        **other,
    }


def feature_rows(count: int, *, seed: int, first: int = 0) -> list[dict[str, Any]]:
    """Tickets whose one telling word gives their leaf away."""
    deal = random.Random(seed)
    rows = []
    for number in range(first, first + count):
        leaf = deal.choice(sorted(WORDS))
        words = [deal.choice(WORDS[leaf]), *deal.choices(NOISE, k=deal.randint(1, 6))]
        deal.shuffle(words)
        rows.append(feature_row(number, leaf, " ".join(words)))
    return rows


Examples = dict[str, list[dict[str, Any]]]  # split -> its tickets


@pytest.fixture
def tiny_examples() -> Examples:
    """120 training, 40 validation and 40 test tickets."""
    sizes = (("train", 120, 0), ("validation", 40, 200), ("test", 40, 300))
    return {split: feature_rows(count, seed=n, first=first) for n, (split, count, first) in enumerate(sizes, start=1)}


@pytest.fixture
def tiny_workspace(
    tmp_path: Path,
    tiny_tree: ContactTypeTree,
    tiny_templates: tuple[ReplyTemplate, ...],
    tiny_examples: Examples,
    write_examples: Callable[..., None],
) -> Workspace:
    """The tiny examples, with pairs."""
    workspace = Workspace.create(tmp_path / "workspace")
    write_text(workspace.catalogue / "dataset.toml", DATASET)
    write_tree(workspace, tiny_tree)
    write_templates(workspace, tiny_templates)
    write_examples(workspace, tiny_examples, pairs_of(tiny_examples["train"]))
    return workspace


def pairs_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of PAIRS: the templates of the contact type's siblings, which were not sent."""
    return [
        {
            "ticket_id": row["ticket_id"],
            "template_id": f"reply-{leaf}",
            "relevant": False,
            "negative": "same contact type",
        }
        for row in rows
        for leaf in sorted(WORDS)
        if leaf != row["contact_type"] and PARENTS[leaf] == PARENTS.get(row["contact_type"])
    ]


LoadTiny = Callable[..., TrainingData]


@pytest.fixture
def load_tiny(tiny_workspace: Workspace, tiny_config: TrainConfig) -> LoadTiny:
    """`load_tiny(report=..., **changes of the config)` reads the workspace as training does."""
    from models.encoder import load_tokenizer

    def load(report: Callable[[str], None] = lambda _line: None, **changes: Any) -> TrainingData:
        config = dataclasses.replace(tiny_config, **changes)
        tokenizer = load_tokenizer(config.encoder, config.max_tokens)
        return load_training_data(tiny_workspace, tokenizer, config, report=report)

    return load


@pytest.fixture
def make_row() -> Callable[..., dict[str, Any]]:
    """`make_row(number, contact_type, text, **other columns)`: an example."""
    return feature_row


@pytest.fixture
def put_features(
    tiny_workspace: Workspace, tiny_examples: Examples, write_examples: Callable[..., None]
) -> Callable[[str, list[dict[str, Any]]], None]:
    """`put_features(split, rows)` replaces the examples of a split in the tiny workspace."""

    def put(split: str, rows: list[dict[str, Any]]) -> None:
        tiny_examples[split] = rows
        write_examples(tiny_workspace, tiny_examples, pairs_of(tiny_examples["train"]))

    return put
