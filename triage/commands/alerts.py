"""`triage alerts`: try the ways that alerts go out, and send what is new."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

import typer

from triage.options import Folder, settings_of
from triage.printed_json import AsJson, print_json

if TYPE_CHECKING:
    from monitoring.notify import Attempt
    from tickets.alert_log import Channel

alerts_app = typer.Typer(help="Alerts by webhook and e-mail.", no_args_is_help=True)


@alerts_app.command("test")
def test_alerts(workspace: Folder = None, as_json: AsJson = False) -> None:
    """Send a test message on every way that is set, and say what came of it."""
    from triage import alerts
    from triage.screen import screen

    with screen(as_json=as_json):
        came = alerts.send_test(settings_of(workspace))
    if as_json:
        print_json(came)
    else:
        _show(came)
    if any(tried.reason for tried in came.values()):
        raise typer.Exit(1)


def _show(came: Mapping[Channel, Attempt]) -> None:
    for channel, tried in came.items():
        if tried.sent:
            print(f"{channel}: sent{f', but {tried.reason}' if tried.reason else ''}")
        else:
            print(f"{channel}: not sent, {tried.reason}")


@alerts_app.command("send")
def send_alerts(workspace: Folder = None, as_json: AsJson = False) -> None:
    """Send what has happened since the last message. `triage nightly` does so at its end."""
    from triage import alerts

    told = alerts.send_now(settings_of(workspace), partial(print, file=sys.stderr) if as_json else print)
    if as_json:
        print_json(told)
    if any(words.startswith("not sent") for words in told.values()):
        raise typer.Exit(1)
