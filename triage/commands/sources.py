"""`triage sources`: fetch from where tickets live into a folder that `triage import` reads."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickets.errors import InputError

if TYPE_CHECKING:
    from pipeline.sources.zendesk_api import ZendeskAccount
    from triage.settings import Settings

sources_app = typer.Typer(help="Fetch tickets from where they live.", no_args_is_help=True)


@sources_app.callback()
def _sources() -> None:
    """A group of its own, also while it has one command."""


@sources_app.command("zendesk")
def fetch_zendesk(
    folder: Annotated[Path, typer.Argument(help="Where the export is kept; the next run goes on there.")],
    since: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Of the first run: tickets changed from this day on; all of them."),
    ] = None,
) -> None:
    """Fetch every ticket changed since the last run, with comments, macros and fields, from Zendesk's API."""
    from pipeline.sources.zendesk_export import fetch_account
    from triage.screen import screen
    from triage.settings import read_settings

    account = _account(read_settings())
    with screen() as shown:
        fetched = fetch_account(account, folder, since=since.date() if since else None, report=shown.report)
    print(f"{fetched.tickets:,} tickets in {fetched.pages:,} pages.")
    print(f"Next: triage import {folder} --dataset my-zendesk.toml")


def _account(settings: Settings) -> ZendeskAccount:
    """Raises InputError naming the variable that is missing."""
    from pipeline.sources.zendesk_api import ZendeskAccount

    zendesk = settings.zendesk
    if not zendesk.url or not zendesk.token:
        missing = "TRIAGE_ZENDESK__TOKEN" if zendesk.url else "TRIAGE_ZENDESK__URL"
        raise InputError(
            f"{missing} is not set.",
            hint="Set TRIAGE_ZENDESK__URL (https://company.zendesk.com), TRIAGE_ZENDESK__EMAIL, TRIAGE_ZENDESK__TOKEN.",
        )
    return ZendeskAccount(url=zendesk.url, email=zendesk.email, token=zendesk.token.get_secret_value())
