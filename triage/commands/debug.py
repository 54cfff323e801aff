"""`triage debug`: before a long training, and after one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from triage.completion import presets, versions
from triage.options import Device, Encoder, Folder, Knobs, settings_of
from triage.printed_json import AsJson, print_json


def add_debug_command(app: typer.Typer) -> None:
    """It stands beside `train`."""
    app.command()(debug)


def debug(
    workspace: Folder = None,
    preset: Annotated[
        str, typer.Option(autocompletion=presets, help="cpu-quick, cpu or gpu: what is to be trained.")
    ] = "cpu",
    bias_variance: Annotated[
        bool, typer.Option("--bias-variance", help="Instead: where errors come from, and what to do next.")
    ] = False,
    learning_curve: Annotated[
        bool, typer.Option("--learning-curve", help="Instead: how much history is needed.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="The checklist and both of these.")] = False,
    version: Annotated[
        str | None,
        typer.Option(
            autocompletion=versions, help="Whose errors: a model under models/; the current release when not given."
        ),
    ] = None,
    with_model: Annotated[
        bool,
        typer.Option("--with-model", help="Train the preset for it: a slice held out, or each point of the curve."),
    ] = False,
    target: Annotated[
        float | None, typer.Option(help="Accuracy wanted, such as 0.85: how many tickets does it take?")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Times that each size of the curve is drawn.")] = 3,
    max_train_tickets: Annotated[int | None, typer.Option(help="Look at the newest so many.")] = None,
    knobs_file: Knobs = None,
    device: Device = None,
    encoder: Encoder = None,
    as_json: AsJson = False,
) -> None:
    """Walk the checklist before a long run; or say where errors come from, or how much history is needed."""
    from models.diagnosis.diagnose import PARTS, RECORD, Wanted
    from tickets.workspace import Workspace
    from triage import steps
    from triage.debug_view import show_diagnosis
    from triage.screen import screen

    asked = [part for part, wanted in zip(PARTS, (False, bias_variance, learning_curve), strict=True) if wanted]
    parts = PARTS if everything else asked or PARTS[:1]
    wanted = Wanted(parts=parts, version=version, with_model=with_model, target=target, seeds=seeds)
    knobs = {"device": device, "encoder": encoder, "max_train_tickets": max_train_tickets}
    settings = settings_of(workspace)
    with screen(as_json=as_json) as shown:
        found = steps.debug(
            settings,
            preset,
            knobs,
            wanted,
            report=shown.report,
            progress=shown.progress,
            knobs_file=knobs_file,
        )
    if as_json:
        _print_kept(Workspace.open(settings.workspace).experiments / RECORD, parts)
    else:
        show_diagnosis(found)
    if not found.passed:
        raise typer.Exit(1)


def _print_kept(record: Path, parts: Sequence[str]) -> None:
    """What this run left of each part in debug.json: its figures without the samples that intervals come from."""
    kept = json.loads(record.read_text(encoding="utf-8"))
    print_json({part: kept[part] for part in parts if part in kept})
