"""Where the errors of a trained model come from, as it is served."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from models.config import TrainConfig
from models.diagnosis.diagnose import Diagnosis, Wanted, diagnose
from models.evaluate import score_release
from models.release import open_release, promote
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
    assert found.levels[1].how == ""
