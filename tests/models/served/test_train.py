"""Training end to end: a complete model directory, recorded, and better than guessing."""

from __future__ import annotations

import dataclasses
import shutil
from datetime import UTC, datetime

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from models.baselines.transformer import find_model
from models.config import TrainConfig
from models.release import EXPECTED_FILES, open_release
from models.suggest import Suggester
from models.train import train
from tickets.catalogue import read_templates, read_tree, write_templates, write_tree
from tickets.contact_types import ContactType
from tickets.errors import TrainingDataError
from tickets.records import ReplyTemplate, Ticket
from tickets.tables import SPLITS
from tickets.workspace import Workspace


def silent(*_anything: object) -> None:
    """No report, no progress."""


def test_training_leaves_a_complete_directory_that_opens(trained):
    release = open_release(trained.model.folder)
    assert release.version == trained.model.version == trained.model.folder.name
    assert set(EXPECTED_FILES) <= set(release.hashes)
    assert release.languages == ("en", "de")
    assert release.windows["train"]["tickets"] == 260
    assert release.windows["train"]["to"] < release.windows["validation"]["from"]


def test_nothing_is_left_beside_it(trained):
    assert [path.name for path in trained.workspace.models.iterdir()] == [trained.model.version]
    assert not list(trained.workspace.aside_root.iterdir())


def test_the_model_learned_and_stands_beside_its_baselines(trained):
    metrics = trained.model.metrics
    assert metrics["model"]["test"]["accuracy"] > 0.7
    assert metrics["model"]["test"]["accuracy"] > metrics["majority"]["test"]["accuracy"] + 0.3
    assert metrics["model"]["test"]["hits@3"] >= metrics["model"]["test"]["accuracy"]
    assert set(metrics) == {"model", "majority", "tfidf"}
    assert all({"train_seconds", "ms_per_ticket", "megabytes"} <= set(figures["cost"]) for figures in metrics.values())


def test_templates_are_ranked_better_than_by_frequency(trained):
    metrics = trained.model.metrics
    assert metrics["model"]["test"]["template_hits@3"] > metrics["majority"]["test"]["template_hits@3"]


def test_the_card_has_the_figures_and_the_encoder_loads_by_itself(trained):
    from transformers import AutoModel, AutoTokenizer

    card = (trained.model.folder / "README.md").read_text()
    assert f"{trained.model.metrics['model']['test']['accuracy']:.3g}" in card
    assert "| train | 260 | 2026-01-01 |" in card
    assert AutoModel.from_pretrained(trained.model.folder / "encoder").config.hidden_size == 32
    assert AutoTokenizer.from_pretrained(trained.model.folder / "encoder")("refund")["input_ids"]


@pytest.fixture
def copied(made_up: Workspace, workspace: Workspace) -> Workspace:
    """The same tickets and catalogue in a workspace that a test may change."""
    for name in ("lake", "catalogue"):
        shutil.copytree(made_up.root / name, workspace.root / name, dirs_exist_ok=True)
    return workspace


def drop_split(workspace: Workspace, split: str) -> None:
    """Its tickets stand in no split any more."""
    (file,) = workspace.table_path(SPLITS).glob("*.parquet")
    pq.write_table(workspace.read(SPLITS).filter(pc.field("split") != split), file)


def test_training_goes_on_from_an_earlier_model_and_needs_no_test_split(trained, copied, tiny_config: TrainConfig):
    drop_split(copied, "test")
    (copied.catalogue / "templates.json").write_text("[]")
    short = dataclasses.replace(tiny_config, epochs=1, learning_rate=1e-5, head_learning_rate=1e-5)
    model = train(copied, short, report=silent, progress=silent, initial=trained.model.folder, ladder={})
    assert set(model.metrics["model"]) == {"validation", "cost"}
    assert model.metrics["model"]["validation"]["accuracy"] > 0.7  # one gentle epoch from nothing would not do
    release = open_release(model.folder)
    assert "test" not in release.windows
    assert release.started_from == trained.model.version
    assert f"by way of version {trained.model.version}" in (model.folder / "README.md").read_text()
    assert open_release(trained.model.folder).started_from is None
    assert find_model(copied, release.data_hash, {}) is None  # its seconds are not those of a whole training
    assert release.data_hash != open_release(trained.model.folder).data_hash
    assert Suggester.load(release).templates == ()


def test_what_was_added_since_the_earlier_model_is_suggested_at_once(trained, copied, tiny_config: TrainConfig):
    """A new contact type and template, and values of a new attribute column: the rest keeps what was learned."""
    tree = read_tree(copied)
    receipt = ContactType(id="receipt", name="Receipt", parent="pay", description="card statement receipt")
    write_tree(copied, dataclasses.replace(tree, nodes=(receipt, *tree.nodes), version=2))
    new = ReplyTemplate(template_id="reply-receipt", title="receipt", body="About your card statement receipt")
    write_templates(copied, [new, *read_templates(copied)])
    dataset = copied.catalogue / "dataset.toml"
    dataset.write_text(dataset.read_text().replace('["product"]', '["city", "product"]'))
    gentle = dataclasses.replace(tiny_config, epochs=1, learning_rate=1e-5, head_learning_rate=1e-5)
    model = train(copied, gentle, report=silent, progress=silent, initial=trained.model.folder, ladder={})
    before, after = (metrics["model"]["test"]["accuracy"] for metrics in (trained.model.metrics, model.metrics))
    assert after > before - 0.1
    ticket = Ticket(ticket_id="new", created_at=datetime.now(UTC), body="money back refund my cancelled order")
    suggester = Suggester.load(open_release(model.folder))
    asking = dataclasses.replace(ticket, body="card statement receipt")
    found, about_it = suggester.suggest([ticket, asking], top_types=50, top_templates=50)
    assert found.contact_types[0].contact_type == "refund"
    # Tickets in its words rank it higher than others do, type and template.
    types, templates = (
        [[getattr(row, name) for row in getattr(one, rows)].index(wanted) for one in (found, about_it)]
        for rows, name, wanted in (
            ("contact_types", "path", "Payments::Receipt"),
            ("templates", "template_id", "reply-receipt"),
        )
    )
    assert types[1] < types[0]
    assert templates[1] <= min(1, templates[0])


def test_without_validation_tickets_training_says_so_before_it_starts(copied, tiny_config: TrainConfig):
    drop_split(copied, "validation")
    with pytest.raises(TrainingDataError, match="validation split"):
        train(copied, tiny_config, report=silent, progress=silent, ladder={})
    assert not list(copied.models.iterdir())
