"""`triage keys`, `triage audit` and the first start, as a person meets them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tickets.audit import entries
from tickets.database import open_database
from tickets.workspace import Workspace
from triage import keys, steps
from triage.cli import app
from triage.settings import Settings

KEY = re.compile(r"triage_[0-9a-f]{12}_[0-9a-f]{64}")


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    """A command in this process; what it printed."""
    app([str(argument) for argument in arguments], standalone_mode=False)
    return capsys.readouterr().out


def test_keys_are_made_listed_rotated_and_revoked(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("-w", workspace.root)
    written = run(capsys, "keys", "create", "helpdesk", "--role", "agent", "--days", "30", *here).strip()
    assert KEY.fullmatch(written)
    listed = run(capsys, "keys", "list", *here)
    assert written.split("_")[1] in listed
    assert written.split("_")[2] not in listed
    assert re.search(r"agent\s+works .* helpdesk$", listed, re.MULTILINE)
    rotated = run(capsys, "keys", "rotate", "helpdesk", "--grace", "24", *here).strip()
    assert KEY.fullmatch(rotated)
    assert "works no more" in run(capsys, "keys", "revoke", rotated.split("_")[1], *here)
    assert re.search(rf"^{rotated.split('_')[1]}\s+agent\s+revoked", run(capsys, "keys", "list", *here), re.MULTILINE)
    told = run(capsys, "audit", *here)
    assert [line.split("  ")[2:4] for line in told.splitlines()] == [
        ["key created", "helpdesk"],
        ["key rotated", "helpdesk"],
        ["key revoked", "helpdesk"],
    ]
    assert written.split("_")[2] not in told
    assert run(capsys, "audit", "--since", "2999-01-01", *here) == "Nothing was done since then.\n"


def test_the_first_start_makes_one_key_and_the_second_none(workspace: Workspace) -> None:
    settings = Settings(workspace=workspace.root)
    first = steps.first_key(settings)
    assert first is not None
    assert KEY.fullmatch(first)
    assert steps.first_key(settings) is None
    engine = open_database(workspace.default_database_url)
    (entry,) = entries(engine)
    engine.dispose()
    assert (entry.action, entry.target) == ("key created", "first-start")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", ""])
def test_the_service_is_not_opened_to_the_network_without_keys_by_mistake(workspace: Workspace, host: str) -> None:
    settings = Settings(workspace=workspace.root, host=host, access={"require_keys": False})
    with pytest.raises(keys.InputError, match="for everybody, without keys"):
        steps.first_key(settings)
    meant = Settings(workspace=workspace.root, host=host, access={"require_keys": False, "open_to_network": True})
    assert steps.first_key(meant) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_alone_may_do_without_keys(workspace: Workspace, host: str) -> None:
    settings = Settings(workspace=workspace.root, host=host, access={"require_keys": False})
    assert steps.first_key(settings) is None


def test_settings_reach_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "TRIAGE_ACCESS__REQUIRE_KEYS": "false",
        "TRIAGE_ACCESS__METRICS": "open",
        "TRIAGE_ACCESS__REQUESTS_PER_MINUTE": "7",
        "TRIAGE_OIDC__ISSUER": "https://login.example",
        "TRIAGE_OIDC__ROLES": '{"support": "agent"}',
    }.items():
        monkeypatch.setenv(name, value)
    options = keys.access_options(Settings())
    assert (options.require_keys, options.metrics, options.requests_per_minute) == (False, "open", 7)
    assert options.oidc is not None
    assert (options.oidc.issuer, dict(options.oidc.roles)) == ("https://login.example", {"support": "agent"})


def test_serve_prints_a_link_that_signs_in(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "triage", "serve", "-w", str(tmp_path / "w"), "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "TRIAGE_DATABASE_URL": f"sqlite:///{tmp_path / 'triage.db'}"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            said = "".join(process.stdout.readline() for _ in range(4))
            found = re.search(r"http://127\.0\.0\.1:0(/login\?key=(triage_\w+))", said)
            assert found is not None, said
            address = f"http://127.0.0.1:{port_of(process.pid)}"
            answer = httpx.get(address + found[1])
            assert answer.status_code == 303
            assert found[2] not in answer.headers["location"]
            assert httpx.get(
                f"{address}/console", cookies={"triage_session": answer.cookies["triage_session"]}
            ).is_success
        finally:
            process.terminate()


def port_of(pid: int, seconds: float = 20) -> int:
    """The TCP port on which a process of ours listens, from /proc."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                return int(fields[1].rpartition(":")[2], 16)
        time.sleep(0.05)
    raise AssertionError("the service does not listen")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("2001:db8::7", "http://[2001:db8::7]:8000"),
        ("10.0.0.9", "http://10.0.0.9:8000"),
        ("triage.example", "http://triage.example:8000"),
    ],
)
def test_the_printed_address_can_be_opened(host: str, address: str) -> None:
    assert keys.address_here(host, 8000) == address
