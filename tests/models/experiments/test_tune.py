"""The search for knobs on a tiny world: every trial kept, whatever becomes of it, and a study that goes on."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

from models.config import TrainConfig
from models.experiments.space import Choice, Real, Whole
from models.experiments.study import STUDIES, StudyOutcome, StudyPlan, importance
from models.experiments.tune import tune
from models.registry import TUNING
from tickets.errors import InputError, TrainingDataError
from tickets.experiment_log import ExperimentRun, read_runs
from tickets.workspace import Workspace

SPACE = {"head_learning_rate": Real(1e-4, 1e-2, log=True), "epochs": Whole(1, 3), "batch_size": Choice((8, 16))}

HOPELESS = {"head_learning_rate": Choice((5e-3, 1e-9)), "learning_rate": Choice((1e-3, 1e-12))}

Tune = Callable[..., StudyOutcome]


def silent(*_anything: object) -> None:
    """No report, no progress."""


@pytest.fixture(autouse=True)
def quiet_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.fixture
def search(tiny_workspace: Workspace, tiny_config: TrainConfig) -> Tune:
    """`search(trials=..., **changes of the plan and of tune's options)` in the tiny workspace, without MLflow."""
    plans = {field.name for field in dataclasses.fields(StudyPlan)}

    def run(config: TrainConfig = tiny_config, **options: Any) -> StudyOutcome:
        plan = StudyPlan(**{name: options.pop(name) for name in list(options) if name in plans})
        given = {"report": silent, "progress": silent, "space": SPACE, "sinks": ("none",)} | options
        return tune(tiny_workspace, config, plan, **given)

    return run


def journal(workspace: Workspace) -> list[ExperimentRun]:
    runs, damaged = read_runs(workspace)
    assert damaged == 0
    return runs


def test_a_study_goes_on_where_it_stopped(search: Tune, tiny_workspace: Workspace, tiny_config: TrainConfig) -> None:
    first = search(trials=2)
    assert [trial.number for trial in first.trials] == [0, 1]
    second = search(trials=4)
    assert second.study == first.study
    assert second.trials[:2] == first.trials
    assert [trial.number for trial in second.trials] == [0, 1, 2, 3]
    tried = [json.dumps(trial.knobs, sort_keys=True) for trial in second.trials]
    assert len(set(tried)) == 4  # the sampler does not begin anew
    assert second.trials[0].knobs == {name: getattr(tiny_config, name) for name in SPACE}
    assert search(trials=4) == second  # nothing is left to do
    runs = journal(tiny_workspace)
    assert [run.id for run in runs] == [f"{first.study}-{number:04d}" for number in range(4)]
    for run, trial in zip(runs, second.trials, strict=True):
        assert run.study == first.study
        assert (run.kind, run.status) == ("trial", trial.status)
        assert run.figures["validation_mrr"] == trial.value
        assert {name: run.knobs[name] for name in SPACE} == trial.knobs
        assert set(run.knobs) == {field.name for field in dataclasses.fields(TrainConfig)}
        assert 0 < run.figures["train_seconds"] <= trial.seconds


def test_the_best_is_what_training_with_its_knobs_gives(search: Tune, tiny_config: TrainConfig) -> None:
    outcome = search(trials=3)
    best = max(trial.value or 0.0 for trial in outcome.trials if trial.status == "finished")
    assert outcome.best.value == best
    assert outcome.config == dataclasses.replace(tiny_config, **outcome.best.knobs)
    assert outcome.unsearched == outcome.trials[0].value
    again = search(config=outcome.config, trials=1, space={"warmup": Real(0.0, 0.2)})
    assert again.best.value == best


def test_other_data_or_settings_are_another_study(search: Tune, tiny_config: TrainConfig) -> None:
    mine = search(trials=1, study="mine")
    assert mine.study == "mine"
    other = dataclasses.replace(tiny_config, seed=3)
    with pytest.raises(InputError, match=r"'mine' was of other data, settings or knobs"):
        search(config=other, trials=2, study="mine")
    with pytest.raises(InputError, match="other data, settings or knobs"):
        search(config=dataclasses.replace(tiny_config, max_train_tickets=60), trials=2, study="mine")
    unnamed = search(trials=1)
    assert search(config=other, trials=1).study != unnamed.study


def test_a_trial_that_fails_is_kept_with_its_reason_and_the_next_one_begins(
    search: Tune, tiny_workspace: Workspace
) -> None:
    outcome = search(trials=4, space={"label_smoothing": Choice((0.05, 2.0))}, seed=1)  # 2 is no share
    failed = [trial for trial in outcome.trials if trial.status == "failed"]
    assert 0 < len(failed) < 4
    assert all(trial.value is None and "label_smoothing is 2.0" in trial.reason for trial in failed)
    assert outcome.best.status == "finished"
    runs = {run.id: run for run in journal(tiny_workspace)}
    assert [run.status for run in runs.values()] == [trial.status for trial in outcome.trials]
    for trial in failed:
        run = runs[f"{outcome.study}-{trial.number:04d}"]
        assert (run.reason, run.knobs["label_smoothing"], run.figures) == (trial.reason, 2.0, {})


def test_a_loss_that_is_no_number_any_more_fails_the_trial(search: Tune, tiny_workspace: Workspace) -> None:
    with pytest.raises(TrainingDataError, match=r"none of 2 trials finished. The last: .*loss is nan"):
        search(trials=2, space={"head_learning_rate": Real(1e30, 1e36), "gradient_clip": Real(1e30, 1e36)})
    assert {run.status for run in journal(tiny_workspace)} == {"failed"}


def test_without_any_finished_trial_the_last_reason_is_told(search: Tune) -> None:
    with pytest.raises(TrainingDataError, match=r"none of 2 trials finished. The last: .*epochs is 0"):
        search(trials=2, space={"epochs": Whole(0, 0)})


def test_a_hopeless_trial_is_ended_early(search: Tune, tiny_workspace: Workspace) -> None:
    outcome = search(trials=8, space=HOPELESS, seed=1)
    pruned = [trial for trial in outcome.trials if trial.status == "pruned"]
    assert pruned
    best = outcome.best
    for trial in pruned:
        assert "behind other trials" in trial.reason
        assert trial.value is not None
        assert best.value is not None
        assert trial.value < best.value
    runs = {run.id: run for run in journal(tiny_workspace)}
    assert {runs[f"{outcome.study}-{trial.number:04d}"].status for trial in pruned} == {"pruned"}


def test_hyperband_ends_trials_before_there_are_enough_for_a_median(search: Tune) -> None:
    outcome = search(trials=4, space=HOPELESS, seed=1, pruner="hyperband", study="by-hyperband")
    assert "pruned" in {trial.status for trial in outcome.trials}
    assert outcome.best.status == "finished"


def test_without_a_pruner_the_hopeless_go_on_to_their_end(search: Tune) -> None:
    outcome = search(trials=8, space=HOPELESS, seed=1, pruner="none", objective="accuracy")
    assert {trial.status for trial in outcome.trials} == {"finished"}
    assert {trial.knobs["learning_rate"] for trial in outcome.trials} == {1e-3, 1e-12}
    assert outcome.study.startswith("accuracy-")


def test_trials_of_all_lengths_are_compared_at_the_same_share_of_their_schedules(
    search: Tune, tiny_workspace: Workspace
) -> None:
    import optuna

    outcome = search(trials=6, space={"epochs": Whole(1, 3)}, pruner="none")
    storage = f"sqlite:///{tiny_workspace.experiments / STUDIES}"
    trials = optuna.load_study(study_name=outcome.study, storage=storage).get_trials()
    looks = {1: [20], 2: [10, 20], 3: [7, 13, 20]}
    assert {trial.params["epochs"] for trial in trials} == set(looks)
    for trial in trials:
        told, at = trial.intermediate_values, looks[trial.params["epochs"]]
        assert sorted(told) == list(range(at[0], 21))  # from the first look on, at every share
        for here, after in zip(at, [*at[1:], 21], strict=True):
            assert {told[share] for share in range(here, after)} == {told[here]}


def test_a_trial_of_one_epoch_has_cost_all_it_will_at_its_only_look(search: Tune, tiny_config: TrainConfig) -> None:
    outcome = search(dataclasses.replace(tiny_config, epochs=1), trials=8, space=HOPELESS, seed=1)
    assert {trial.status for trial in outcome.trials} == {"finished"}


def test_the_first_trial_is_the_settings_to_the_last_digit(search: Tune, tiny_config: TrainConfig) -> None:
    exact = dataclasses.replace(tiny_config, head_learning_rate=0.00123456, epochs=1)
    outcome = search(exact, trials=2, space={"head_learning_rate": Real(1e-4, 1e-2, log=True)})
    first, second = (trial.knobs["head_learning_rate"] for trial in outcome.trials)
    assert first == 0.00123456
    assert outcome.unsearched == outcome.trials[0].value
    assert second == float(f"{second:.3g}")  # of those drawn a person can read and write down all


def test_a_person_who_stops_a_study_loses_one_trial(search: Tune, tiny_workspace: Workspace) -> None:
    trials = 0

    def stop_in_the_second(step: int, _total: int, _loss: float) -> None:
        nonlocal trials
        trials += step == 1
        if trials == 2 and step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(trials=3, progress=stop_in_the_second)
    outcome = search(trials=3)
    assert [trial.status for trial in outcome.trials] == ["finished", "failed", "finished"]
    assert outcome.trials[1].reason == "interrupted"
    assert [run.reason for run in journal(tiny_workspace)] == ["", "interrupted", ""]
    assert not list(tiny_workspace.aside_root.iterdir())


def test_no_trial_begins_when_the_minutes_are_over(search: Tune, tiny_config: TrainConfig) -> None:
    lines: list[str] = []

    def slowly(_step: int, _total: int, _loss: float) -> None:
        time.sleep(0.005)

    outcome = search(trials=1000, minutes=0.02, report=lines.append, progress=slowly)
    assert 0 < len(outcome.trials) < 50
    assert lines[-1].startswith(f"The minutes are over after {len(outcome.trials)} of 1000 trials")


def test_importance_tells_the_knob_that_mattered_from_one_that_did_not() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    told = []
    for number in range(30):
        trial = study.ask()
        matters, _idle = trial.suggest_float("matters", 0, 1), trial.suggest_float("idle", 0, 1)
        study.tell(trial, matters**2)
        if number < 3 or number == 29:
            told.append(importance(study, seed=1))
    assert told[:3] == [{}, {}, {}]  # too few to tell
    assert list(told[-1]) == ["matters", "idle"]
    assert told[-1]["matters"] > 0.8
    assert sum(told[-1].values()) == pytest.approx(1.0)


def test_importance_of_trials_that_all_came_to_the_same_is_unknown() -> None:
    import optuna

    study = optuna.create_study(direction="maximize")
    for _ in range(6):
        trial = study.ask()
        trial.suggest_float("idle", 0, 1)
        study.tell(trial, 0.5)
    assert importance(study, seed=1) == {}


def test_a_knob_that_changes_what_is_read_of_a_ticket_can_be_searched(search: Tune, tiny_workspace: Workspace) -> None:
    lines: list[str] = []
    outcome = search(trials=3, space={"max_tokens": Choice((8, 24))}, report=lines.append, seed=2)
    assert {trial.knobs["max_tokens"] for trial in outcome.trials} == {8, 24}
    hashes = {run.knobs["max_tokens"]: run.data_hash for run in journal(tiny_workspace)}
    assert hashes[8] != hashes[24]
    assert len({run.validation_hash for run in journal(tiny_workspace)}) == 1


def test_every_trial_is_a_nested_run_in_mlflow(search: Tune, tiny_workspace: Workspace) -> None:
    from mlflow.tracking import MlflowClient

    uri = tiny_workspace.default_tracking_uri
    for trials in (2, 3):
        outcome = search(trials=trials, tracking_uri=uri, sinks=("mlflow",))
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(TUNING)
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    study = runs.pop(outcome.study)
    assert (study.info.status, study.data.params["objective"]) == ("FINISHED", "mrr")
    assert study.data.metrics["validation_mrr"] == outcome.best.value
    assert {item.path for item in client.list_artifacts(study.info.run_id)} == {"best.json", "importance.json"}
    assert sorted(runs) == [f"{outcome.study}-{number:04d}" for number in range(3)]
    for trial in outcome.trials:
        run = runs[f"{outcome.study}-{trial.number:04d}"]
        assert run.data.tags["mlflow.parentRunId"] == study.info.run_id
        assert run.data.params["epochs"] == str(trial.knobs["epochs"])
        assert run.data.metrics["validation_mrr"] == trial.value
        assert len(client.get_metric_history(run.info.run_id, "training/validation_mrr")) == trial.knobs["epochs"]


def test_a_tracking_server_that_is_away_costs_a_study_one_line(search: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    lines: list[str] = []
    outcome = search(trials=2, tracking_uri="http://127.0.0.1:9", sinks=("mlflow",), report=lines.append)
    assert [trial.status for trial in outcome.trials] == ["finished", "finished"]
    (warning,) = (line for line in lines if line.startswith("Warning"))
    assert f"nothing of {outcome.study} is recorded there" in warning


def test_the_study_is_one_sqlite_file(search: Tune, tiny_workspace: Workspace) -> None:
    search(trials=1)
    with sqlite3.connect(tiny_workspace.experiments / STUDIES) as store:
        assert store.execute("select count(*) from trials").fetchone() == (1,)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ({"trials": 0}, "trials is 0"),
        ({"minutes": -1.0}, "minutes is -1.0"),
        ({"seed": -1}, "seed is -1"),
        ({"objective": "loss"}, "objective is 'loss'. Choose one of: mrr, accuracy"),
        ({"pruner": "random"}, "pruner is 'random'"),
        ({"knobs": ("epoch",)}, "'epoch' is not in the search space"),
        *(({"study": name}, "cannot name a file") for name in ("", "..", "a/b", "../up", "with space", "x" * 101)),
    ],
)
def test_a_plan_that_cannot_be_is_told(search: Tune, plan: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        search(**plan)


def test_without_validation_tickets_nothing_can_be_compared(
    search: Tune, put_features: Callable[[str, list[dict[str, Any]]], None]
) -> None:
    put_features("validation", [])
    with pytest.raises(TrainingDataError, match="validation split"):
        search(trials=1)


def test_a_trial_whose_process_died_is_failed_unless_the_journal_has_its_end(
    search: Tune, tiny_workspace: Workspace
) -> None:
    import optuna

    first = search(trials=2)
    storage = f"sqlite:///{tiny_workspace.experiments / STUDIES}"
    with sqlite3.connect(tiny_workspace.experiments / STUDIES) as store:  # as if it died before Optuna was told
        store.execute("update trials set state = 'RUNNING' where number = 1")
        store.execute("delete from trial_values where trial_id in (select trial_id from trials where number = 1)")
    study = optuna.load_study(study_name=first.study, storage=storage)
    study.ask()  # and another, before its first step
    second = search(trials=4)
    assert [trial.value for trial in second.trials[:2]] == [trial.value for trial in first.trials]
    assert [trial.status for trial in second.trials] == ["finished", "finished", "failed", second.trials[3].status]
    assert second.trials[2].reason == "its process was killed"
    assert [run.id for run in journal(tiny_workspace)] == [f"{first.study}-{number:04d}" for number in range(4)]
    assert journal(tiny_workspace)[2].reason == "its process was killed"
