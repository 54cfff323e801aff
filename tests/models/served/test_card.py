"""The model card: metadata that the hub reads, figures that follow the measurements, code that runs."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from models.card import model_card
from models.card_metadata import base_model
from models.confidence.limits import NEVER
from models.config import DEFAULT_ENCODER
from models.directory import write_findings
from models.encoder import load_tokenizer
from models.evaluate import splits
from models.predictions import Predictor, inputs_of
from models.release import Release, open_release
from models.training.data import TrainingData, load_training_data

SECTIONS = (  # of Mitchell et al. 2019, and what a user needs besides
    *("Model details", "Intended use", "Training data", "Quality", "For whom it works", "Reading its probabilities"),
    *("Cost", "How to load it", "Ethical considerations and privacy", "Limits"),
)


@pytest.fixture(scope="module")
def data(made_up, tiny_config) -> TrainingData:
    tokenizer = load_tokenizer(tiny_config.encoder, tiny_config.max_tokens)
    return load_training_data(made_up, tokenizer, tiny_config, report=lambda _line: None)


@pytest.fixture(scope="module")
def described(trained, data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The trained model in a folder of its own, its findings written as training writes them."""
    folder = tmp_path_factory.mktemp("described") / "model"
    shutil.copytree(trained.model.folder, folder)
    release = open_release(folder)
    predictor = Predictor.load(release)
    predictions = {split: predictor.predict(inputs_of(part.rows)) for split, part in splits(data).items()}
    write_findings(data, predictions, release.metrics, folder)
    return release


@pytest.fixture(scope="module")
def card(described: Release) -> ModelCard:
    return ModelCard(model_card(described), ignore_metadata_errors=False)


def test_the_hub_reads_its_metadata(card: ModelCard, described: Release):
    assert card.data.language == ["en", "de"]
    assert card.data.license == "other"
    assert (described.folder / card.data.license_link).is_file()
    assert card.data.pipeline_tag == "text-classification"
    assert {"customer-support", "onnx"} <= set(card.data.tags)
    assert card.data.base_model is None  # trained from a folder here, which the hub does not know


def test_the_figures_are_a_model_index(card: ModelCard, described: Release):
    figures = described.metrics["model"]["test"]
    index = {(one.task_type, one.metric_name): one for one in card.data.eval_results}
    accuracy = index["text-classification", "accuracy, contact type"]
    assert accuracy.metric_value == pytest.approx(figures["accuracy"], abs=1e-4)
    assert (accuracy.metric_type, accuracy.dataset_split) == ("accuracy", "test")
    assert index["text-ranking", "templates, hits@3"].metric_value == pytest.approx(
        figures["template_hits@3"], abs=1e-4
    )
    levels = [name for task, name in index if task == "text-classification" and name.startswith("accuracy, level")]
    assert levels == ["accuracy, level 1", "accuracy, level 2"]
    assert card.data.to_dict()["model-index"][0]["results"][0]["dataset"]["revision"] == described.data_hash[:40]


def test_it_has_every_section(card: ModelCard):
    assert tuple(re.findall(r"^## (.+)$", card.text, re.MULTILINE)) == SECTIONS


def test_it_tells_the_tickets_and_where_their_labels_came_from(card: ModelCard):
    assert "| train | 260 | 2026-01-01 |" in card.text
    assert "- Labels from: import 260." in card.text
    assert "- Languages: en 260." in card.text
    assert re.search(r"- Channels: (mail|app) \d+, (mail|app) \d+\.", card.text)
    assert "the attributes product, amount" in card.text


def test_figures_have_intervals_and_slices_are_told(card: ModelCard, described: Release):
    share = described.metrics["model"]["test"]["accuracy"]
    assert re.search(rf"\| test \| accuracy, contact type \| 60 \| {share:.1%} \(\d+\.\d% to \d+\.\d%\) \|", card.text)
    assert "| channel: app |" in card.text
    measured = json.loads((described.folder / "metrics.json").read_text())
    worst = max(measured["contact_types"]["test"], key=lambda row: round(row["tickets"] * (1 - row["recall"])))
    assert f"| {worst['tickets']} | {round(worst['tickets'] * (1 - worst['recall']))} |" in card.text
    bins = measured["reliability"]["test"]
    assert sum(one["right"]["tickets"] for one in bins) == 60
    assert f"| {bins[-1]['right']['tickets']} | {bins[-1]['confidence']:.1%} |" in card.text


def test_the_baselines_stand_beside_the_model(card: ModelCard, described: Release):
    assert "| | model | majority | tfidf |" in card.text
    row = [described.metrics[name]["test"]["accuracy"] for name in ("model", "majority", "tfidf")]
    assert f"| accuracy, contact type | {' | '.join(f'{value:.3g}' for value in row)} |" in card.text


def test_it_says_what_was_measured_and_nothing_else(described: Release):
    """Other measurements give another card: no figure is written into the text."""
    changed = json.loads(json.dumps(described.metrics))
    changed["model"]["test"]["accuracy"], changed["model"]["cost"]["megabytes"] = 0.1234, 4321.0
    text = model_card(dataclasses.replace(described, metrics=changed, max_tokens=77, languages=("fr",)))
    assert "0.123" in text
    assert "| MB | 4,321 |" in text
    assert "cut after 77 tokens" in text
    assert ModelCard(text).data.language == ["fr"]
    (interval,) = re.findall(r"\| test \| accuracy, contact type .*", text)
    assert f"{described.metrics['model']['test']['accuracy']:.1%}" not in interval


def test_what_customers_and_leads_wrote_is_shown_as_it_is(described: Release, tmp_path: Path):
    folder = Path(shutil.copytree(described.folder, tmp_path / "model"))
    findings = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    findings["slices"]["test"][0] |= {"name": "product", "value": "<b>a|*b*</b>", "worse": True}
    (folder / "metrics.json").write_text(json.dumps(findings), encoding="utf-8")
    text = model_card(dataclasses.replace(described, folder=folder))
    assert r"| product: \<b\>a\|\*b\*\</b\> **worse** |" in text


def test_it_names_no_folder_of_this_machine(card: ModelCard, tiny_config):
    assert str(Path(tiny_config.encoder).parent) not in card.content
    assert Path(tiny_config.encoder).name in card.text


def test_its_code_runs_inside_the_folder(trained, capsys, monkeypatch: pytest.MonkeyPatch):
    """As a reader would: copied from the card, in the folder that holds it."""
    monkeypatch.chdir(trained.model.folder)
    blocks = re.findall(r"```python\n(.*?)```", (trained.model.folder / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    known: dict[str, object] = {}
    for block in blocks:
        exec(block, known)
    vectors = known["vectors"]
    assert tuple(vectors.shape) == (1, 32)  # type: ignore[attr-defined]
    assert float(vectors.norm()) == pytest.approx(1.0, abs=1e-5)  # type: ignore[attr-defined]
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("Payments::Refund")


def test_a_card_needs_no_findings_to_be_whole(described: Release, tmp_path: Path):
    """A model directory of before, whose metrics.json tells less."""
    shutil.copytree(described.folder, tmp_path / "model")
    (tmp_path / "model" / "metrics.json").write_text(json.dumps(described.metrics))
    text = ModelCard(model_card(dataclasses.replace(described, folder=tmp_path / "model"))).text
    assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == SECTIONS


@pytest.mark.parametrize(
    ("encoder", "known"),
    [
        (DEFAULT_ENCODER, "sentence-transformers/all-MiniLM-L6-v2"),
        ("intfloat/e5-small-v2", "intfloat/e5-small-v2"),
        ("bert-base-uncased", "bert-base-uncased"),
        ("/models/mine", None),
        ("", None),
    ],
)
def test_only_what_the_hub_knows_is_named_as_the_base(encoder: str, known: str | None):
    assert base_model(encoder) == known


def test_a_folder_is_no_base_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert base_model("mine") is None


def test_bands_are_told_as_the_range_of_the_types_own_limits(described: Release) -> None:
    limits = {"a": (0.9, 0.5), "b": (0.75, 0.5), "c": (NEVER, 0.5)}
    calibration = dataclasses.replace(described.calibration, type_limits=limits)
    told = model_card(dataclasses.replace(described, calibration=calibration))
    assert "Band high: from a probability of 0.75 to 0.90, by contact type; never for 1 contact types." in told
    assert "Band medium: from a probability of 0.50." in told
    alike = dataclasses.replace(described.calibration, type_limits={}, high=NEVER, medium=0.4)
    told = model_card(dataclasses.replace(described, calibration=alike))
    assert "Band high: never given: no limit reached its target." in told
    assert "Band medium: from a probability of 0.40." in told
