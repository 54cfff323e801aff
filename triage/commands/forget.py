"""`triage forget`: what is held of a person, and its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from triage.options import Folder, settings_of
from triage.printed_json import AsJson, print_json

if TYPE_CHECKING:
    from triage.forgetting import Forgotten

_SHOWN = 20  # ticket ids


def add_forget_command(app: typer.Typer) -> None:
    """One command, so no group."""
    app.command()(forget)


def forget(
    workspace: Folder = None,
    customer: Annotated[
        str | None, typer.Option(help="What customer_key is mapped to in dataset.toml, such as an e-mail address.")
    ] = None,
    ticket: Annotated[list[str] | None, typer.Option(help="A ticket by its id; may be given again.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Remove it; otherwise only show what is held.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show, or remove, all that is held of a customer or of tickets, in the database and the lake."""
    from triage import forgetting
    from triage.screen import screen

    settings = settings_of(workspace)
    with screen(as_json=as_json) as shown:
        found = forgetting.forget(settings, customer=customer, tickets=ticket or (), apply=apply, report=shown.report)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: Forgotten) -> None:
    if found.unfinished:
        print("A run before this one was killed; its tickets are among these.")
    if not (found.held or found.models or found.files):
        print("Nothing is held of them here.")
    else:
        more = f" and {len(found.tickets) - _SHOWN} more" if len(found.tickets) > _SHOWN else ""
        named = f": {', '.join(map(_plain, found.tickets[:_SHOWN]))}{more}" if found.tickets else ""
        print(f"{len(found.tickets):,} {'ticket' if len(found.tickets) == 1 else 'tickets'}{named}")
    for held in found.held:
        did = "shortened" if held.shortened else "gone"
        would = "others' rows that name one" if held.shortened else ""
        print(f"  {held.place:<8}  {held.table:<20}  {held.rows:>9,} rows  {did if held.gone else would}".rstrip())
    _show_left(found)
    if found.held and not found.applied:
        print("Nothing was changed: --apply removes the rows.")


def _show_left(found: Forgotten) -> None:
    """What the command does not change, and what to do about it."""
    for model in found.models:
        served = ", which is served" if model.served else ""
        print(f"  model     {model.version}{served}: {model.excerpts:,} excerpts, {model.whole:,} whole tickets")
    if found.models:
        print("Models are not changed: train and promote a new one, then let these go (`triage pipeline retain`).")
    for file in found.files:
        print(f"  file      {_plain(file)}")
    if found.files:
        print("These files name the tickets: look at them, and delete them by hand.")
    if found.waiting:
        print(
            f"{len(found.waiting)} files of the suggestion log ({', '.join(found.waiting[:3])}) may hold more: restart "
            "the service, which empties them, and run this again."
        )


def _plain(text: str) -> str:
    """Ids come from outside; a control character in one would act on the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
