"""`triage alerts`, and a night that an alert cannot fail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from tests.monitoring.receivers import WebhookServer, up
from tickets.database import open_database
from tickets.errors import InputError
from tickets.monitor_log import record_event
from tickets.workspace import Workspace
from triage.alerts import told_at_the_end, ways
from triage.cli import app
from triage.settings import AlertSettings, Settings


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebhookServer]:
    server = WebhookServer()
    monkeypatch.setenv("TRIAGE_ALERTS__WEBHOOK_URL", server.url)
    with up(server):
        yield server


@pytest.fixture
def database(workspace: Workspace) -> Iterator[sa.Engine]:
    engine = open_database(workspace.default_database_url)
    record_event(engine, "rolled back", at=datetime.now(UTC), model_version="m1", details={"from": "m2"})
    yield engine
    engine.dispose()


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[str, int]:
    """A command in this process: what it printed, and its exit code."""
    code = app([str(argument) for argument in arguments], standalone_mode=False)
    return capsys.readouterr().out, int(code or 0)


def test_a_test_message_says_on_each_way_whether_it_went(
    hook: WebhookServer, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "alerts", "test", "-w", workspace.root) == ("webhook: sent\n", 0)
    assert "Nothing has happened" in hook.posted[0]["text"]
    hook.status = 404
    said = ("webhook: not sent, the webhook answered 404\n", 1)
    assert run(capsys, "alerts", "test", "-w", workspace.root) == said


def test_what_is_new_can_be_sent_by_hand(
    hook: WebhookServer, workspace: Workspace, database: sa.Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "alerts", "send", "-w", workspace.root) == ("alerts by webhook: 1 told\n", 0)
    assert run(capsys, "alerts", "send", "-w", workspace.root) == ("alerts by webhook: nothing new\n", 0)


def test_without_any_way_the_commands_say_what_to_set(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="TRIAGE_ALERTS__WEBHOOK_URL"):
        run(capsys, "alerts", "test", "-w", workspace.root)


def test_mail_without_readers_or_without_a_server_is_refused() -> None:
    assert ways(AlertSettings()) == []
    with pytest.raises(InputError, match="only one is set"):
        ways(AlertSettings(email_to="a@example.org"))
    with pytest.raises(InputError, match="only one is set"):
        ways(AlertSettings(smtp_url=SecretStr("smtp://h")))
    (mail,) = ways(AlertSettings(email_to="a@example.org, b@example.org", smtp_url=SecretStr("smtp://h")))
    assert mail.channel == "e-mail"


def test_a_night_that_fails_still_tells_and_an_alert_that_fails_stops_no_night(
    hook: WebhookServer, database: sa.Engine, workspace: Workspace
) -> None:
    said: list[str] = []
    settings = Settings(workspace=workspace.root, alerts=AlertSettings(webhook_url=SecretStr(hook.url)))
    with pytest.raises(RuntimeError, match="training broke"), told_at_the_end(settings, database, said.append):
        raise RuntimeError("training broke")
    assert said == ["alerts by webhook: 1 told"]
    broken = settings.model_copy(update={"alerts": AlertSettings(email_to="a@example.org")})
    with told_at_the_end(broken, database, said.append):
        pass
    assert said[1:] == ["alerts: not sent (InputError); `triage alerts test` tells more"]
