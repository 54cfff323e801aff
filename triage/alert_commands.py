"""`triage alerts`: try the ways that alerts go out, and send what is new."""

from __future__ import annotations

import typer

from triage.options import Folder, settings_of

alerts_app = typer.Typer(help="Alerts by webhook and e-mail.", no_args_is_help=True)


@alerts_app.command("test")
def test_alerts(workspace: Folder = None) -> None:
    """Send a test message on every way that is set, and say what came of it."""
    from triage import alerts

    came = alerts.send_test(settings_of(workspace))
    for channel, tried in came.items():
        if tried.sent:
            print(f"{channel}: sent{f', but {tried.reason}' if tried.reason else ''}")
        else:
            print(f"{channel}: not sent, {tried.reason}")
    if any(tried.reason for tried in came.values()):
        raise typer.Exit(1)


@alerts_app.command("send")
def send_alerts(workspace: Folder = None) -> None:
    """Send what has happened since the last message. `triage nightly` does so at its end."""
    from triage import alerts

    told = alerts.send_now(settings_of(workspace), print)
    if any(words.startswith("not sent") for words in told.values()):
        raise typer.Exit(1)
