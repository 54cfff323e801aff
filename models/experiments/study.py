"""A study: its plan, its place in Optuna's storage, what its trials came to.

Optuna proposes (TPE, Bergstra et al. 2011), the looks of each trial are compared with those of the others (median
rule, or Hyperband, Li et al. 2018), and fANOVA (Hutter et al. 2014) says which knobs mattered.

Trials of different lengths are compared at the same share of their schedules: the rate of each falls to zero over its
own length, so that a short trial is nearly done where a long one has hardly begun.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from models.config import MOST_SEED, TrainConfig
from models.experiments.space import EXACT, Space, Whole
from tickets.errors import InputError
from tickets.experiment_log import Status
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.study import Study
    from optuna.trial import FrozenTrial

STUDIES = "tune.db"
KILLED = "its process was killed"
_LEAST_FOR_IMPORTANCE = 4  # finished trials
SHARES = 20  # parts of a trial's own schedule; looks are reported to Optuna by how many of them are done
_WARM_SHARES = 8  # no trial is ended before them: warmup may take up to six
_STUDY_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")  # it becomes the name of files and folders


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """How long to search, for what, and among which knobs. Raises InputError when a value cannot work."""

    trials: int = 20  # in all, those of earlier runs of the same study included
    minutes: float | None = None  # for the trials of this run; one under way then ends at its next look
    objective: Literal["mrr", "accuracy"] = "mrr"  # of contact types, on the validation split
    pruner: Literal["median", "hyperband", "none"] = "median"
    knobs: tuple[str, ...] = ()  # to search; () is the whole space
    study: str | None = None  # a name; by default one that follows from data, settings and space
    seed: int = 17

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise InputError(f"trials is {self.trials}; it must be 1 or more.", hint="Give --trials 20, for example.")
        if self.minutes is not None and self.minutes <= 0:
            raise InputError(
                f"minutes is {self.minutes}; it must be above 0.",
                hint="Give --minutes 60, for example, or leave it out.",
            )
        choices = {"objective": ("mrr", "accuracy"), "pruner": ("median", "hyperband", "none")}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"{name} is {getattr(self, name)!r}.", hint=f"Choose one of: {', '.join(known)}.")
        if not 0 <= self.seed <= MOST_SEED:
            raise InputError(f"seed is {self.seed}.", hint=f"Give a whole number from 0 to {MOST_SEED}.")
        if self.study is not None and not _STUDY_NAME.fullmatch(self.study):
            raise InputError(
                f"study is {self.study!r}, which cannot name a file.",
                hint="Up to 100 letters from A to Z, digits, `.`, `_` and `-`, the first of them no dot.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """One trial as it ended. `value` is the objective, None when it failed; `seconds` is what it cost."""

    number: int
    status: Status
    value: float | None
    seconds: float
    knobs: Mapping[str, Any]
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOutcome:
    """A study after this run. `importance` sums to 1 over the knobs that varied; {} when too few trials finished."""

    study: str
    objective: str
    trials: tuple[TrialResult, ...]
    best: TrialResult
    config: TrainConfig  # the best
    unsearched: float | None  # what the settings that the search began with came to, when they are a trial
    importance: Mapping[str, float]


def open_study(workspace: Workspace, config: TrainConfig, plan: StudyPlan, space: Space, data_hash: str) -> Study:
    """Raises InputError when a study of that name was of other data, settings or knobs."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    settings = json.dumps(dataclasses.asdict(config), sort_keys=True)
    about = "\n".join((data_hash, settings, repr(dict(space)), plan.objective, f"looks by {SHARES} shares"))
    fingerprint = hashlib.sha256(about.encode()).hexdigest()
    name = plan.study or f"{plan.objective}-{fingerprint[:8]}"
    workspace.experiments.mkdir(exist_ok=True)
    storage = optuna.storages.RDBStorage(
        f"sqlite:///{workspace.experiments / STUDIES}", engine_kwargs={"connect_args": {"timeout": 60}}
    )
    study = optuna.create_study(
        storage=storage, study_name=name, direction="maximize", load_if_exists=True, pruner=_pruner(plan, space, config)
    )
    if study.user_attrs.setdefault("about", fingerprint) != fingerprint:
        raise InputError(
            f"the study {name!r} was of other data, settings or knobs; its trials cannot be compared with new ones.",
            hint="Choose another --study, or leave it out.",
        )
    study.set_user_attr("about", fingerprint)
    # A sampler that began anew with the same seed would propose its first trials once more.
    study.sampler = optuna.samplers.TPESampler(seed=plan.seed + len(study.trials), multivariate=True)
    if not study.trials:
        begun = {name: getattr(config, name) for name in space if space[name].holds(getattr(config, name))}
        study.enqueue_trial(begun, user_attrs={EXACT: list(begun)})
    return study


def _pruner(plan: StudyPlan, space: Space, config: TrainConfig) -> BasePruner:
    """Its steps are shares of a trial's schedule, so that one of every trial means the same."""
    from optuna import pruners

    if plan.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=_WARM_SHARES)
    if plan.pruner == "hyperband":
        epochs = space.get("epochs")
        fewest = epochs.low if isinstance(epochs, Whole) else config.epochs
        # Below the first look of the shortest trial, which is half-way at the latest, a long trial would meet values
        # that short ones reached far later in their schedules.
        first = max(1, round(SHARES / max(2, fewest)))
        return pruners.HyperbandPruner(min_resource=first, max_resource=SHARES, reduction_factor=3)
    return pruners.NopPruner()


def results(study: Study) -> tuple[TrialResult, ...]:
    """The trials that ended, in the order they began."""
    return tuple(result_of(trial) for trial in study.get_trials(deepcopy=False) if trial.state.is_finished())


def result_of(trial: FrozenTrial) -> TrialResult:
    from optuna.trial import TrialState

    status: Status = {TrialState.COMPLETE: "finished", TrialState.PRUNED: "pruned"}.get(trial.state, "failed")  # type: ignore[assignment]  # dict.get loses the literals
    return TrialResult(
        number=trial.number,
        status=status,
        value=None if status == "failed" or trial.value is None else float(trial.value),
        seconds=float(trial.user_attrs.get("seconds", 0.0)),
        knobs=trial.user_attrs.get("knobs", {}),
        reason=trial.user_attrs.get("reason", KILLED if status == "failed" else ""),
    )


def best_of(trials: tuple[TrialResult, ...]) -> TrialResult | None:
    """The finished trial of the highest value, the earlier one among equals."""
    finished = [trial for trial in trials if trial.status == "finished" and trial.value is not None]
    return max(finished, key=lambda trial: trial.value or 0.0, default=None)


def importance(study: Study, *, seed: int) -> dict[str, float]:
    """Share of the variance between finished trials that each knob explains, the largest first; {} when too few
    finished, or all came to the same."""
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    values = {trial.value for trial in results(study) if trial.status == "finished"}
    finished = sum(trial.status == "finished" for trial in results(study))
    if finished < _LEAST_FOR_IMPORTANCE or len(values) < 2:
        return {}
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return {name: float(share) for name, share in shares.items()}
