"""`triage labels`: the label queue to and from Label Studio."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from triage.options import Folder, settings_of
from triage.printed_json import AsJson, print_json

labels_app = typer.Typer(help="The label queue to and from Label Studio.", no_args_is_help=True)


@labels_app.command("export")
def export(
    tasks: Annotated[Path, typer.Argument(help="Where to write the tasks (JSON).")],
    workspace: Folder = None,
    interface: Annotated[
        Path | None, typer.Option(help="Where to write the labelling interface; beside the tasks, as .xml.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the tickets that wait for a label as Label Studio tasks, and the contact types as its interface."""
    from triage.labels import export_labels

    config = interface or tasks.with_suffix(".xml")
    count = export_labels(settings_of(workspace), tasks, config)
    if as_json:
        print_json({"tasks": count, "file": tasks, "interface": config})
        return
    print(f"{count} tasks in {tasks}, the labelling interface in {config}.")
    if not count:
        print("Nothing waits for a label: `triage nightly` asks for the next.")


@labels_app.command("import")
def import_(
    annotations: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Label Studio's export, JSON.")],
    workspace: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Keep the annotations of a Label Studio export as labels. The same file again changes nothing."""
    from triage.labels import import_labels

    done = import_labels(settings_of(workspace), annotations, now=dt.datetime.now(dt.UTC))
    if as_json:
        print_json(done)
        return
    print(f"{done.kept} labels kept, {done.known} known already, {done.cancelled} cancelled.")
    if done.gold:
        print(f"{done.gold} marked as ground truth are gold tickets now.")
    for reason, count in done.refused.items():
        print(f"{count} refused: {reason}")
    if done.refused:
        print("Refused annotations, whole: `triage quarantine list --step labels`.")
