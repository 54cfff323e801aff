"""`triage baselines`, `triage tune`: what it costs to be how good, and which knobs matter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickets.errors import InputError
from triage.completion import presets
from triage.completion import rungs as rung_names
from triage.options import Device, Encoder, Folder, Knobs, Objective, Pruner, Sinks, settings_of
from triage.printed_json import AsJson, print_json

if TYPE_CHECKING:
    from models.ladder.budget import Recommendation
    from models.ladder.record import LadderRun


def add_experiment_commands(app: typer.Typer) -> None:
    """Top-level commands, not a group: they stand beside `train`."""
    app.command()(baselines)
    app.command()(tune)


def baselines(
    workspace: Folder = None,
    preset: Annotated[
        str | None,
        typer.Option(
            autocompletion=presets,
            help="cpu-quick, cpu or gpu: how the transformer learns, if no model of these tickets is there.",
        ),
    ] = None,
    rungs: Annotated[
        str | None,
        typer.Option(
            autocompletion=rung_names,
            help="Only these, with commas: majority, keywords, tfidf, cota1, frozen, cnn, lstm, setfit, transformer.",
        ),
    ] = None,
    max_train_tickets: Annotated[int | None, typer.Option(help="Learn from the newest so many.")] = None,
    device: Device = None,
    encoder: Encoder = None,
    knobs_file: Knobs = None,
    budget_ms: Annotated[float | None, typer.Option(help="Recommend within so many milliseconds a ticket.")] = None,
    budget_mb: Annotated[float | None, typer.Option(help="Recommend within so many megabytes.")] = None,
    budget_train_seconds: Annotated[float | None, typer.Option(help="Recommend within so much training.")] = None,
    last: Annotated[bool, typer.Option("--last", help="Train nothing: ask the last run again.")] = False,
    as_json: AsJson = False,
) -> None:
    """The ladder: every way to tell contact types, from majority to transformer, with its quality and its costs."""
    from models.ladder.budget import Budget
    from triage import experiments

    budget = Budget(train_seconds=budget_train_seconds, ms_per_ticket=budget_ms, megabytes=budget_mb)
    settings = settings_of(workspace)
    if last and any(given is not None for given in (preset, rungs, max_train_tickets, device, encoder, knobs_file)):
        raise InputError("--last asks the last run again, as it was.", hint="Leave --last out, or give budgets alone.")
    if last:
        _tell(experiments.last_ladder(settings, budget), as_json)
        return
    from triage.screen import screen

    given = {"device": device, "encoder": encoder, "max_train_tickets": max_train_tickets}
    with screen(as_json=as_json) as shown:
        found = experiments.baselines(
            settings,
            preset,
            given,
            budget,
            knobs_file=knobs_file,
            rungs=[name.strip() for name in (rungs or "").split(",") if name.strip()],
            report=shown.report,
            progress=shown.progress,
        )
    _tell(found, as_json)


def _tell(found: tuple[LadderRun, Recommendation, Path], as_json: bool) -> None:
    from models.ladder.saved import to_json
    from triage.ladder_view import show_ladder

    run, recommendation, page = found
    if as_json:
        print_json({**json.loads(to_json(run, recommendation)), "page": page})
    else:
        show_ladder(run, recommendation, page)


def tune(
    workspace: Folder = None,
    preset: Annotated[
        str, typer.Option(autocompletion=presets, help="cpu-quick, cpu or gpu: where the search begins.")
    ] = "cpu",
    trials: Annotated[int, typer.Option(help="In all: a study that was stopped goes on to so many.")] = 20,
    minutes: Annotated[
        float | None, typer.Option(help="Begin no trial after these; one under way then ends at its next look.")
    ] = None,
    max_train_tickets: Annotated[int | None, typer.Option(help="Train each trial on the newest so many.")] = None,
    knob: Annotated[
        list[str] | None, typer.Option(help="Search this knob alone, or some: --knob epochs --knob warmup.")
    ] = None,
    objective: Objective = "mrr",
    pruner: Pruner = "median",
    study: Annotated[str | None, typer.Option(help="A name for the study.")] = None,
    seed: Annotated[int, typer.Option(help="Of the search.")] = 17,
    device: Device = None,
    encoder: Encoder = None,
    knobs_file: Knobs = None,
    sink: Sinks = None,
    as_json: AsJson = False,
) -> None:
    """Search for good knobs by short trainings, the hopeless ended early (Optuna). Run again, it goes on."""
    from models.experiments.study import StudyPlan
    from triage import experiments
    from triage.console import show_study
    from triage.screen import screen

    plan = StudyPlan(
        trials=trials,
        minutes=minutes,
        objective=objective,  # type: ignore[arg-type]  # checked there
        pruner=pruner,  # type: ignore[arg-type]
        knobs=tuple(knob or ()),
        study=study,
        seed=seed,
    )
    given = {"device": device, "encoder": encoder, "max_train_tickets": max_train_tickets}
    with screen(as_json=as_json) as shown:
        outcome, file = experiments.tune(
            settings_of(workspace),
            preset,
            given,
            plan,
            report=shown.report,
            progress=shown.progress,
            knobs_file=knobs_file,
            sinks=sink or (),
        )
    if as_json:
        print_json({"outcome": outcome, "file": file})
    else:
        show_study(outcome, preset, file)
