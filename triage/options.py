"""What several commands take: the workspace, the day, how to train; and the settings they run with."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickets.errors import InputError
from triage.completion import SINKS, devices, one_of, presets

if TYPE_CHECKING:
    from triage.settings import Settings

Folder = Annotated[Path | None, typer.Option("--workspace", "-w", help="The workspace folder (TRIAGE_WORKSPACE).")]
AsOf = Annotated[
    dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day to run for; today when not given.")
]

Sinks = Annotated[
    list[str] | None,
    typer.Option(
        "--sink",
        autocompletion=one_of(*SINKS),
        help="Where to record: mlflow, tensorboard, wandb, none (TRIAGE_TRACKING__SINKS).",
    ),
]
Preset = Annotated[str, typer.Option(autocompletion=presets, help="cpu-quick, cpu or gpu: how much to spend.")]
Knobs = Annotated[
    Path | None, typer.Option("--knobs", help="A TOML or JSON file of knobs over the preset's, as a study writes.")
]
Device = Annotated[
    str | None, typer.Option(autocompletion=devices, help="auto, cpu, cuda or mps; auto when not given.")
]

Encoder = Annotated[str | None, typer.Option(help="A Hugging Face id or folder; MiniLM-L6 when not given.")]
Objective = Annotated[
    str,
    typer.Option(
        autocompletion=one_of("mrr", "accuracy"), help="mrr or accuracy, of contact types on the validation split."
    ),
]
Pruner = Annotated[
    str,
    typer.Option(
        autocompletion=one_of("median", "hyperband", "none"),
        help="median, hyperband or none: what ends a hopeless trial.",
    ),
]


def settings_of(workspace: Path | None) -> Settings:
    """The environment's settings, for the workspace that was named, if one was. Raises InputError."""
    from triage.settings import read_settings

    settings = read_settings()
    return settings if workspace is None else settings.model_copy(update={"workspace": workspace})


def day_of(as_of: dt.datetime | None, *, ahead: bool = False) -> dt.date:
    """The day that was named; today (UTC) when none was. Raises InputError for a day that has not come, unless `ahead`:
    what is done for it would stay the newest for all that follows."""
    today = dt.datetime.now(dt.UTC).date()
    day = as_of.date() if as_of else today
    if day > today and not ahead:
        raise InputError(f"{day} has not come yet; today is {today} (UTC).", hint="--as-of names a day until today.")
    return day
