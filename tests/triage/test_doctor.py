"""`triage doctor` on machines and workspaces that lack something: what it says, what mends it, and that it never
breaks."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from tickets.database import open_database
from tickets.errors import MachineError
from tickets.workspace import Workspace, write_text
from triage.cli import app
from triage.doctor import machine, packages
from triage.doctor import workspace as place
from triage.doctor.check import Check, looked
from triage.doctor.examine import examine, well
from triage.settings import Settings


@pytest.fixture
def settings(workspace: Workspace) -> Settings:
    return Settings(workspace=workspace.root, database_url=None, port=0)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Something that is no service of ours: it takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken


def test_an_empty_workspace_is_no_fault(settings: Settings) -> None:
    checks = examine(settings)
    by_name = {check.name: check for check in checks}
    assert by_name["workspace"].state == "ok"
    assert by_name["model"].state == "warning"
    assert by_name["model"].mend == "triage train --promote"
    assert all(check.mend for check in checks if check.state != "ok")


def test_the_command_says_it_as_json_and_by_its_exit_code(workspace: Workspace) -> None:
    master = {"TRIAGE_SPARK__MASTER": "spark://127.0.0.1:1", "TRIAGE_PORT": "0"}
    said = CliRunner(env=master).invoke(app, ["doctor", "--json", "-w", str(workspace.root)])
    found = {check["name"]: check for check in json.loads(said.stdout)}
    assert found["Spark master"]["state"] == "wrong"
    assert said.exit_code == MachineError.exit_code


def test_a_check_that_breaks_says_so_and_the_others_go_on(tmp_path: Path) -> None:
    broken = looked("odd", lambda: Check(name="odd", found=(tmp_path / "not there").read_text()))
    assert (broken.state, broken.found.partition(":")[0]) == ("warning", "this check broke")
    assert "FileNotFoundError" in broken.found
    assert well([broken])


def test_a_workspace_full_of_damage_breaks_no_check(workspace: Workspace, settings: Settings) -> None:
    write_text(workspace.releases / "current", "20260301-000000-abcdef\n")
    write_text(workspace.releases / "20260301-000000-abcdef" / "release.json", "[]")
    (workspace.root / "triage.db").write_bytes(b"no database at all, though it is a file of some length" * 100)
    by_name = {check.name: check for check in examine(settings)}
    assert by_name["model"].state == by_name["database"].state == "wrong"
    assert "roll back" in by_name["model"].mend


def test_a_schema_older_or_newer_than_ours_is_told(workspace: Workspace, settings: Settings) -> None:
    open_database(workspace.default_database_url).dispose()
    set_revision(workspace, "0001")
    older = place.database(settings)
    assert (older.state, "0001" in older.found) == ("warning", True)
    set_revision(workspace, "9999")
    newer = place.database(settings)
    assert (newer.state, "newer version" in newer.found) == ("wrong", True)


def test_a_database_that_is_away_is_wrong_within_seconds(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": "postgresql://triage:secret@127.0.0.1:1/triage"})
    found = looked("database", lambda: place.database(away))
    assert found.state == "wrong"
    assert "secret" not in found.found
    assert "TRIAGE_DATABASE_URL" in found.mend


def test_secrets_that_others_may_read_are_named_with_the_command(workspace: Workspace, settings: Settings) -> None:
    secret = workspace.root / "session.secret"
    secret.write_bytes(b"0" * 32)
    secret.chmod(0o644)
    found = place.rights(settings)
    assert found.state == "wrong"
    subprocess.run(found.mend, shell=True, check=True)
    assert place.rights(settings).state == "ok"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_workspace_that_cannot_be_written_is_wrong(workspace: Workspace, settings: Settings) -> None:
    workspace.root.chmod(0o500)
    try:
        assert place.rights(settings).state == "wrong"
    finally:
        workspace.root.chmod(0o700)


def test_a_port_is_free_or_taken_or_not_ours_to_have(listener: socket.socket) -> None:
    number = listener.getsockname()[1]
    taken = machine.port("127.0.0.1", number)
    assert (taken.state, taken.mend) == ("wrong", f"export TRIAGE_PORT={number + 1}")
    listener.close()
    assert machine.port("127.0.0.1", number).state == "ok"
    assert machine.port("192.0.2.1", number).state == "wrong"  # TEST-NET-1, no address of any machine
    assert machine.port("no.such.host.invalid", number).state == "wrong"


def test_a_spark_master_is_knocked_at(listener: socket.socket) -> None:
    number = listener.getsockname()[1]
    assert machine.spark_master(f"spark://127.0.0.1:{number}").state == "ok"
    assert machine.spark_master(f"k8s://https://127.0.0.1:{number}").state == "ok"
    assert machine.spark_master("spark://127.0.0.1:1").state == "wrong"
    assert machine.spark_master("yarn").state == machine.spark_master(None).state == "ok"


def test_every_room_finds_its_packages_here() -> None:
    assert {packages.needed(room).state for room in packages.ROOMS} == {"ok"}


def test_a_package_too_old_or_absent_is_named() -> None:
    from packaging.requirements import Requirement

    assert "is needed" in packages.problem(Requirement("typer>=1000"))
    assert packages.problem(Requirement("no-such-package-at-all>=1")) == "no no-such-package-at-all"
    assert packages.problem(Requirement("typer>=0.1")) == ""


def test_a_gpu_that_torch_was_not_built_for_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A10 (UUID: GPU-1)'\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = machine.gpu()
    assert (found.state, "NVIDIA A10" in found.found) == ("warning", True)
    assert found.mend.startswith(("pip install --force-reinstall torch==", "nvidia-smi"))


def set_revision(workspace: Workspace, revision: str) -> None:
    engine = sa.create_engine(workspace.default_database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    engine.dispose()
