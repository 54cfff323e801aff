"""`triage themes`: what people write about that no contact type stands for, as /themes shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from triage.options import Folder, settings_of
from triage.printed_json import AsJson, plain, print_json

if TYPE_CHECKING:
    from tickets.theme_log import Theme

_NOT_PRINTED = ("centroid", "ticket_ids")  # long, and of use to nobody who reads


def add_theme_command(app: typer.Typer) -> None:
    """One command, so no group."""
    app.command()(themes)


def themes(
    workspace: Folder = None,
    every: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List new themes, biggest first. They are accepted and dismissed on the page /themes."""
    from tickets.theme_log import decided_themes, open_themes
    from tickets.workspace import Workspace
    from triage.settings import database

    settings = settings_of(workspace)
    with database(settings, Workspace.open(settings.workspace)) as engine:
        found = [*open_themes(engine), *(decided_themes(engine, limit=1000) if every else ())]
    if as_json:
        print_json([_told(theme) for theme in found])
    elif not found:
        print("No theme is open: a theme is found by `triage nightly` when many tickets fit no contact type.")
    else:
        for theme in found:
            _show(theme)


def _told(theme: Theme) -> dict[str, object]:
    return {name: value for name, value in plain(theme).items() if name not in _NOT_PRINTED}


def _show(theme: Theme) -> None:
    decided = f" ({theme.status}{f': {theme.contact_type}' if theme.contact_type else ''})" if theme.decided_by else ""
    print(f"{theme.name}{decided}")
    seen = f"{theme.first_seen:%Y-%m-%d} to {theme.last_seen:%Y-%m-%d}"
    print(f"  {theme.tickets} tickets ({theme.share:.1%}), {theme.a_day:.1f} a day, seen {seen}")
    print(f"  {', '.join(theme.words)}")
