"""One training in several processes: the same batches and the same sums as in one, files by the first, errors told."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.batches import batch_of
from models.config import TrainConfig
from models.training.data import TrainingData
from models.training.distributed import ALONE, Workers, meet
from models.training.fit import fit
from models.training.run import draw_candidates, part_loss, parts_of, start_run
from tickets.workspace import Workspace

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = Path(__file__).with_name("fit_in_processes.py")
# Without dropout two processes differ from one only in the order of float32 sums: 2e-6 of a loss after 54 steps here.
# AdamW divides a gradient by its own size, so where one is nearly zero its last bits decide on a weight's whole step,
# and another processor may round otherwise: fifty times as much is let pass. A ticket left out or counted twice moves
# a loss by percents.
TOLERANCE = 1e-4


@pytest.fixture
def still_config(tiny_config: TrainConfig, tmp_path: Path) -> TrainConfig:
    """Nothing random but the order: no dropout anywhere. 120 tickets in batches of 7 leave one of a single ticket."""
    encoder = tmp_path / "still-encoder"
    shutil.copytree(tiny_config.encoder, encoder)
    facts = json.loads((encoder / "config.json").read_text(encoding="utf-8"))
    facts |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (encoder / "config.json").write_text(json.dumps(facts), encoding="utf-8")
    return dataclasses.replace(
        tiny_config, encoder=str(encoder), attribute_dropout=0.0, node_dropout=0.0, batch_size=7, checkpoint_every=10
    )


def torchrun(processes: int, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def fitted_in(processes: int, workspace: Workspace, config: TrainConfig, folder: Path, fail_at: int = 0) -> Any:
    folder.mkdir(exist_ok=True)
    knobs = folder / "knobs.json"
    knobs.write_text(json.dumps(dataclasses.asdict(config)), encoding="utf-8")
    return torchrun(processes, SCRIPT, workspace.root, knobs, folder, str(fail_at))


def steps_of(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "steps.json").read_text(encoding="utf-8")))


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(
    tiny_workspace: Workspace, load_tiny: Callable[..., TrainingData], still_config: TrainConfig, tmp_path: Path
) -> None:
    result = fitted_in(2, tiny_workspace, still_config, tmp_path / "two")
    assert result.returncode == 0, result.stderr
    two = steps_of(tmp_path / "two")
    one: list[float] = []
    alone = fit(
        load_tiny(encoder=still_config.encoder),
        still_config,
        folder=tmp_path / "one",
        report=lambda _line: None,
        progress=lambda _step, _total, loss: one.append(loss),
    )
    assert two["processes"] == 2
    assert len(one) == 54
    assert two["steps"] == pytest.approx(one, rel=TOLERANCE)
    for ours, theirs in zip(alone.history, two["history"], strict=True):
        assert theirs == pytest.approx(ours, rel=TOLERANCE)
    first, last = (load_file(tmp_path / "two" / f"weights-{rank}.safetensors") for rank in (0, 1))
    assert max(float((first[name] - last[name]).abs().max()) for name in first) == 0.0


@pytest.mark.slow
def test_a_failure_ends_all_processes_and_one_process_can_go_on(
    tiny_workspace: Workspace, load_tiny: Callable[..., TrainingData], still_config: TrainConfig, tmp_path: Path
) -> None:
    result = fitted_in(2, tiny_workspace, still_config, tmp_path / "cut", fail_at=25)
    assert result.returncode != 0
    assert "no memory left in the last process" in result.stderr
    assert not (tmp_path / "cut" / "steps.json").exists()
    data = load_tiny(encoder=still_config.encoder)
    lines: list[str] = []
    options: dict[str, Any] = {"progress": lambda _step, _total, _loss: None}
    resumed = fit(data, still_config, folder=tmp_path / "cut" / "run", report=lines.append, **options)
    whole = fit(data, still_config, folder=tmp_path / "whole", report=lambda _line: None, **options)
    assert "Going on from step 20 of 54." in lines
    for ours, theirs in zip(whole.history, resumed.history, strict=True):
        assert theirs == pytest.approx(ours, rel=TOLERANCE)


def test_shares_of_a_batch_add_up_to_its_loss_and_gradient(
    load_tiny: Callable[..., TrainingData], still_config: TrainConfig
) -> None:
    """Three processes of which one has nothing to do, two with a share, each in parts of one ticket."""
    data = load_tiny(encoder=still_config.encoder)
    batch = batch_of(data.train, np.arange(2))

    def gradient(config: TrainConfig, workers: tuple[Workers, ...]) -> tuple[float, dict[str, torch.Tensor]]:
        run = start_run(data, config)
        loss = 0.0
        for run.workers in workers:
            for part in parts_of(run, batch):
                found = part_loss(run, part, batch, draw_candidates(run, batch))
                found.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
                loss += float(found.detach())
        return loss, {name: p.grad for name, p in run.network.named_parameters() if p.grad is not None}

    whole, expected = gradient(still_config, (ALONE,))
    single = dataclasses.replace(still_config, micro_batch_size=1)
    parts, found = gradient(single, tuple(Workers(rank, 3) for rank in range(3)))
    assert parts == pytest.approx(whole, rel=1e-5)
    assert found.keys() == expected.keys()
    assert all(torch.allclose(found[name], expected[name], atol=1e-5) for name in expected)


def test_without_torchrun_a_process_is_alone() -> None:
    workers = meet("cpu")
    assert (workers.first, workers.count) == (True, 1)
    assert workers.share(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
    tensor = torch.ones(2)
    workers.add_up([tensor])
    workers.agree("data", "anything")
    workers.leave()
    assert tensor.tolist() == [1.0, 1.0]
