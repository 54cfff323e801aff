"""`triage keys` and `triage audit`: who may use the service, and what was done with that."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from triage.completion import ROLES, one_of
from triage.options import Folder, settings_of
from triage.printed_json import AsJson, plain, print_json

if TYPE_CHECKING:
    from tickets.api_keys import ApiKey

keys_app = typer.Typer(help="API keys: who may use the service, and as what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Whose key it is: a person, or a program.")]


@keys_app.command("create")
def create_key(
    name: Name,
    role: Annotated[
        str,
        typer.Option(
            autocompletion=one_of(*ROLES), help="agent, labeler or admin; each may do what those before it may."
        ),
    ],
    workspace: Folder = None,
    days: Annotated[float | None, typer.Option(help="How long it works; for ever when not given.")] = None,
    shared: Annotated[
        bool, typer.Option("--shared", help="Several people use it and write their own names on the pages.")
    ] = False,
) -> None:
    """Make a key and show it, this once."""
    from triage import keys

    print(keys.create(settings_of(workspace), name, role, days=days, shared=shared))


@keys_app.command("list")
def list_keys(workspace: Folder = None, as_json: AsJson = False) -> None:
    """Show the keys there are and were, without their secrets."""
    from triage import keys

    now = dt.datetime.now(dt.UTC)
    known = keys.listed(settings_of(workspace))
    if as_json:
        print_json([{**plain(replace(key, hash="")), "state": _state(key, now)} for key in known])
        return
    if not known:
        print("There is no key yet: `triage keys create NAME --role agent` makes one; `triage serve` makes the first.")
        return
    print(f"{'id':<12}  {'role':<7}  {'state':<8}  {'made':<16}  {'until':<16}  {'last used':<16}  name")
    for key in known:
        state = _state(key, now)
        times = "  ".join(f"{_when(time):<16}" for time in (key.created_at, key.expires_at, key.last_used_at))
        print(f"{key.key_id}  {key.role:<7}  {state:<8}  {times}  {key.name}{' (shared)' if key.shared else ''}")


@keys_app.command("rotate")
def rotate_key(
    name: Name,
    workspace: Folder = None,
    grace: Annotated[float, typer.Option(min=0, help="Hours that the old one goes on working.")] = 0.0,
) -> None:
    """Make a new key in the place of the one of that name, and show it, this once."""
    from triage import keys

    print(keys.rotate(settings_of(workspace), name, grace_hours=grace))


@keys_app.command("revoke")
def revoke_key(
    name_or_id: Annotated[str, typer.Argument(help="A key's name or its id.")], workspace: Folder = None
) -> None:
    """End a key for good, and the sessions that it began. A running service knows within seconds."""
    from triage import keys

    for key in keys.revoke(settings_of(workspace), name_or_id):
        print(f"{key.key_id} ({key.name}) works no more.")


def add_audit_command(app: typer.Typer) -> None:
    """One command, so no group."""
    app.command()(audit)


def audit(
    workspace: Folder = None,
    since: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="From when on (UTC); the newest 1000 at most."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the audit log: keys, sign-ins, refused roles, promotions and rollbacks."""
    from triage import keys

    start = since.replace(tzinfo=dt.UTC) if since else None
    entries = keys.audited(settings_of(workspace), start)
    if as_json:
        print_json(entries)
        return
    if not entries:
        print("Nothing was done with keys or releases yet." if since is None else "Nothing was done since then.")
    for entry in entries:
        details = json.dumps(dict(entry.details), ensure_ascii=False) if entry.details else ""
        line = f"{entry.at:%Y-%m-%dT%H:%M:%SZ}  {entry.actor}  {entry.action}  {entry.target or ''}  {details}"
        # Paths and names come from outside; a control character in one would act on the terminal.
        print("".join(letter if letter.isprintable() else "?" for letter in line.rstrip()))


def _state(key: ApiKey, now: dt.datetime) -> str:
    return "revoked" if key.revoked_at else "works" if key.works(now) else "over"


def _when(time: dt.datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""
