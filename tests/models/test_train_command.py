"""`triage train` from the shell: one clear line and the right exit code when it cannot, and several processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from models.config import TrainConfig
from models.training.checkpoint import CHECKPOINT
from tickets.workspace import Workspace

Examples = dict[str, list[dict[str, Any]]]
Put = Callable[[str, list[dict[str, Any]]], None]

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture
def knobs(tiny_config: TrainConfig, tmp_path: Path) -> Path:
    path = tmp_path / "knobs.json"
    names = ("encoder", "max_tokens", "batch_size", "learning_rate", "head_learning_rate", "precision")
    path.write_text(json.dumps({"epochs": 1, **{name: getattr(tiny_config, name) for name in names}}), encoding="utf-8")
    return path


def triage_train(workspace: Workspace, *options: str | Path, launcher: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `triage train`."""
    command = [sys.executable, *launcher, "-m", "triage", "train", "--workspace", workspace.root, *options]
    result = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


def only_line(error: str) -> str:
    lines = error.strip().splitlines()
    assert len(lines) == 1, error
    return lines[0]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there(tiny_workspace: Workspace, knobs: Path) -> None:
    code, _, error = triage_train(tiny_workspace, "--knobs", knobs, "--device", "cuda")
    assert code == 3
    assert "the device cuda was asked for; this machine has 0 of that kind" in only_line(error)


def test_a_device_that_is_none(tiny_workspace: Workspace, knobs: Path) -> None:
    code, _, error = triage_train(tiny_workspace, "--knobs", knobs, "--device", "toaster")
    assert code == 2
    assert "'toaster' is no device. Devices: auto, cpu" in only_line(error)


@pytest.mark.parametrize("name", ["no-such-company/no-such-model", "/no/such/folder"])
def test_an_unknown_base_model(tiny_workspace: Workspace, knobs: Path, name: str) -> None:
    code, _, error = triage_train(tiny_workspace, "--knobs", knobs, "--encoder", name)
    assert code == 2
    assert name in only_line(error)
    assert "Give a folder in Hugging Face layout" in error


def test_five_tickets(tiny_workspace: Workspace, tiny_examples: Examples, knobs: Path, put_features: Put) -> None:
    put_features("train", tiny_examples["train"][:5])
    code, _, error = triage_train(tiny_workspace, "--knobs", knobs, "--device", "cpu")
    assert code == 2
    assert "5 training tickets have an outcome; 10 or more" in only_line(error)


def test_one_contact_type(tiny_workspace: Workspace, tiny_examples: Examples, knobs: Path, put_features: Put) -> None:
    put_features("train", [{**row, "contact_type": "late"} for row in tiny_examples["train"]])
    code, _, error = triage_train(tiny_workspace, "--knobs", knobs, "--device", "cpu")
    assert code == 2
    assert "all 120 training tickets have the contact type 'late'; two or more are needed" in only_line(error)


def test_a_corrupt_checkpoint(tiny_workspace: Workspace, knobs: Path) -> None:
    checkpoint = tiny_workspace.models / ".training" / CHECKPOINT
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"\x00" * 4096)
    code, _, error = triage_train(tiny_workspace, "--knobs", knobs, "--device", "cpu")
    assert code == 4
    assert f"the checkpoint {checkpoint} is damaged" in only_line(error)
    assert "Delete its folder" in error


@pytest.mark.slow
def test_two_processes_train_one_model(tiny_workspace: Workspace, knobs: Path) -> None:
    code, output, error = triage_train(tiny_workspace, "--knobs", knobs, "--device", "auto", launcher=TORCHRUN)
    assert code == 0, error
    assert output.count("Step 15 of 15") == 1  # the first process alone speaks
    versions = [path for path in tiny_workspace.models.iterdir() if not path.name.startswith(".")]
    assert len(versions) == 1
    assert (versions[0] / "model.onnx").stat().st_size > 0
    assert not (tiny_workspace.models / ".training").exists()
    with tiny_workspace.lock("test"):
        pass


@pytest.mark.slow
def test_two_processes_end_when_the_first_cannot_start(tiny_workspace: Workspace, knobs: Path) -> None:
    with tiny_workspace.lock("test"):
        code, _, error = triage_train(tiny_workspace, "--knobs", knobs, "--device", "cpu", launcher=TORCHRUN)
    assert code != 0
    assert "triage: another run holds this workspace: test" in error
