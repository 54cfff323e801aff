"""The training loop: batches of like length, looks at the validation split, checkpoints, the best weights kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from models import checkpoint as saved
from models.batches import TrainingData, batch_of, training_order
from models.config import TrainConfig
from models.network import TriageNetwork
from models.state_cache import cache_states
from models.training_run import TrainingRun, refresh_texts, start_run, take_step, validate

log = structlog.get_logger()

Progress = Callable[[int, int, float], None]
_REFRESHES = 4  # times an epoch that the texts of nodes and templates are read again
_PROGRESS = ("fingerprint", "step", "best", "looks_since_best", "loss_sum", "loss_steps", "stopped", "history")


@dataclass(frozen=True)
class FitResult:
    """A trained network, on the CPU and in evaluation mode, with one entry a look at the validation split."""

    network: TriageNetwork
    history: list[dict[str, Any]]
    seconds: float


def fit(
    data: TrainingData,
    config: TrainConfig,
    *,
    folder: Path,
    report: Callable[[str], None],
    progress: Progress,
    initial: Path | None = None,
) -> FitResult:
    """Train on `data.train`, keep what is best on `data.validation` (mean reciprocal rank of the right leaf).

    Checkpoints go into `folder`; when one of the same data and settings is there, training goes on from it and ends
    as if it had never stopped. `initial` is an earlier model directory (encoder/, heads.safetensors) to start from.
    `progress` gets step, steps in all, and the last loss. Raises InputError, MachineError, ReleaseError,
    WorkspaceError.
    """
    started = time.perf_counter()
    run = start_run(data, config, initial)
    _resume(run, folder, report)
    if config.epochs > 1 and not run.ended():
        limit = config.state_cache_gb * 1e9
        run.cache = cache_states(run.network.encoder, data.train, most_bytes=limit, bf16=run.bf16, report=report)
    _train(run, folder, report, progress)
    best = saved.read_checkpoint(folder / saved.BEST)
    if best is not None:
        run.network.load_state_dict(dict(best.tensors), strict=False)
    run.network.cpu().eval()
    return FitResult(run.network, run.history, time.perf_counter() - started)


def _train(run: TrainingRun, folder: Path, report: Callable[[str], None], progress: Progress) -> None:
    config = run.config
    steps_an_epoch = run.total // config.epochs
    look_every = config.validation_every or steps_an_epoch
    refresh_every = max(1, steps_an_epoch // _REFRESHES)
    lengths = run.data.train.tokens.lengths
    started, tickets = time.perf_counter(), 0
    run.network.train()
    while not run.ended():
        epoch, within = divmod(run.step, steps_an_epoch)
        for rows in training_order(lengths, config.batch_size, seed=config.seed, epoch=epoch)[within:]:
            if run.step and run.step % refresh_every == 0:
                refresh_texts(run)
            loss = take_step(run, batch_of(run.data.train, rows))
            run.loss_sum, run.loss_steps, tickets = run.loss_sum + loss, run.loss_steps + 1, tickets + len(rows)
            progress(run.step, run.total, loss)
            if run.step % look_every == 0 or run.step == run.total:
                _look(run, folder, report, tickets / (time.perf_counter() - started))
            if run.step % config.checkpoint_every == 0 or run.ended():
                _checkpoint(run, folder)
            if run.ended():
                break


def _look(run: TrainingRun, folder: Path, report: Callable[[str], None], tickets_per_second: float) -> None:
    entry: dict[str, Any] = {"step": run.step, "epoch": run.step * run.config.epochs / run.total}
    entry["loss"] = run.loss_sum / max(1, run.loss_steps)
    run.loss_sum, run.loss_steps = 0.0, 0
    refresh_texts(run)  # so that what is judged, and perhaps kept, is what will be served
    if len(run.data.validation):
        entry |= validate(run.network, run.data.validation, batch_size=run.config.batch_size, bf16=run.bf16)
        run.looks_since_best += 1
        if entry["validation_mrr"] > run.best:
            run.best, run.looks_since_best = entry["validation_mrr"], 0
            saved.write_checkpoint(folder / saved.BEST, saved.learned_state(run.network), {"step": run.step})
        run.stopped = run.looks_since_best >= run.config.patience
    run.history.append(entry)
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in entry.items() if name != "step")
    report(f"Step {run.step} of {run.total}: {figures}, {tickets_per_second:.0f} tickets/s.")
    log.info("training", **entry, tickets_per_second=round(tickets_per_second, 1))


def _checkpoint(run: TrainingRun, folder: Path) -> None:
    tensors = {
        **{f"network/{name}": tensor for name, tensor in saved.learned_state(run.network).items()},
        **saved.optimiser_state(run.network, run.optimiser),
        **saved.random_state(run.device),
        "template_texts": run.template_texts,
    }
    progress = {name: getattr(run, name) for name in _PROGRESS}
    saved.write_checkpoint(folder / saved.CHECKPOINT, tensors, progress)


def _resume(run: TrainingRun, folder: Path, report: Callable[[str], None]) -> None:
    found = saved.read_checkpoint(folder / saved.CHECKPOINT)
    if found is None or found.progress.get("fingerprint") != run.fingerprint:
        if found is not None:
            report("A checkpoint of other data or settings is there; training starts from the beginning.")
        if (folder / saved.BEST).exists():
            (folder / saved.BEST).unlink()
        return
    prefix = "network/"
    state = {name.removeprefix(prefix): tensor for name, tensor in found.tensors.items() if name.startswith(prefix)}
    run.network.load_state_dict(state, strict=False)
    saved.restore_optimiser(run.network, run.optimiser, found.tensors)
    saved.restore_random(run.device, found.tensors)
    run.template_texts = found.tensors["template_texts"].to(run.device)
    for name in _PROGRESS:
        setattr(run, name, found.progress[name])
    report(f"Going on from step {run.step} of {run.total}.")
