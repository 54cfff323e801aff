"""What `triage baselines` and `triage tune` do, as one plain function a command."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tickets.progress import Progress, Report
from tickets.workspace import Workspace
from triage.settings import Settings, tracking_uri
from triage.steps import opened, train_config

if TYPE_CHECKING:
    from models.experiments.study import StudyOutcome, StudyPlan
    from models.ladder.budget import Budget, Recommendation
    from models.ladder.record import LadderRun


def tune(
    settings: Settings,
    preset: str,
    knobs: Mapping[str, Any],
    plan: StudyPlan,
    *,
    report: Report,
    progress: Progress,
    knobs_file: Path | None = None,
    sinks: Sequence[str] = (),
) -> tuple[StudyOutcome, Path]:
    """Search around a preset (with knobs over it, as `train` takes them). Returns what the study came to and the file
    of its best knobs, for `triage train --knobs`. Raises InputError, TrainingDataError, MissingStepError."""
    from models.experiments import tune as tuning
    from models.experiments.knobs import write_knobs

    with opened(settings, "tune") as (workspace, _):
        outcome = tuning.tune(
            workspace,
            train_config(preset, knobs, knobs_file),
            plan,
            report=report,
            progress=progress,
            tracking_uri=tracking_uri(settings, workspace),
            sinks=sinks or settings.tracking.names(),
        )
        file = workspace.experiments / "studies" / f"{outcome.study}.json"  # apart, so that any study name is free
        write_knobs(file, outcome.config, train_config(preset, {}))
    return outcome, file


def baselines(
    settings: Settings,
    preset: str | None,
    knobs: Mapping[str, Any],
    budget: Budget,
    *,
    knobs_file: Path | None = None,
    rungs: Sequence[str] = (),
    report: Report,
    progress: Progress,
) -> tuple[LadderRun, Recommendation, Path]:
    """Climb the ladder on the workspace's tickets; returns it, what to take for the budget, and the page written.

    The last rung is a model that learned from exactly these tickets: with these settings where a preset or a file of
    knobs is named, with this encoder where one is. Where there is none, it is trained now and kept as `train` keeps it.
    Raises InputError, TrainingDataError, MissingStepError.
    """
    from models import train as training
    from models.baselines.transformer import find_model
    from models.encoder import load_tokenizer
    from models.ladder.budget import recommend
    from models.ladder.climb import Trained, chosen_rungs, climb
    from models.ladder.picture import draw
    from models.ladder.saved import write_ladder
    from models.release import open_release
    from models.training.data import hash_of, load_training_data

    config, chosen = train_config(preset or "cpu", knobs, knobs_file), chosen_rungs(rungs)
    if preset or knobs_file:
        asked = dataclasses.asdict(config)
    else:  # the number of tickets is told by their hash, but encoders may share a tokenizer
        asked = {"encoder": config.encoder} if knobs.get("encoder") else {}
    with opened(settings, "baselines") as (workspace, _):
        tokenizer = load_tokenizer(config.encoder, config.max_tokens)
        data = load_training_data(workspace, tokenizer, config, report=report)

        def trained() -> Trained:
            there = find_model(workspace, hash_of(data), asked)
            if there is not None:
                return Trained(there, was_there=True)
            uri, sinks = tracking_uri(settings, workspace), settings.tracking.names()
            made = training.train(
                workspace, config, report=report, progress=progress, tracking_uri=uri, sinks=sinks, ladder={}
            )
            return Trained(open_release(made.folder), was_there=False)

        run = climb(data, config, rungs=chosen, trained=trained, report=report)
        advice = recommend(run.rungs, budget)
        return run, advice, write_ladder(workspace, run, advice, draw(run))


def last_ladder(settings: Settings, budget: Budget) -> tuple[LadderRun, Recommendation, Path]:
    """The last climb as it was, and what to take of it for another budget. Raises MissingStepError before the first."""
    from models.ladder.budget import recommend
    from models.ladder.saved import PAGE, read_ladder

    workspace = Workspace.open(settings.workspace)
    run = read_ladder(workspace)
    return run, recommend(run.rungs, budget), workspace.experiments / PAGE
