"""`triage` without a command: where a workspace stands, told from what earlier commands left, and what comes next."""

from __future__ import annotations

import datetime as dt
import socket
from pathlib import Path

from typer.testing import CliRunner

from models.release import FACTS
from tickets.last_night import lock_purpose
from tickets.manifests import Manifest, write_manifest
from tickets.night_record import NightRecord
from tickets.workspace import Workspace, write_text
from triage.cli import app
from triage.standing import Standing, standing

TODAY = dt.date(2026, 3, 2)
VERSION = "20260301-000000-abcdef"


def where(root: Path, port: int = 0) -> Standing:
    return standing(root, today=TODAY, host="127.0.0.1", port=port)


def commands(found: Standing) -> list[str]:
    return [command for command, _ in found.next]


def ran(workspace: Workspace, step: str, hour: int) -> None:
    write_manifest(workspace, Manifest(step=step, as_of="2026-03-01", rows_out=816, started_at=f"2026-03-01T{hour:02}"))


def trained(workspace: Workspace) -> None:
    write_text(workspace.models / VERSION / FACTS, "{}")


def served(workspace: Workspace) -> None:
    ran(workspace, "import", 1)
    ran(workspace, "split", 2)
    trained(workspace)
    write_text(workspace.releases / "current", f"{VERSION}\n")


def test_without_a_workspace_the_first_commands_are_told(tmp_path: Path) -> None:
    found = where(tmp_path / "nowhere")
    assert "nowhere" in found.found[0]
    assert commands(found)[0] == "triage doctor"
    assert any(command.startswith("triage import") for command in commands(found))


def test_each_step_leads_to_the_next(workspace: Workspace) -> None:
    assert "nothing is imported" in where(workspace.root).found[0]
    ran(workspace, "import", 1)
    assert "816 rows" in " ".join(where(workspace.root).found)
    assert commands(where(workspace.root)) == ["triage features"]
    ran(workspace, "split", 2)
    assert commands(where(workspace.root)) == ["triage debug", "triage train --promote"]
    trained(workspace)
    assert commands(where(workspace.root)) == [f"triage promote {VERSION}"]
    served(workspace)
    assert commands(where(workspace.root)) == ["triage serve", "triage nightly"]


def test_rows_imported_since_the_features_ask_for_them_again(workspace: Workspace) -> None:
    served(workspace)
    ran(workspace, "featurise", 2)
    ran(workspace, "import", 3)
    assert "triage features" in commands(where(workspace.root))
    ran(workspace, "featurise", 4)  # as a night does, which splits nothing
    assert "triage features" not in commands(where(workspace.root))


def test_a_night_that_stopped_is_named_with_its_step(workspace: Workspace) -> None:
    served(workspace)
    night = NightRecord.open(workspace, dt.date(2026, 3, 1))
    night.begin("extract")
    night.fail("extract", OSError("away"), 1.0)
    found = where(workspace.root)
    assert "Last night  2026-03-01: failed, in the step extract" in found.found
    assert "triage nightly --as-of 2026-03-01" in commands(found)


def test_a_night_that_goes_on_is_not_to_be_run_again(workspace: Workspace) -> None:
    served(workspace)
    with workspace.lock(lock_purpose("2026-03-01")):
        NightRecord.open(workspace, dt.date(2026, 3, 1)).begin("extract")
        found = where(workspace.root)
    assert "Last night  2026-03-01: running, in the step extract" in found.found
    assert not any(command.startswith("triage nightly") for command in commands(found))
    killed = where(workspace.root)
    assert "Last night  2026-03-01: killed, in the step extract" in killed.found
    assert "triage nightly --as-of 2026-03-01" in commands(killed)


def test_a_night_that_is_done_asks_for_nothing_until_the_next(workspace: Workspace) -> None:
    served(workspace)
    NightRecord.open(workspace, dt.date(2026, 3, 1)).finish()
    assert "triage nightly" not in commands(where(workspace.root))
    later = standing(workspace.root, today=dt.date(2026, 3, 3), host="127.0.0.1", port=0)
    assert "triage nightly" in commands(later)


def test_a_service_that_answers_and_a_run_at_work_are_told(workspace: Workspace) -> None:
    served(workspace)
    with socket.create_server(("127.0.0.1", 0)) as listener, workspace.lock("features"):
        found = where(workspace.root, listener.getsockname()[1])
    assert any(line.startswith("At work     features, process") for line in found.found)
    assert any("something answers" in line for line in found.found)
    assert "triage serve" not in commands(found)


def test_damaged_files_are_no_reason_to_stop(workspace: Workspace) -> None:
    served(workspace)
    write_text(workspace.manifests / "import" / "2026-03-02.json", "{ not JSON")
    write_text(workspace.root / "nightly" / "2026-03-01.json", "[]")
    found = where(workspace.root)
    assert "Last night  2026-03-01: unreadable" in found.found
    assert "triage nightly --as-of 2026-03-01 --again" in commands(found)


def test_triage_alone_prints_it_beside_the_commands(workspace: Workspace) -> None:
    said = CliRunner().invoke(app, ["-w", str(workspace.root)])
    assert said.exit_code == 0
    assert f"triage doctor -w {workspace.root}" in said.stdout
    assert "quarantine" in said.stdout
    assert "triage --help" in said.stdout


def test_a_workspace_named_before_the_command_is_not_passed_over(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["-w", str(tmp_path), "models"])
    assert "before the command" in str(said.exception)
