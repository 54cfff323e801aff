"""`triage debug` as a function: the parts it was asked for, and what it leaves on disk."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.config import TrainConfig
from models.diagnosis.diagnose import Diagnosis, Wanted, diagnose
from tickets.errors import InputError, ReleaseError
from tickets.workspace import Workspace

Put = Callable[[str, list[dict[str, Any]]], None]


def run(workspace: Workspace, config: TrainConfig, lines: list[str] | None = None, **wanted: Any) -> Diagnosis:
    report = (lines if lines is not None else []).append
    return diagnose(workspace, config, Wanted(**wanted), report=report, progress=lambda _step, _total, _loss: None)


def kept(workspace: Workspace, name: str = "debug.json") -> Any:
    return json.loads((workspace.experiments / name).read_text(encoding="utf-8"))


@pytest.fixture
def long_workspace(tiny_workspace: Workspace, put_features: Put, make_row: Callable[..., dict[str, Any]]) -> Workspace:
    """260 training tickets: enough for a curve."""
    random = np.random.default_rng(5)
    names = {"refund": "money", "invoice": "bill", "late": "waiting", "lost": "missing", "broken": "damaged"}
    dealt = random.choice(sorted(names), 260).tolist()
    noise = ["my", "order", "please", "today", "again", "hello", "thanks", "account"]
    texts = [" ".join([names[name], *random.choice(noise, 4)]) for name in dealt]
    put_features("train", [make_row(1000 + n, name, texts[n]) for n, name in enumerate(dealt)])
    return tiny_workspace


def test_the_checklist_is_kept_with_its_figures(tiny_workspace: Workspace, tiny_config: TrainConfig) -> None:
    found = run(tiny_workspace, tiny_config)
    assert found.passed
    assert (found.decomposition, found.curve) == (None, None)
    written = kept(tiny_workspace)
    assert list(written) == ["checklist"]
    assert [entry["check"] for entry in written["checklist"]["found"]] == [one.check for one in found.findings]
    assert [path.name for path in found.files] == ["debug.json"]


def test_each_part_joins_what_was_found_before(long_workspace: Workspace, tiny_config: TrainConfig) -> None:
    lines: list[str] = []
    run(long_workspace, dataclasses.replace(tiny_config, epochs=2), lines, parts=("bias-variance",))
    first = kept(long_workspace)["bias-variance"]
    found = run(long_workspace, tiny_config, lines, parts=("learning-curve",), target=0.99, seeds=2)
    assert found.curve is not None
    assert found.curve.learner == "frozen encoder + logistic regression"
    assert {point.seed for point in found.curve.points} == {17, 18}
    written = kept(long_workspace)
    assert written["bias-variance"] == first
    assert written["learning-curve"]["found"] == kept(long_workspace, "learning-curve.json")
    assert written["learning-curve"]["found"]["words"]
    assert first["found"]["judged"].startswith("trained for this")
    assert [level["name"] for level in first["found"]["levels"]] == ["training", "same period", "validation", "test"]
    assert all(len(level["interval"]) == 2 for level in first["found"]["levels"])
    names = {path.name for path in long_workspace.experiments.iterdir()}
    assert names == {
        *("debug.json", "bias-variance.json", "bias-variance.svg", "learning-curve.json", "learning-curve.svg")
    }
    assert any(line.startswith("Label noise: unknown") for line in lines)


def test_a_record_that_cannot_be_read_is_written_anew(long_workspace: Workspace, tiny_config: TrainConfig) -> None:
    long_workspace.experiments.mkdir()
    (long_workspace.experiments / "debug.json").write_text('{"checklist": ', encoding="utf-8")
    run(long_workspace, tiny_config, parts=("learning-curve",), seeds=1)
    assert list(kept(long_workspace)) == ["learning-curve"]


def test_the_curve_of_the_model_itself_can_be_drawn(long_workspace: Workspace, tiny_config: TrainConfig) -> None:
    quick = dataclasses.replace(tiny_config, epochs=1, batch_size=32)
    found = run(long_workspace, quick, parts=("learning-curve",), seeds=1, with_model=True)
    assert found.curve is not None
    assert found.curve.learner == "the model"


def test_a_run_that_holds_the_workspace_is_not_waited_for(long_workspace: Workspace, tiny_config: TrainConfig) -> None:
    with long_workspace.lock("nightly"):
        run(long_workspace, tiny_config, parts=("learning-curve",), seeds=1)


def test_a_model_that_was_never_trained_is_named(tiny_workspace: Workspace, tiny_config: TrainConfig) -> None:
    with pytest.raises(ReleaseError, match="20260101"):
        run(tiny_workspace, tiny_config, parts=("bias-variance",), version="20260101-000000-abcdef")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"target": 0.9}, "--target was given.* Add --learning-curve, or --all"),
        ({"parts": ("learning-curve",), "version": "v1"}, "--version was given.* Add --bias-variance, or --all"),
        ({"with_model": True}, "Add --bias-variance or --learning-curve, or --all"),
        ({"parts": ("bias-variance",), "version": "v1", "with_model": True}, "--version v1 judges.* Leave out one"),
    ],
)
def test_what_no_wanted_part_would_read_is_refused(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        Wanted(**asked)


def test_the_curve_may_train_where_another_model_is_judged() -> None:
    assert Wanted(parts=("bias-variance", "learning-curve"), version="v1", with_model=True).with_model
