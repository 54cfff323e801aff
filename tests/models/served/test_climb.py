"""The whole ladder with a trained model at its end, and `triage baselines` as a person runs it."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from models.baselines.transformer import find_model, measure_release
from models.config import TrainConfig
from models.encoder import load_tokenizer
from models.ladder.climb import MODEL, RUNGS, Trained, chosen_rungs, climb, judged_split
from models.ladder.saved import read_ladder
from models.release import open_release
from models.training.data import TrainingData, hash_of, load_training_data
from tickets.errors import InputError, ReleaseError, TrainingDataError
from tickets.workspace import Workspace
from triage.cli import app

QUICK = ("majority", "keywords", "tfidf")


def silent(_line: str) -> None: ...


@pytest.fixture
def data(made_up: Workspace, tiny_config: TrainConfig) -> TrainingData:
    tokenizer = load_tokenizer(tiny_config.encoder, tiny_config.max_tokens)
    return load_training_data(made_up, tokenizer, tiny_config, report=silent)


def none_there() -> Trained:
    raise ReleaseError("there is no model here.")


def test_the_model_of_the_same_tickets_is_found_and_measured_as_training_measured_it(
    trained, data: TrainingData, tiny_config: TrainConfig
) -> None:
    there = find_model(trained.workspace, hash_of(data), dataclasses.asdict(tiny_config))
    assert there is not None
    assert there.version == trained.model.version
    found = measure_release(there, data)
    then = trained.model.metrics["model"]
    for split in ("validation", "test"):
        for figure in ("accuracy", "hits@3", "template_hits@3"):
            assert found.figures[split][figure] == pytest.approx(then[split][figure], abs=0.02)
    assert found.figures["cost"]["train_seconds"] == then["cost"]["train_seconds"]
    assert found.leaves["test"].sum(axis=1) == pytest.approx(np.ones(60), abs=1e-3)


def test_a_model_of_other_tickets_or_settings_or_a_damaged_one_is_none(
    two_models: Workspace, trained, data: TrainingData, tiny_config: TrainConfig
) -> None:
    data_hash = hash_of(data)
    assert find_model(two_models, "0" * 64, {}) is None
    assert find_model(two_models, data_hash, {"epochs": 1}) is None
    assert find_model(two_models, data_hash, {"encoder": "another with the same tokenizer"}) is None
    elsewhere = {**dataclasses.asdict(tiny_config), "device": "auto"}  # where it runs is no setting of the model
    newest = find_model(two_models, data_hash, elsewhere)
    assert newest is not None
    assert newest.version == "second"
    (two_models.models / "second" / "model.onnx").write_bytes(b"broken")
    older = find_model(two_models, data_hash, {})
    assert older is not None
    assert older.version == "first"


def test_a_climb_judges_every_rung_on_the_same_tickets(trained, data: TrainingData, tiny_config: TrainConfig) -> None:
    lines: list[str] = []
    model = Trained(open_release(trained.model.folder), was_there=True)
    run = climb(data, tiny_config, rungs=(*QUICK, MODEL), trained=lambda: model, report=lines.append)
    assert [rung.name for rung in run.rungs] == [*QUICK, MODEL]
    assert run.split == "test"
    assert all(len(rung.correct) == 60 for rung in run.rungs)
    for rung in run.rungs:
        assert rung.right == pytest.approx(rung.figures["test"]["accuracy"], abs=1e-6)
    assert run.rungs[-1].right > run.rungs[0].right + 0.3
    assert trained.model.version in run.rungs[-1].note
    assert run.data_hash == trained_hash(trained)
    assert len(lines) == 4


def trained_hash(trained) -> str:
    return open_release(trained.model.folder).data_hash


def test_a_rung_that_fails_stands_in_the_climb_with_its_reason(data: TrainingData, tiny_config: TrainConfig) -> None:
    run = climb(data, tiny_config, rungs=("majority", MODEL), trained=none_there, report=silent)
    assert [rung.problem for rung in run.rungs] == ["", "there is no model here."]
    assert [rung.name for rung in run.measured] == ["majority"]


def test_without_test_tickets_of_a_leaf_validation_judges_and_without_both_nothing_does(data: TrainingData) -> None:
    pay = data.index.position("pay")
    coarse = {split: dataclasses.replace(tickets, node=np.full_like(tickets.node, pay)) for split, tickets in
              (("validation", data.validation), ("test", data.test))}  # fmt: skip
    assert judged_split(data) == "test"
    assert judged_split(dataclasses.replace(data, test=coarse["test"])) == "validation"
    with pytest.raises(TrainingDataError, match="ends in a leaf"):
        judged_split(dataclasses.replace(data, **coarse))


def test_rungs_are_chosen_by_name_and_climbed_in_order() -> None:
    assert chosen_rungs(["tfidf", "majority"]) == ("majority", "tfidf")
    assert chosen_rungs([]) == RUNGS
    with pytest.raises(InputError, match="cota1"):
        chosen_rungs(["tfidf", "cota9"])


@pytest.fixture
def own_copy(made_up: Workspace, tmp_path) -> Workspace:
    """The made-up tickets without any model."""
    workspace = Workspace.create(tmp_path / "own")
    for name in ("lake", "catalogue"):
        shutil.copytree(made_up.root / name, workspace.root / name, dirs_exist_ok=True)
    return workspace


def baselines(workspace: Workspace, *options: str) -> str:
    result = CliRunner().invoke(app, ["baselines", "--workspace", str(workspace.root), *options])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_leaves_table_picture_and_record_and_recommends(own_copy: Workspace) -> None:
    said = baselines(own_copy, "--rungs", ",".join(QUICK), "--budget-ms", "1000")
    assert "The ladder, judged on test" in said
    assert "With at most 1,000 ms a ticket, take" in " ".join(said.split())
    folder = own_copy.experiments
    assert {"ladder.json", "ladder.md", "ladder.svg", "keyword_rules.txt"} <= {path.name for path in folder.iterdir()}
    facts = json.loads((folder / "ladder.json").read_text())
    assert [rung["name"] for rung in facts["rungs"]] == list(QUICK)
    assert facts["tickets"] == {"train": 260, "validation": 80, "test": 60}
    assert all(len(rung["correct"]) == 60 for rung in facts["rungs"])
    assert not list(own_copy.models.glob("*/release.json"))  # no rung asked for a model


def test_the_last_ladder_answers_for_another_budget_without_training(own_copy: Workspace) -> None:
    baselines(own_copy, "--rungs", "majority,tfidf")
    before = (own_copy.experiments / "ladder.json").read_text()
    said = " ".join(baselines(own_copy, "--last", "--budget-mb", "0.001").split())
    assert "With at most 0.001 MB, take majority" in said
    assert "gives up" in said
    assert (own_copy.experiments / "ladder.json").read_text() == before


def test_only_the_newest_tickets_may_be_learned_from(own_copy: Workspace) -> None:
    baselines(own_copy, "--rungs", "majority", "--max-train-tickets", "50")
    assert json.loads((own_copy.experiments / "ladder.json").read_text())["tickets"]["train"] == 50


def test_bad_options_are_refused_before_anything_is_fitted(own_copy: Workspace) -> None:
    with pytest.raises(InputError, match="no rung 'bert'"):
        baselines(own_copy, "--rungs", "bert")
    with pytest.raises(InputError, match="above 0"):
        baselines(own_copy, "--budget-ms", "0")
    with pytest.raises(InputError, match="--last asks the last run"):
        baselines(own_copy, "--last", "--rungs", "tfidf")
    with pytest.raises(InputError, match="cpu-quick"):
        baselines(own_copy, "--preset", "huge")
    assert not (own_copy.experiments / "ladder.json").exists()


def test_where_no_model_of_these_tickets_is_there_one_is_trained_and_found_the_next_time(
    own_copy: Workspace, tiny_config: TrainConfig, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("TRIAGE_TRACKING__SINKS", "none")
    knobs = tmp_path / "knobs.json"
    names = ("encoder", "max_tokens", "epochs", "batch_size", "learning_rate", "head_learning_rate", "precision")
    knobs.write_text(json.dumps({name: getattr(tiny_config, name) for name in names}))
    options = ("--rungs", "majority,transformer", "--knobs", str(knobs), "--device", "cpu")
    baselines(own_copy, *options)
    (version,) = (path.parent.name for path in own_copy.models.glob("*/release.json"))
    first = read_ladder(own_copy)
    assert first.rungs[1].note == f"version {version}, trained in this run"
    assert first.rungs[1].right > first.rungs[0].right + 0.3
    baselines(own_copy, *options)
    assert [path.parent.name for path in own_copy.models.glob("*/release.json")] == [version]
    again = read_ladder(own_copy)
    assert "trained earlier" in again.rungs[1].note
    assert again.rungs[1].cost("train_seconds") == first.rungs[1].cost("train_seconds")
    assert again.rungs[1].right == first.rungs[1].right
