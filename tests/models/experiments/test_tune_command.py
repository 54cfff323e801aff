"""`triage tune` from the shell: killed and run again, its best knobs given to `triage train`, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models.config import TrainConfig
from tickets.experiment_log import read_runs
from tickets.workspace import Workspace

ROOT = Path(__file__).resolve().parents[3]


def triage(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "triage", *map(str, arguments)]
    given = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "200", **environment}
    return subprocess.Popen(
        command, cwd=ROOT, env=given, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def said(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    """Standard output and error of a process that ended as expected."""
    output, error = process.communicate(timeout=400)
    assert process.returncode == code, output + error
    return output, error


def only_line(error: str) -> str:
    lines = error.strip().splitlines()
    assert len(lines) == 1, error
    return lines[0]


@pytest.fixture
def knobs(tiny_config: TrainConfig, tmp_path: Path) -> Path:
    """The tiny encoder and its settings, as a file of knobs."""
    path = tmp_path / "tiny.json"
    names = ("encoder", "max_tokens", "batch_size", "learning_rate", "head_learning_rate", "precision", "epochs")
    path.write_text(json.dumps({name: getattr(tiny_config, name) for name in names}), encoding="utf-8")
    return path


def ended(workspace: Workspace) -> int:
    return len(read_runs(workspace)[0])


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on_and_its_best_knobs_can_be_trained_with(
    tiny_workspace: Workspace, knobs: Path
) -> None:
    search = ("tune", "-w", tiny_workspace.root, "--knobs", knobs, "--knob", "warmup", "--knob", "node_dropout")
    search = (*search, "--device", "cpu", "--sink", "none")
    killed = triage(*search, "--trials", "400")
    waiting = time.monotonic() + 300
    while ended(tiny_workspace) < 2 and killed.poll() is None and time.monotonic() < waiting:
        time.sleep(0.05)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    before = ended(tiny_workspace)
    assert before >= 2
    output, _ = said(triage(*search, "--trials", str(before + 2)))
    runs, damaged = read_runs(tiny_workspace)
    assert (len(runs), damaged) == (before + 2, 0)
    assert len({run.study for run in runs}) == 1
    assert {run.reason for run in runs if run.status == "failed"} <= {"its process was killed"}
    assert f"Best of {before + 2} trials" in output
    assert "warmup" in output
    assert "s a trial" in output
    file = Path(output.strip().splitlines()[-1].split(" --knobs ")[1])
    assert file == tiny_workspace.experiments / "studies" / f"{runs[0].study}.json"
    best = json.loads(file.read_text())
    assert {"warmup", "node_dropout", "encoder", "epochs"} <= set(best)
    said(triage("train", "-w", tiny_workspace.root, "--preset", "cpu", "--knobs", file, "--sink", "tensorboard"))
    trained = read_runs(tiny_workspace)[0][-1]
    assert (trained.kind, trained.status) == ("training", "finished")
    assert {name: trained.knobs[name] for name in best} == best
    assert list((tiny_workspace.experiments / "tensorboard").glob("training-*/events.*"))
    assert not (tiny_workspace.root / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("tune", "--sink", "papyrus"), 2, "there is no sink 'papyrus'. Sinks: mlflow, tensorboard, wandb, none."),
        (("train", "--sink", "papyrus"), 2, "there is no sink 'papyrus'"),
        (("tune", "--knob", "colour"), 2, "the knob 'colour' is not in the search space. Knobs: learning_rate, "),
        (("tune", "--objective", "loss"), 2, "objective is 'loss'. Choose one of: mrr, accuracy."),
        (("tune", "--trials", "0"), 2, "trials is 0"),
        (("tune", "--study", "../debug"), 2, "study is '../debug', which cannot name a file. Up to 100 letters"),
        (("tune", "--knobs", "nowhere.toml"), 2, "nowhere.toml cannot be read"),
    ],
)
def test_what_cannot_be_is_one_line(
    tiny_workspace: Workspace, arguments: tuple[str, ...], code: int, told: str
) -> None:
    _, error = said(triage(*arguments, "-w", tiny_workspace.root), code)
    assert told in only_line(error)
    assert ended(tiny_workspace) == 0


def test_the_sinks_of_the_settings_are_taken_when_none_is_named(tiny_workspace: Workspace) -> None:
    _, error = said(triage("train", "-w", tiny_workspace.root, TRIAGE_TRACKING__SINKS="mlflow, papyrus"), 2)
    assert "there is no sink 'papyrus'" in only_line(error)


def test_a_workspace_without_features_says_what_to_run(workspace: Workspace) -> None:
    _, error = said(triage("tune", "-w", workspace.root), 4)
    assert "triage" in only_line(error)
