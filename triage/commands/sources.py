"""`triage sources`: fetch from where tickets live into a folder that `triage import` reads."""

from __future__ import annotations

import datetime as dt
import shlex
from pathlib import Path
from typing import Annotated

import typer

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
    from triage import sources
    from triage.screen import screen
    from triage.settings import read_settings

    settings = read_settings()
    with screen() as shown:
        fetched = sources.fetch_zendesk(settings, folder, since=since.date() if since else None, report=shown.report)
    print(f"{fetched.tickets:,} tickets in {fetched.pages:,} pages.")
    print(f"Next: triage import {shlex.quote(str(folder))} --dataset my-zendesk.toml")
