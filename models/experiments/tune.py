"""The search for good knobs: a study of short trainings, each a trial, with the hopeless ended early."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gc
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from models.config import TrainConfig
from models.experiments.origin import Origin, origin_of
from models.experiments.recording import Product, Pruned, Recording, RunStart, one_line, recorded
from models.experiments.sinks import DEFAULT_SINKS, open_sinks
from models.experiments.space import SPACE, Space, part_of, suggest
from models.experiments.study import (
    KILLED,
    SHARES,
    StudyOutcome,
    StudyPlan,
    TrialResult,
    best_of,
    importance,
    open_study,
    result_of,
    results,
)
from models.experiments.trainings import kept_look
from models.training.data import TrainingData, load_training_data
from models.training.fit import fit
from tickets.errors import TrainingDataError
from tickets.experiment_log import ExperimentRun, append_run, read_runs
from tickets.progress import Report, silent, under_way
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial, TrialState

log = structlog.get_logger()

_NEVER = 10**9  # steps between checkpoints: an interrupted trial is not gone on with


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """What every trial of a run needs."""

    workspace: Workspace
    study: Study
    plan: StudyPlan
    space: Space
    base: TrainConfig
    load: Callable[[TrainConfig], tuple[TrainingData, Origin]]
    origin: Origin  # with the base's data
    report: Report
    progress: Callable[[int, int, float], None]
    tracking_uri: str | None
    sinks: Sequence[str]
    deadline: float  # of time.monotonic()
    recording: frozenset[str] = frozenset()  # sinks that took the study, by name; one that is away is not asked again


def tune(
    workspace: Workspace,
    config: TrainConfig,
    plan: StudyPlan,
    *,
    report: Report,
    progress: Callable[[int, int, float], None],
    space: Space = SPACE,
    tracking_uri: str | None = None,
    sinks: Sequence[str] = DEFAULT_SINKS,
) -> StudyOutcome:
    """Search around `config` until the study has `plan.trials` trials or the minutes are over.

    A study is kept in experiments/tune.db after each trial: the same call goes on with it, also after a kill. Its
    first trial is `config` itself, as far as the space holds it. All are looked at once an epoch and compared at the
    same share of their schedules, so that trials of any batch size and length can be compared. A trial that fails is
    kept with its reason, and the next one begins. Raises InputError, TrainingDataError, MissingStepError, MachineError.
    """
    config = dataclasses.replace(config, validation_every=0)
    space = part_of(space, plan.knobs)
    recorders = open_sinks(sinks, workspace, tracking_uri)
    load = _loader(workspace, report)
    origin = load(config)[1]  # the data is held by `load` alone, which lets go of it for a trial that reads others
    if not origin.tickets["validation"]:
        raise TrainingDataError(
            "no ticket of the validation split has an outcome; without them trials cannot be compared.",
            hint="Move the split's dates so that validation has tickets, then run `triage features`.",
        )
    study = open_study(workspace, config, plan, space, origin.data_hash)
    _end_killed_trials(workspace, study, plan, config, origin)
    search = _Search(
        workspace=workspace,
        study=study,
        plan=plan,
        space=space,
        base=config,
        load=load,
        report=report,
        progress=progress,
        tracking_uri=tracking_uri,
        sinks=sinks,
        origin=origin,
        deadline=math.inf if plan.minutes is None else time.monotonic() + 60 * plan.minutes,
    )
    with recorded(_study_start(search), recorders, report=report) as whole:
        _run_trials(dataclasses.replace(search, recording=frozenset(sink.name for sink in whole.sinks)))
        outcome = _outcome(search)
        _conclude(whole, outcome)
    return outcome


def _run_trials(search: _Search) -> None:
    from optuna.trial import TrialState

    study, wanted = search.study, search.plan.trials
    while (ended := len(results(study))) < wanted and time.monotonic() < search.deadline:
        trial = study.ask()
        under_way("trials", ended, wanted, whole=True)
        try:
            state, value = _try(search, trial)
        except BaseException:
            study.tell(trial, state=TrialState.FAIL)
            raise
        made = result_of(study.tell(trial, value, state=state))
        gc.collect()  # not every GPU holds the network of one trial beside that of the next
        search.report(_told(search, made, ended + 1))
    under_way("trials", wanted, wanted, whole=True)
    if len(results(study)) < wanted:
        search.report(f"The minutes are over after {len(results(study))} of {wanted} trials; the same command goes on.")


def _try(search: _Search, trial: Trial) -> tuple[TrialState, float | None]:
    """State and value of a trial. Whatever it raises is its own failure, unless a person stops the run."""
    from optuna.trial import TrialState

    began = time.perf_counter()
    try:
        return TrialState.COMPLETE, _fit_trial(search, trial)
    except Pruned as pruned:
        trial.set_user_attr("reason", str(pruned))
        return TrialState.PRUNED, None
    except Exception as error:
        trial.set_user_attr("reason", one_line(error))
        log.info("trial failed", trial=trial.number, error=one_line(error))
        return TrialState.FAIL, None
    except BaseException as error:
        trial.set_user_attr("reason", one_line(error))
        raise
    finally:
        trial.set_user_attr("seconds", time.perf_counter() - began)


def _fit_trial(search: _Search, trial: Trial) -> float:
    knobs = suggest(search.space, trial)
    trial.set_user_attr("knobs", knobs)
    origin, name = search.origin, _name(search.study, trial.number)
    impossible: Exception | None = None
    try:
        config = dataclasses.replace(search.base, **knobs)
        data, origin = search.load(config)
    except Exception as error:  # of these knobs: it belongs into the trial's own record
        impossible = error
    start = RunStart(
        run_id=name,
        kind="trial",
        name=name,
        knobs={**dataclasses.asdict(search.base), **knobs},
        origin=origin,
        parent=search.study.study_name,
    )
    opened = open_sinks(search.sinks, search.workspace, search.tracking_uri)
    sinks = [sink for sink in opened if sink.name in search.recording]
    with recorded(start, sinks, report=search.report) as run, search.workspace.aside(name) as folder:
        if impossible is not None:
            raise impossible
        fitted = fit(
            data,
            dataclasses.replace(config, checkpoint_every=_NEVER),
            folder=folder,
            report=silent,
            progress=search.progress,
            on_step=run.step,
            on_look=_judge(search, trial, run, config.epochs),
        )
        run.figures |= {**kept_look(fitted.history), "train_seconds": fitted.seconds}
        trial.set_user_attr("seconds", fitted.seconds)  # should the process die before Optuna is told
    return run.figures[f"validation_{search.plan.objective}"]


def _judge(search: _Search, trial: Trial, run: Recording, epochs: int) -> Callable[[Mapping[str, float]], None]:
    """What is done with each look: record it, and end a trial that is not worth its time. At its last look a trial has
    cost all it will, so it counts as finished."""
    began, looks, compared = time.perf_counter(), 0, _compared(trial)

    def look(figures: Mapping[str, float]) -> None:
        nonlocal looks
        looks += 1
        run.look(figures)
        run.figures["train_seconds"] = time.perf_counter() - began
        value = figures[f"validation_{search.plan.objective}"]
        done = round(SHARES * figures["epoch"] / epochs)
        compared(value, done)
        if done == SHARES:
            return
        if trial.should_prune():
            raise Pruned(f"{value:.3f} at look {looks}, behind other trials")
        if time.monotonic() > search.deadline and best_of(results(search.study)) is not None:
            raise Pruned(f"{value:.3f} at look {looks}, when the minutes were over")

    return look


def _compared(trial: Trial) -> Callable[[float, int], None]:
    """Reports the value of a look when `done` shares of the schedule are over. Between two looks the earlier one's
    value holds: Optuna compares trials at equal shares alone, and those of other lengths have their looks elsewhere."""
    before: tuple[float, int] | None = None

    def report(value: float, done: int) -> None:
        nonlocal before
        if before is not None:
            for between in range(before[1] + 1, done):
                trial.report(before[0], step=between)
        if before is None or done > before[1]:  # of two looks within a share, Optuna would refuse the second
            trial.report(value, step=done)
        before = value, done

    return report


def _loader(workspace: Workspace, report: Report) -> Callable[[TrainConfig], tuple[TrainingData, Origin]]:
    """Reads the data again only when a knob changes that it is read by."""
    from models.encoder import load_tokenizer

    held: dict[tuple[Any, ...], tuple[TrainingData, Origin]] = {}

    def load(config: TrainConfig) -> tuple[TrainingData, Origin]:
        read_by = (config.encoder, config.max_tokens, config.max_train_tickets)
        if read_by not in held:
            held.clear()
            tokenizer = load_tokenizer(config.encoder, config.max_tokens)
            data = load_training_data(workspace, tokenizer, config, report=report)
            held[read_by] = data, origin_of(data, config.device)
        return held[read_by]

    return load


def _end_killed_trials(
    workspace: Workspace, study: Study, plan: StudyPlan, config: TrainConfig, origin: Origin
) -> None:
    """Only one run holds a workspace at a time, so a trial that is still open here lost its process. One that had come
    to its end, and into the journal, counts as what it was."""
    from optuna.trial import TrialState

    known = {run.id: run for run in read_runs(workspace)[0]}
    states = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        name = _name(study, left.number)
        if name in known:
            value = known[name].figures.get(f"validation_{plan.objective}")
            state = states[known[name].status]
            study.tell(left.number, value if state == TrialState.COMPLETE else None, state=state)
            continue
        study.tell(left.number, state=TrialState.FAIL)
        line = ExperimentRun(
            id=name,
            kind="trial",
            name=name,
            started=(left.datetime_start or dt.datetime.now()).astimezone(dt.UTC),  # noqa: DTZ005 - Optuna keeps local times
            seconds=0.0,
            status="failed",
            knobs={**dataclasses.asdict(config), **left.user_attrs.get("knobs", {})},
            data_hash=origin.data_hash,
            validation_hash=origin.validation_hash,
            study=study.study_name,
            reason=KILLED,
        )
        append_run(workspace, line)


def _study_start(search: _Search) -> RunStart:
    plan, name = search.plan, search.study.study_name
    context = {
        "objective": plan.objective,
        "pruner": plan.pruner,
        "sampler": "TPE",
        "searched": ", ".join(search.space),
    }
    knobs = dataclasses.asdict(search.base)
    return RunStart(run_id=name, kind="study", name=name, knobs=knobs, origin=search.origin, context=context)


def _outcome(search: _Search) -> StudyOutcome:
    """Raises TrainingDataError when no trial has finished."""
    trials = results(search.study)
    unsearched = {name: getattr(search.base, name) for name in search.space}
    best = best_of(trials)
    if best is None:
        told = f" The last: {trials[-1].reason}." if trials else ""
        raise TrainingDataError(
            f"none of {len(trials)} trials finished.{told}", hint="`triage debug` says whether training can work here."
        )
    return StudyOutcome(
        study=search.study.study_name,
        objective=search.plan.objective,
        trials=trials,
        best=best,
        config=dataclasses.replace(search.base, **best.knobs),
        unsearched=next((trial.value for trial in trials if trial.knobs == unsearched), None),
        importance=importance(search.study, seed=search.plan.seed),
    )


def _conclude(whole: Recording, outcome: StudyOutcome) -> None:
    whole.figures |= {
        f"validation_{outcome.objective}": outcome.best.value or 0.0,
        "trials": float(len(outcome.trials)),
        "trial_seconds": sum(trial.seconds for trial in outcome.trials),
    }
    whole.product = Product(
        texts={
            "best.json": json.dumps(dict(outcome.best.knobs), indent=1),
            "importance.json": json.dumps(dict(outcome.importance), indent=1),
        }
    )


def _told(search: _Search, made: TrialResult, ended: int) -> str:
    """A line a trial; its knobs only when they are the best so far."""
    came_to = "failed" if made.value is None else f"{made.status}, validation {search.plan.objective} {made.value:.4f}"
    why = f" ({made.reason})" if made.reason else ""
    told = f"Trial {made.number}, {ended} of {search.plan.trials}: {came_to} in {made.seconds:.0f} s{why}"
    best = best_of(results(search.study))
    if best == made:
        return f"{told}, the best so far: {', '.join(f'{name} {value}' for name, value in made.knobs.items())}."
    return f"{told}." if best is None else f"{told}; the best is {best.value:.4f}, trial {best.number}."


def _name(study: Study, number: int) -> str:
    return f"{study.study_name}-{number:04d}"
