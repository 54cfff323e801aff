"""Releases: whole or refused, promoted at once, rolled back the way they came."""

from __future__ import annotations

import json
import shutil

import pytest

from models.release import (
    ENCODER,
    current_release,
    current_version,
    history,
    open_release,
    promote,
    roll_back,
    versions,
)
from models.suggest import Suggester
from tickets.errors import ReleaseError
from tickets.workspace import Workspace


def test_a_promoted_model_is_the_current_release(two_models: Workspace):
    assert current_version(two_models) is None
    promote(two_models, "first")
    assert current_version(two_models) == "first"
    release = current_release(two_models)
    assert release.folder == two_models.releases / "first"
    assert release.version == "first"


def test_a_release_survives_the_loss_of_its_model_directory(two_models: Workspace):
    promote(two_models, "first")
    for path in (two_models.models / "first").rglob("*.onnx"):
        path.unlink()
    current_release(two_models)


def test_promoting_an_unknown_version_names_those_there_are(two_models: Workspace):
    with pytest.raises(ReleaseError, match=r"no model 'third'.*first, second"):
        promote(two_models, "third")
    assert current_version(two_models) is None


@pytest.mark.parametrize("name", ["model.onnx", "contact_types.json", f"{ENCODER}/config.json"])
def test_a_changed_file_is_refused_by_name(two_models: Workspace, name: str):
    path = two_models.models / "first" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ReleaseError, match=rf"{name} was changed"):
        promote(two_models, "first")
    assert current_version(two_models) is None
    assert not (two_models.releases / "first").exists()


@pytest.mark.parametrize("name", ["model.onnx", "neighbours.parquet", "heads.safetensors"])
def test_a_missing_file_is_refused_by_name(two_models: Workspace, name: str):
    (two_models.models / "first" / name).unlink()
    with pytest.raises(ReleaseError, match=rf"lacks {name}"):
        open_release(two_models.models / "first")


def test_another_format_is_refused_with_what_to_do(two_models: Workspace):
    path = two_models.models / "first" / "release.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(ReleaseError, match=r"has format 99; this version reads formats 1 and 2\. Train again"):
        open_release(two_models.models / "first")


@pytest.mark.parametrize("text", ["", "[]", '{"format": 1}', "\x00\xff"])
def test_a_release_json_that_is_none_is_refused(two_models: Workspace, text: str):
    (two_models.models / "first" / "release.json").write_text(text)
    with pytest.raises(ReleaseError, match=r"release\.json"):
        open_release(two_models.models / "first")


def test_a_folder_that_is_no_model_is_refused(two_models: Workspace):
    with pytest.raises(ReleaseError, match="is no model directory"):
        open_release(two_models.lake)


def test_rolling_back_walks_the_promotions_backwards(two_models: Workspace):
    promote(two_models, "first")
    promote(two_models, "second")
    assert roll_back(two_models) == "first"
    assert current_version(two_models) == "first"
    with pytest.raises(ReleaseError, match="nothing came before 'first'"):
        roll_back(two_models)
    promote(two_models, "second")
    assert roll_back(two_models) == "first"
    assert [entry["action"] for entry in history(two_models)] == [
        "promote", "promote", "roll_back", "promote", "roll_back",
    ]  # fmt: skip


def test_rolling_back_to_a_damaged_release_keeps_the_current_one(two_models: Workspace):
    promote(two_models, "first")
    promote(two_models, "second")
    (two_models.releases / "first" / "model.onnx").unlink()
    with pytest.raises(ReleaseError, match=r"model\.onnx"):
        roll_back(two_models)
    assert current_version(two_models) == "second"


def test_a_promotion_that_died_before_its_last_step_leaves_the_way_back(two_models: Workspace):
    promote(two_models, "first")
    promote(two_models, "second")
    lost = {"at": "2026-01-01T00:00:00+00:00", "action": "promote", "version": "third", "previous": "second"}
    with open(two_models.releases / "history.jsonl", "a") as file:
        file.write(json.dumps(lost) + "\n")
    assert roll_back(two_models) == "first"


def test_a_damaged_history_is_named(two_models: Workspace):
    promote(two_models, "first")
    with open(two_models.releases / "history.jsonl", "a") as file:
        file.write('{"at": \n')
    with pytest.raises(ReleaseError, match=r"cannot read .*history\.jsonl"):
        roll_back(two_models)


@pytest.mark.parametrize("name", ["model.onnx", "neighbours.parquet", "neighbours.onnx", "vectors.safetensors"])
def test_a_file_that_breaks_after_the_release_was_opened_is_no_traceback(two_models: Workspace, name: str):
    release = open_release(two_models.models / "first")
    release.path(name).write_bytes(b"no longer what it was")
    with pytest.raises(ReleaseError, match="cannot load"):
        Suggester.load(release)


@pytest.fixture
def third(two_models: Workspace) -> Workspace:
    """`first`, `second` and `third`, with `first` served."""
    shutil.copytree(two_models.models / "second", two_models.models / "third")
    facts = two_models.models / "third" / "release.json"
    facts.write_text(json.dumps({**json.loads(facts.read_text()), "version": "third"}))
    promote(two_models, "first")
    return two_models


def promote_and_die(workspace: Workspace, version: str) -> None:
    """What a promotion leaves that is killed before it writes releases/current."""
    served = current_version(workspace)
    promote(workspace, version)
    (workspace.releases / "current").write_text(f"{served}\n")


@pytest.mark.parametrize("then", ["second", "third"])
def test_after_a_promotion_that_died_the_next_one_rolls_back_to_what_was_served(third: Workspace, then: str):
    promote_and_die(third, "second")
    promote(third, then)
    assert roll_back(third) == "first"
    assert current_version(third) == "first"


def test_a_roll_back_that_died_before_its_last_step_can_be_done_again(third: Workspace):
    promote(third, "second")
    promote(third, "third")
    roll_back(third)
    (third.releases / "current").write_text("third\n")
    assert roll_back(third) == "second"
    assert roll_back(third) == "first"


def test_promoting_the_current_version_again_repairs_its_files(two_models: Workspace):
    promote(two_models, "first")
    (two_models.releases / "first" / "model.onnx").unlink()
    promote(two_models, "first")
    current_release(two_models)


def test_promoting_the_current_version_again_changes_nothing(two_models: Workspace):
    promote(two_models, "first")
    promote(two_models, "first")
    assert len(history(two_models)) == 1


def test_a_damaged_copy_among_the_releases_is_replaced(two_models: Workspace):
    promote(two_models, "first")
    promote(two_models, "second")
    (two_models.releases / "first" / "metrics.json").unlink()
    promote(two_models, "first")
    current_release(two_models)


def test_versions_are_the_directories_with_a_release_json(two_models: Workspace):
    (two_models.models / "unfinished").mkdir()
    assert versions(two_models) == ["first", "second"]


def test_before_the_first_promotion_there_is_no_release(workspace: Workspace):
    with pytest.raises(ReleaseError, match="no model has been promoted"):
        current_release(workspace)
    with pytest.raises(ReleaseError, match="no model has been promoted"):
        roll_back(workspace)
