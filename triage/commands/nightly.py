"""`triage nightly`: the night's work in one command, for a timer to call."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triage.options import Device, Folder, Knobs, Preset, day_of, settings_of
from triage.printed_json import AsJson, print_json

if TYPE_CHECKING:
    from tickets.night_record import NightRecord
    from triage.nightly import Night

AsOfNight = Annotated[
    dt.datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="The day to look back on; yesterday (UTC).")
]
_EXITS = (
    "Exit codes: 0 done; 2 an input, 4 the workspace, 6 a release or 7 a contract is wrong, which a person must "
    "mend; 3 the machine lacks something; 75 another run holds the workspace; 1 anything else. Run again, it goes on "
    "with the step that failed."
)


def add_nightly_command(app: typer.Typer) -> None:
    """Add it to the command line."""
    app.command(epilog=_EXITS)(nightly)


def nightly(
    workspace: Folder = None,
    as_of: AsOfNight = None,
    preset: Preset = "cpu",
    device: Device = None,
    knobs_file: Knobs = None,
    again: Annotated[bool, typer.Option("--again", help="Do every step, also those that are done.")] = False,
    as_json: AsJson = False,
) -> None:
    """The night's work in order: import, extract, take up, probation, score, monitor, retrain if there is reason, and
    retain, which removes what is older than TRIAGE_RETENTION__* allows."""
    from triage import steps
    from triage.nightly import run_nightly

    config = steps.train_config(preset, {"device": device}, knobs_file)
    settings, day = settings_of(workspace), _last_whole_day(as_of)
    night = partial(run_nightly, settings, config, as_of=day, again=again)
    if as_json:
        _run_as_json(settings.workspace, day, night)
        return
    from triage.console import show_gate, show_night
    from triage.screen import screen

    with screen() as shown:
        done = night(report=shown.report, progress=shown.progress)
    if done.monitored is not None:
        show_night(done.monitored)
    if done.outcome is not None:
        show_gate(done.outcome)
    _show_steps(done.record)


def _show_steps(record: NightRecord) -> None:
    """One line a step."""
    print(f"\nNight of {record.as_of}: {record.state}")
    for name, step in record.steps.items():
        print(f"  {name:<12}{step.seconds:8.1f} s  {step.summary}")


def _run_as_json(workspace: Path, day: dt.date, night: Callable[..., Night]) -> None:
    """Run it; the record goes to standard output also when a step failed, everything else to standard error."""
    from tickets.errors import LockedError
    from tickets.night_record import NightRecord
    from tickets.workspace import Workspace
    from triage.screen import screen

    try:
        with screen(as_json=True) as shown:
            record = night(report=shown.report, progress=shown.progress).record
    except LockedError:  # the record is the other run's
        raise
    except BaseException:
        record = NightRecord.open(Workspace.open(workspace), day)
        print_json(record.to_json())
        raise
    print_json(record.to_json())


def _last_whole_day(as_of: dt.datetime | None) -> dt.date:
    """A night's work after midnight is about the day that has just ended. Raises InputError for a day to come."""
    return day_of(as_of) if as_of else day_of(None) - dt.timedelta(days=1)
