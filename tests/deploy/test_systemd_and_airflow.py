"""The systemd units and the example DAG: what they run is there, under names that the product reads."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickets.errors import ContractError, InputError, ReleaseError, WorkspaceError
from triage.cli import app
from triage.settings import ServiceSettings

UNITS = ("triage.service", "triage-nightly.service", "triage-nightly.timer")


def keys(unit: Path) -> list[tuple[str, str]]:
    """Every `Key=value` of a unit, in order; a key may stand several times."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    return [(key, value) for line in lines if re.match(r"\w+=", line) for key, _, value in [line.partition("=")]]


def test_systemd_accepts_the_units(deploy: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    for name in UNITS:  # what they run need not be installed here
        text = (deploy / "systemd" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/opt/ticket-triage/bin/triage", "/bin/true"), encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", *(str(tmp_path / name) for name in UNITS)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_unit_with_a_mistake_is_not_accepted(deploy: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    text = (
        (deploy / "systemd" / "triage.service").read_text(encoding="utf-8").replace("ProtectSystem=", "ProtectSystm=")
    )
    (tmp_path / "triage.service").write_text(
        text.replace("/opt/ticket-triage/bin/triage", "/bin/true"), encoding="utf-8"
    )
    done = subprocess.run(
        [analyze, "verify", str(tmp_path / "triage.service")], capture_output=True, text=True, check=False
    )
    assert "ProtectSystm" in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["triage.service", "triage-nightly.service"])
def test_a_unit_runs_a_command_of_ours_with_settings_of_ours(deploy: Path, name: str, settings: set[str]) -> None:
    given = keys(deploy / "systemd" / name)
    (command,) = [value for key, value in given if key == "ExecStart"]
    arguments = command.removeprefix("/opt/ticket-triage/bin/triage ").split()
    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0
    for value in (value for key, value in given if key == "Environment"):
        assert value.partition("=")[0] in settings
    wanted = {("User", "triage"), ("NoNewPrivileges", "yes"), ("ProtectSystem", "strict"), ("PrivateTmp", "yes")}
    assert wanted <= set(given)


def test_systemd_waits_for_the_drain(deploy: Path) -> None:
    given = dict(keys(deploy / "systemd" / "triage.service"))
    assert int(given["TimeoutStopSec"]) > ServiceSettings().stop_seconds + 30
    assert given["KillSignal"] == "SIGTERM"


def test_systemd_tries_a_night_again_unless_a_person_must_mend_something(deploy: Path) -> None:
    given = dict(keys(deploy / "systemd" / "triage-nightly.service"))
    assert given["Restart"] == "on-failure"
    mended = {InputError, WorkspaceError, ReleaseError, ContractError}
    assert {int(code) for code in given["RestartPreventExitStatus"].split()} == {error.exit_code for error in mended}


def test_the_timer_starts_the_night_also_after_the_machine_was_off(deploy: Path) -> None:
    given = dict(keys(deploy / "systemd" / "triage-nightly.timer"))
    assert given["Persistent"] == "yes"
    assert given["OnCalendar"].endswith("UTC")


def test_the_example_environment_names_settings(deploy: Path, settings: set[str]) -> None:
    text = (deploy / "systemd" / "triage.env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)) <= settings


def test_the_example_dag_compiles_and_runs_a_command_of_ours(deploy: Path) -> None:
    source = (deploy / "airflow" / "triage_nightly.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    compile(tree, "triage_nightly.py", "exec")
    (given,) = [node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "arguments"]
    *command, day = ast.literal_eval(given.value)
    assert day == "{{ data_interval_start | ds }}"
    assert CliRunner().invoke(app, [*command, "2026-11-01", "--help"]).exit_code == 0
    assert "ticket-triage-batch:0.1.0" in source
