"""Tab, as bash asks for it: commands, options, and values that are told from the workspace and the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from models.config import PRESETS
from models.experiments.sinks import DEFAULT_SINKS
from models.ladder.climb import RUNGS
from models.release import FACTS
from tickets.workspace import Workspace, write_text
from triage import completion
from triage.cli import app
from triage.replay.policies import POLICIES


def tab(line: str, cwd: Path) -> list[str]:
    """What bash would be given for the last word of the line."""
    words = f"triage {line}"
    asked = {"_TRIAGE_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    program = "from triage.cli import app; app(prog_name='triage')"
    found = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | asked, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in found.stderr, found.stderr
    return found.stdout.splitlines()


@pytest.fixture
def models(workspace: Workspace) -> Workspace:
    for version in ("20260301-000000-aaaaaa", "20260302-000000-bbbbbb"):
        write_text(workspace.models / version / FACTS, "{}")
    return workspace


def test_bash_completes_commands_and_versions_of_the_workspace_named(models: Workspace, tmp_path: Path) -> None:
    assert "promote" in tab("pro", tmp_path)
    newest_first = ["20260302-000000-bbbbbb", "20260301-000000-aaaaaa"]
    assert tab(f"promote -w {models.root} ", tmp_path) == newest_first
    assert tab(f"evaluate -w {models.root} --version 20260301", tmp_path) == newest_first[1:]


def test_the_workspace_of_the_environment_is_looked_at(
    models: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIAGE_WORKSPACE", str(models.root))
    assert "20260302-000000-bbbbbb" in tab("challenger begin ", tmp_path)


def test_datasets_are_the_ready_ones_and_files_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.toml").touch()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "desk.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert completion.datasets("") == ["banking77", "bitext", "cfpb", "zendesk", "mine.toml"]
    assert completion.datasets("own/d") == ["own/desk.toml"]
    assert completion.datasets("nowhere/") == []


def test_rungs_go_on_behind_a_comma() -> None:
    assert completion.rungs("tfidf,c") == ["tfidf,cota1", "tfidf,cnn"]


def test_what_is_offered_is_what_the_commands_take() -> None:
    assert completion.RUNGS == RUNGS
    assert set(completion.presets("")) == set(PRESETS)
    assert completion.policies("") == [policy.name for policy in POLICIES]
    assert set(DEFAULT_SINKS) <= set(completion.SINKS)
    assert "features" in completion.tables("fea")


def test_every_option_of_a_version_a_preset_or_a_rung_completes() -> None:
    silent = [
        f"{command} {parameter.name}"
        for command, parameters in _commands(typer.main.get_command(app))
        for parameter in parameters
        if parameter.name in {"version", "preset", "rungs", "teacher", "dataset"}
        and parameter._custom_shell_complete is None
    ]
    assert silent == []


def _commands(group: object) -> list[tuple[str, list[object]]]:
    """Every command with its parameters, groups of commands included."""
    inside = getattr(group, "commands", None)
    if inside is None:
        return [(str(getattr(group, "name", "")), list(getattr(group, "params", [])))]
    return [found for command in inside.values() for found in _commands(command)]
