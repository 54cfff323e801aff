"""The command line as a person meets it: every failure is one clear line and its exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tickets.workspace import Workspace

TRIAGE = [sys.executable, "-m", "triage"]
COMMANDS = (
    *("demo", "import", "features", "train", "debug", "evaluate", "models", "promote", "rollback", "serve", "score"),
    *("monitor", "retrain", "nightly", "doctor", "pipeline", "quarantine", "sources", "taxonomy", "templates"),
    *("baselines", "tune", "keys", "audit", "alerts", "labels", "replay", "themes"),
)
DATASET = """
name = "small"
format = "csv"
[ticket]
ticket_id = "id"
created_at = "opened"
body = "text"
[outcome]
contact_type = "reason"
"""


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*TRIAGE, *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | environment, timeout=300
    )


def fails(result: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line that a failure says."""
    assert result.returncode == code, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("triage: ")
    return lines[0]


@pytest.fixture
def export(tmp_path: Path) -> tuple[Path, Path]:
    """A small export and its dataset.toml."""
    rows = "\n".join(f"{n},2026-01-{1 + n % 28:02d},Where is parcel number {n}?,Parcels::Lost" for n in range(50))
    (tmp_path / "tickets.csv").write_text(f"id,opened,text,reason\n{rows}\n", encoding="utf-8")
    (tmp_path / "dataset.toml").write_text(DATASET, encoding="utf-8")
    return tmp_path / "tickets.csv", tmp_path / "dataset.toml"


def test_help_names_every_command() -> None:
    said = run("--help").stdout
    assert all(f" {command} " in said for command in COMMANDS)


def test_importing_says_how_many_rows_came(tmp_path: Path, export: tuple[Path, Path]) -> None:
    result = run("import", export[0], "--dataset", export[1], "-w", tmp_path / "w", "--as-of", "2026-02-01")
    assert result.returncode == 0, result.stderr
    assert "50 rows" in result.stdout


def test_the_files_of_dataset_toml_are_read_when_none_is_named(tmp_path: Path, export: tuple[Path, Path]) -> None:
    export[1].write_text('files = [{ path = "tickets.csv" }]' + DATASET, encoding="utf-8")
    result = run("import", "--dataset", export[1], "-w", tmp_path / "w")
    assert result.returncode == 0, result.stderr
    assert "50 rows" in result.stdout


def test_a_name_in_brackets_is_shown_as_it_is(tmp_path: Path, export: tuple[Path, Path]) -> None:
    odd = export[0].rename(export[0].with_name("export [final].csv"))
    assert "export [final].csv" in run("import", odd, "--dataset", export[1], "-w", tmp_path / "w").stdout


def test_a_run_that_holds_the_workspace_is_named(tmp_path: Path, export: tuple[Path, Path]) -> None:
    workspace = Workspace.create(tmp_path / "w")
    with workspace.lock("nightly"):
        said = fails(run("import", export[0], "--dataset", export[1], "-w", workspace.root), 75)
        assert "nightly" in said
        assert "nightly" in fails(run("demo", "--quick", "-w", workspace.root), 75)
        assert "nightly, process" in fails(run("nightly", "--json", "-w", workspace.root), 75)
        # Rolling back does not wait for it.
        assert "promoted" in fails(run("rollback", "-w", workspace.root), 6)


def test_a_file_without_its_columns_is_named(tmp_path: Path, export: tuple[Path, Path]) -> None:
    export[0].write_text("id,opened,reason\n1,2026-01-01,x\n", encoding="utf-8")
    assert "text" in fails(run("import", export[0], "--dataset", export[1], "-w", tmp_path / "w"), 2)


def test_a_missing_workspace_says_where_to_start(tmp_path: Path) -> None:
    assert "triage import" in fails(run("features", "-w", tmp_path / "nowhere"), 4)


def test_missing_java_is_one_line_that_says_how_to_install_it(tmp_path: Path, export: tuple[Path, Path]) -> None:
    run("import", export[0], "--dataset", export[1], "-w", tmp_path / "w")
    said = fails(run("features", "-w", tmp_path / "w", PATH=str(tmp_path), JAVA_HOME=""), 3)
    assert "Java 17" in said
    assert "Install it" in said


def test_a_java_that_is_too_old_is_told(tmp_path: Path, export: tuple[Path, Path]) -> None:
    run("import", export[0], "--dataset", export[1], "-w", tmp_path / "w")
    java = tmp_path / "old" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    assert "Java 11" in fails(run("features", "-w", tmp_path / "w", JAVA_HOME=str(tmp_path / "old")), 3)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can only be mounted by root, where mounting is allowed")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(small_disk: Path, export: tuple[Path, Path]) -> None:
    rows = "\n".join(f"{n},2026-01-01,{os.urandom(300).hex()},Parcels" for n in range(400))
    export[0].write_text(f"id,opened,text,reason\n{rows}\n", encoding="utf-8")
    said = fails(run("import", export[0], "--dataset", export[1], "-w", small_disk / "w"), 3)
    assert "full" in said
    assert list((small_disk / "w" / "lake").rglob("*.parquet")) == []


def test_a_setting_that_cannot_be_read_is_named() -> None:
    assert "TRIAGE_PORT" in fails(run("doctor", TRIAGE_PORT="ninety"), 2)
    assert "TRIAGE_SPARK__MASTER" in fails(run("doctor", TRIAGE_SPARK="local"), 2)


def test_a_preset_that_does_not_exist_names_those_that_do(tmp_path: Path, export: tuple[Path, Path]) -> None:
    run("import", export[0], "--dataset", export[1], "-w", tmp_path / "w")
    assert "cpu-quick" in fails(run("train", "--preset", "huge", "-w", tmp_path / "w"), 2)


def test_promoting_what_was_never_trained_says_so(tmp_path: Path, export: tuple[Path, Path]) -> None:
    run("import", export[0], "--dataset", export[1], "-w", tmp_path / "w")
    assert "no model" in fails(run("promote", "20260101-000000-abcdef", "-w", tmp_path / "w"), 6)


def test_doctor_names_what_is_missing_and_how_to_mend_it(tmp_path: Path) -> None:
    result = run("doctor", "-w", tmp_path / "nowhere", TRIAGE_SPARK__MASTER="spark://127.0.0.1:1")
    assert result.returncode == 3
    assert re.search(r"^wrong +Spark master +spark://127.0.0.1:1 does not answer", result.stdout, re.MULTILINE)
    assert re.search(r"^warning +workspace .*nowhere is not a workspace", result.stdout, re.MULTILINE)
    assert "mend: triage import" in result.stdout
