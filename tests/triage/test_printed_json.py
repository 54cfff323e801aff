"""`--json`: every command that reports has it, and what it prints is one JSON document and nothing else."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tickets.workspace import Workspace
from triage.cli import app
from triage.printed_json import plain

REPORTING = (
    *("models", "evaluate", "train", "monitor", "retrain", "nightly", "debug", "baselines", "tune", "replay"),
    *("audit", "themes", "doctor", "keys list", "labels export", "labels import", "alerts test", "alerts send"),
    *("challenger status", "taxonomy show", "taxonomy check", "taxonomy apply", "taxonomy history"),
    *("templates mine", "templates list", "quarantine list", "quarantine replay"),
    *("pipeline status", "pipeline check", "pipeline compact", "pipeline retain", "pipeline lineage"),
    "forget",
)


@dataclass(frozen=True)
class Figure:
    day: dt.date
    file: Path
    share: float
    counts: dict[int, np.int64]


def test_what_parts_return_becomes_json() -> None:
    figure = Figure(dt.date(2026, 3, 1), Path("models/a"), float("nan"), {1: np.int64(3)})
    found = json.loads(json.dumps(plain([figure, np.array([[0.5, np.inf]])])))
    assert found == [{"day": "2026-03-01", "file": "models/a", "share": None, "counts": {"1": 3}}, [[0.5, None]]]


@pytest.mark.parametrize("command", REPORTING)
def test_a_command_that_reports_offers_json(command: str) -> None:
    group = typer.main.get_command(app)
    for name in command.split():
        group = group.commands[name]  # type: ignore[attr-defined]  # a group has them
    options = [option for parameter in group.params for option in parameter.opts]
    assert "--json" in options


@pytest.mark.parametrize(
    "command",
    [
        *("models", "audit", "themes", "keys list", "challenger status"),
        *("templates list", "pipeline status", "pipeline compact", "pipeline retain"),
    ],
)
def test_an_empty_workspace_prints_one_document(workspace: Workspace, command: str) -> None:
    said = CliRunner().invoke(app, [*command.split(), "--json", "-w", str(workspace.root)])
    assert said.exit_code == 0, said.exception
    assert json.loads(said.stdout) is not None
    assert said.stderr == ""


def test_a_key_is_listed_without_its_hash(workspace: Workspace) -> None:
    made = CliRunner().invoke(app, ["keys", "create", "desk", "--role", "agent", "-w", str(workspace.root)])
    listed = json.loads(CliRunner().invoke(app, ["keys", "list", "--json", "-w", str(workspace.root)]).stdout)
    assert [(key["name"], key["role"], key["state"], key["hash"]) for key in listed] == [("desk", "agent", "works", "")]
    assert made.stdout.strip() not in json.dumps(listed)
