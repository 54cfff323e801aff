"""`triage replay`: what each way to keep a model right would have brought, and what it would have cost."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triage.completion import policies
from triage.options import Folder, settings_of
from triage.printed_json import AsJson, print_json


def add_replay_command(app: typer.Typer) -> None:
    app.command()(replay)


def replay(
    workspace: Folder = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="A simulated company's half year, not the workspace's own history.")
    ] = False,
    into: Annotated[
        Path, typer.Option(help="Where the lives are lived. One that was broken off goes on by policy.")
    ] = Path("replay"),
    policy: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=policies,
            help="never, fixed interval, alarm-driven, all labels; may be given several times. All of them.",
        ),
    ] = None,
    tickets_per_day: Annotated[
        int | None, typer.Option(min=1, help="So many tickets make a day, whenever they came. As the calendar says.")
    ] = None,
    newest: Annotated[int, typer.Option(min=1, help="Of the history, the newest so many tickets.")] = 20_000,
    again: Annotated[bool, typer.Option(help="Forget what was lived there before.")] = False,
    quick: Annotated[bool, typer.Option(help="Six weeks, short trainings: shows the way, not the quality.")] = False,
    as_json: AsJson = False,
) -> None:
    """Live through history under several policies: never retrain, fixed interval, alarm-driven, all labels."""
    from triage.replay import steps
    from triage.replay.view import show_replay
    from triage.screen import screen

    asked = steps.Asked(
        simulated=simulated,
        again=again,
        policies=policy or (),
        tickets_per_day=tickets_per_day,
        newest=newest,
        quick=quick,
    )
    with screen(as_json=as_json) as shown:
        found = steps.replay(settings_of(workspace), asked, into, report=shown.report, progress=shown.progress)
    if as_json:
        print_json(found[0].to_json())
    else:
        show_replay(*found)
