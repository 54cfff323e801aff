"""The checks to walk before a long training: does it run, is it sane at the start, can it learn, does it learn only
what is there. Findings are data; `triage debug` prints them.

After Karpathy, "A Recipe for Training Neural Networks" (2019).
"""

from __future__ import annotations

import dataclasses
import math
import resource
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.batches import TrainingData, batch_of
from models.config import TrainConfig
from models.fit import fit
from models.training_run import start_run, take_step, tensors_of, validate

_OVERFIT_TICKETS, _OVERFIT_STEPS = 16, 60
_PERMUTED_TICKETS = 512
_INFORMED, _CONFUSED = 0.25, 1.25  # bounds of the first loss, as shares of knowing nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: whether it passed, what was seen, and what to do when it did not."""

    check: str
    passed: bool
    detail: str
    advice: str = ""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)


def check_training(data: TrainingData, config: TrainConfig, *, report: Callable[[str], None]) -> list[Finding]:
    """All checks, in order, on the data and settings that are to be trained with. Takes about a minute on two cores."""
    findings = []
    for check in (dry_run, initial_loss, overfits_one_batch, permuted_labels):
        finding = check(data, config)
        report(f"{'passed' if finding.passed else 'FAILED'}: {finding.check}. {finding.detail}")
        findings.append(finding)
    return findings


def dry_run(data: TrainingData, config: TrainConfig) -> Finding:
    """One step on the longest batch: shapes, finite gradients, memory in MB, seconds a step."""
    run = start_run(data, config)
    rows = np.argsort(-data.train.tokens.lengths, kind="stable")[: config.batch_size]
    batch = batch_of(data.train, rows)
    run.network.train()
    take_step(run, batch)  # the first step also allocates
    started = time.perf_counter()
    loss = take_step(run, batch)
    seconds = time.perf_counter() - started
    run.network.eval()
    with torch.no_grad():
        output = run.network(*tensors_of(batch, run.device))
    sound = math.isfinite(loss) and all(bool(part.isfinite().all()) for part in output)
    shapes = ", ".join(f"{name} {tuple(part.shape)}" for name, part in output._asdict().items())
    figures = {
        "seconds_a_step": seconds,
        "longest_seconds": seconds * run.total,
        "memory_mb": _memory_mb(run.device),
        "parameters": float(sum(part.numel() for part in run.network.parameters())),
        "trainable_parameters": float(sum(part.numel() for part in run.network.parameters() if part.requires_grad)),
    }
    return Finding(
        check="a step runs on the longest batch",
        passed=sound,
        detail=f"{shapes}; {figures['memory_mb']:.0f} MB; {run.total} steps of at most {seconds:.2f} s.",
        advice="" if sound else "Lower learning_rate, or set precision to fp32.",
        figures=figures,
    )


def initial_loss(data: TrainingData, config: TrainConfig) -> Finding:
    """Before training, the loss is near that of knowing nothing: the sum over a path of log(siblings).

    Node texts may lower it; far lower means that inputs tell the answer, higher that the first weights are too sure.
    """
    run = start_run(data, config)
    tickets = data.train.take(np.arange(min(len(data.train), 256)))
    unknowing = np.log(data.index.class_counts().clip(min=1)) @ data.index.ancestors
    expected = float(unknowing[tickets.node].mean())
    found = validate(run.network, tickets, batch_size=config.batch_size, bf16=run.bf16)["validation_loss"]
    passed = _INFORMED * expected <= found <= _CONFUSED * expected
    return Finding(
        check="the first loss is that of knowing little",
        passed=passed,
        detail=f"{found:.2f} nats; knowing nothing is {expected:.2f}.",
        advice="" if passed else "If far lower, look for an outcome among the attributes; if higher, for wrong inputs.",
        figures={"loss": found, "unknowing": expected},
    )


def overfits_one_batch(data: TrainingData, config: TrainConfig) -> Finding:
    """Without dropout, a few steps on one batch bring its loss to almost nothing."""
    plain = dataclasses.replace(
        config, batch_size=_OVERFIT_TICKETS, label_smoothing=0.0, warmup=0.0, epochs=1, head_learning_rate=3e-3
    )
    run = start_run(data, plain)
    _, first = np.unique(data.train.tokens.lengths, return_index=True)  # distinct texts, one a length
    batch = batch_of(data.train, first[-_OVERFIT_TICKETS:])
    run.total = _OVERFIT_STEPS * 2  # the rate must not end at zero
    run.network.eval()
    seen = [take_step(run, batch) for _ in range(_OVERFIT_STEPS)]
    passed = seen[-1] < 0.1 * seen[0]
    return Finding(
        check="it can learn one batch by heart",
        passed=passed,
        detail=f"Loss {seen[0]:.2f} -> {seen[-1]:.3f} in {_OVERFIT_STEPS} steps on {len(batch.node)} tickets.",
        advice="" if passed else "Raise learning_rate or trainable_layers; if that does not help, look at the inputs.",
        figures={"first_loss": seen[0], "last_loss": seen[-1]},
    )


def permuted_labels(data: TrainingData, config: TrainConfig) -> Finding:
    """Trained on contact types dealt out at random, it must not beat guessing one: else labels leak into inputs."""
    part = np.random.default_rng(config.seed).permutation(len(data.train))[:_PERMUTED_TICKETS]
    shuffled = np.random.default_rng(config.seed + 1).permutation(data.train.node[part])
    dealt = dataclasses.replace(data.train.take(part), node=shuffled)
    unseen = data.validation if len(data.validation) else data.test
    if len(unseen) == 0:
        return Finding(check="labels dealt at random teach nothing", passed=True, detail="No ticket to test on.")
    unseen = unseen.take(np.arange(min(len(unseen), _PERMUTED_TICKETS)))
    quick = dataclasses.replace(config, epochs=1, ranker_weight=0.0, patience=1)
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(
            dataclasses.replace(data, train=dealt, validation=unseen),
            quick,
            folder=Path(folder),
            report=lambda _line: None,
            progress=lambda _step, _total, _loss: None,
        )
    accuracy = fitted.history[-1]["validation_accuracy"]
    chance = float(np.bincount(unseen.node).max() / len(unseen))
    limit = chance + 3 * math.sqrt(chance * (1 - chance) / len(unseen))
    passed = accuracy <= limit
    return Finding(
        check="labels dealt at random teach nothing",
        passed=passed,
        detail=f"Accuracy {accuracy:.3f} on tickets not seen; the commonest contact type is {chance:.3f} of them.",
        advice="" if passed else "Look for an outcome among the inputs, and for tickets in two splits.",
        figures={"accuracy": accuracy, "chance": chance, "limit": limit},
    )


def _memory_mb(device: torch.device) -> float:
    """Most memory held so far: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
