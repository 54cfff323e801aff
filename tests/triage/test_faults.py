"""What the world does to a command: no traceback, one line that says what to do, and the exit code of its kind."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa

from models.release import known_release
from tests.triage.test_command_line import TRIAGE, fails, run
from tickets.errors import MachineError, ReleaseError, WorkspaceError
from tickets.manifests import manifests
from tickets.tables import FEATURES
from tickets.workspace import Workspace, write_text
from triage.faults import told


def test_a_place_that_cannot_be_written_is_named(workspace: Workspace) -> None:
    assert "/proc" in fails(run("labels", "export", "/proc/tasks.json", "-w", workspace.root), 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [("/gone/triage.db", "stopped answering"), ("?mode=ro", "cannot be written"), ("?timeout=0", "another process")],
)
def test_a_database_that_fails_in_the_middle_is_told(tmp_path: Path, options: str, said: str) -> None:
    file = tmp_path / "triage.db"
    with sqlite3.connect(file) as holds:
        holds.execute("CREATE TABLE notes (text TEXT)")
    if "timeout" in options:
        holds.execute("BEGIN IMMEDIATE")
    place = f"{tmp_path}{options}" if options.startswith("/") else f"file:{file}{options}&uri=true"
    engine = sa.create_engine(f"sqlite:///{place}")
    with pytest.raises(sa.exc.OperationalError) as met, engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO notes VALUES ('a')"))
    engine.dispose()
    holds.close()
    error = told(met.value)
    assert isinstance(error, MachineError)
    assert said in error.message


def test_a_wrong_statement_stays_a_fault_of_ours(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'triage.db'}")
    with pytest.raises(sa.exc.OperationalError) as met, engine.begin() as connection:
        connection.execute(sa.text("SELECT * FROM labels"))
    engine.dispose()
    assert told(met.value) is None


def test_only_what_the_world_did_is_told() -> None:
    full = told(OSError(errno.ENOSPC, "No space left on device"))
    assert isinstance(full, MachineError)
    assert "full" in full.message
    assert told(ValueError("a fault of ours")) is None
    assert told(OSError("no number")) is None
    assert told(ReleaseError("gone.", hint="Train.")) is not None


def test_a_damaged_manifest_is_named(workspace: Workspace) -> None:
    write_text(workspace.manifests / "import" / "2026-03-01.json", "{")
    with pytest.raises(WorkspaceError, match=r"2026-03-01\.json.*backup"):
        list(manifests(workspace, "import"))


def test_a_version_that_was_never_trained_names_those_that_were(workspace: Workspace) -> None:
    write_text(workspace.models / "20260301-000000-aaaaaa" / "release.json", "{}")
    with pytest.raises(ReleaseError, match="Trained so far: 20260301-000000-aaaaaa"):
        known_release(workspace, "20260302-000000-bbbbbb")


def test_a_partition_that_is_not_there_names_those_that_are(workspace: Workspace) -> None:
    (workspace.table_path(FEATURES) / "arrived=2026-03-01").mkdir(parents=True)
    said = fails(run("pipeline", "lineage", "features", "1999-01-01", "-w", workspace.root), 2)
    assert "1999-01-01" in said
    assert "There are 2026-03-01." in said


def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen([*TRIAGE, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_a_port_beyond_all_ports_is_refused() -> None:
    result = run("serve", "--port", "99999")
    assert result.returncode == 2
    assert "65535" in result.stderr
