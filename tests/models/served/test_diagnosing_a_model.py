"""Where the errors of a trained model come from, as it is served."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest

from models.config import TrainConfig
from models.diagnosis.diagnose import Diagnosis, Wanted, diagnose
from models.evaluate import score_release
from models.predictions import Predictor, inputs_of
from models.release import Release, open_release, promote
from tickets.catalogue import read_tree, write_tree
from tickets.errors import ReleaseError
from tickets.examples import read_examples
from tickets.workspace import Workspace


@pytest.fixture
def look(
    two_models: Workspace, made_up: Workspace, tiny_config: TrainConfig, tmp_path: Path
) -> Callable[..., Diagnosis]:
    """`look(lines, **wanted)`: bias and variance in a workspace that has the tickets and two models."""
    for name in ("lake", "catalogue"):
        (two_models.root / name).rmdir()
        (two_models.root / name).symlink_to(made_up.root / name)

    def run(lines: list[str], **wanted: Any) -> Diagnosis:
        quick = dataclasses.replace(tiny_config, epochs=2)
        asked = Wanted(parts=("bias-variance",), **wanted)
        return diagnose(two_models, quick, asked, report=lines.append, progress=lambda _step, _total, _loss: None)

    return run


def test_the_model_that_is_served_is_judged_without_training(
    look: Callable[..., Diagnosis], two_models: Workspace
) -> None:
    promote(two_models, "second")
    lines: list[str] = []
    found = look(lines).decomposition
    assert found is not None
    assert found.judged == "model second, as it is served"
    scores = score_release(open_release(two_models.models / "second"), read_examples(two_models, splits=["test"]))
    assert found.levels[-1].error == pytest.approx(1 - float(scores.correct.mean()))
    assert [level.name for level in found.levels] == ["training", "same period", "validation", "test"]
    assert "estimated" in found.levels[1].how
    assert not any("Step" in line for line in lines)


def test_a_version_that_is_not_there_is_told_beside_those_that_are(look: Callable[..., Diagnosis]) -> None:
    with pytest.raises(ReleaseError, match=r"no model 'third'.*first, second"):
        look([], version="third")


def test_a_model_of_other_periods_is_not_judged_on_what_it_learned(
    look: Callable[..., Diagnosis], two_models: Workspace
) -> None:
    """It learned from tickets that now are to judge it."""
    examples = read_examples(two_models, splits=["validation"])
    facts = json.loads((two_models.models / "first" / "release.json").read_text(encoding="utf-8"))
    facts["windows"]["train"] |= {"to": pc.max(examples["created_at"]).as_py().isoformat(), "tickets": 340}
    (two_models.models / "first" / "release.json").write_text(json.dumps(facts), encoding="utf-8")
    lines: list[str] = []
    found = look(lines, version="first").decomposition
    assert found is not None
    assert found.judged.startswith("trained for this")
    assert any("learned from other periods" in line for line in lines)


def test_the_real_thing_is_trained_when_it_is_asked_for(look: Callable[..., Diagnosis], two_models: Workspace) -> None:
    promote(two_models, "second")
    found = look([], with_model=True).decomposition
    assert found is not None
    assert found.judged.startswith("trained for this")
    assert "estimated" not in found.levels[1].how


@pytest.fixture
def outvoted(two_models: Workspace) -> Release:
    """A model whose nearest training tickets have nearly all the say."""
    path = two_models.models / "first" / "release.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["calibration"]["votes"] = {"share": 0.95, "width": 0.01}
    path.write_text(json.dumps(facts), encoding="utf-8")
    return open_release(two_models.models / "first")


def test_a_training_ticket_has_no_vote_on_itself(
    look: Callable[..., Diagnosis], two_models: Workspace, outvoted: Release
) -> None:
    """One label in ten is wrong: a ticket that votes for itself has its own label, whatever that is."""
    found = look([], version="first").decomposition
    assert found is not None
    predictor = Predictor.load(outvoted)
    expected = []
    for split, heard in (("train", predictor.alone()), ("validation", predictor), ("test", predictor)):
        rows = read_examples(two_models, splits=[split])
        said = [predictor.index.ids[node] for node in heard.predict(inputs_of(rows)).predicted]
        expected.append(np.mean(np.array(said) != np.array(rows["contact_type"].to_pylist())))
    errors = {level.name: level.error for level in found.levels}
    assert [errors[name] for name in ("training", "validation", "test")] == pytest.approx(expected)
    assert errors["training"] > 0.02 > float(score_release_errors(outvoted, two_models))


def score_release_errors(release: Release, workspace: Workspace) -> float:
    """On training tickets, each with its own vote."""
    return 1 - float(score_release(release, read_examples(workspace, splits=["train"])).correct.mean())


def test_a_contact_type_that_was_renamed_since_is_no_mistake(
    look: Callable[..., Diagnosis], two_models: Workspace, made_up: Workspace
) -> None:
    """The model says `lost`, the catalogue by now `missing`; the tickets count for what they are today."""
    promote(two_models, "second")
    before = look([]).decomposition
    (two_models.root / "catalogue").unlink()
    shutil.copytree(made_up.root / "catalogue", two_models.root / "catalogue")
    tree = read_tree(two_models)
    nodes = tuple(dataclasses.replace(node, id="missing" if node.id == "lost" else node.id) for node in tree.nodes)
    write_tree(two_models, dataclasses.replace(tree, nodes=nodes, mapping={"lost": ("missing",)}))
    after = look([]).decomposition
    assert before is not None
    assert after is not None
    assert [level.error for level in after.levels] == pytest.approx([level.error for level in before.levels])


def test_advice_names_the_settings_of_the_model_that_is_judged(
    look: Callable[..., Diagnosis], two_models: Workspace
) -> None:
    path = two_models.models / "first" / "release.json"
    facts = json.loads(path.read_text(encoding="utf-8"))
    facts["config"] |= {"epochs": 23}
    path.write_text(json.dumps({**facts, "max_tokens": 8}), encoding="utf-8")
    found = look([], version="first").decomposition
    assert found is not None
    assert found.largest.cause == "avoidable bias and labels"
    assert "23 epochs, read more than 8 tokens" in found.advice[1]
