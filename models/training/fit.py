"""The training loop: batches of like length, looks at the validation split, checkpoints, the best weights kept."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.batches import batch_of, training_order
from models.config import TrainConfig
from models.device import give_back_memory
from models.network import TriageNetwork
from models.training import checkpoint as saved
from models.training.data import TrainingData
from models.training.distributed import ALONE, Workers, own_random_numbers
from models.training.encoder import compiled, restore_encoder
from models.training.run import TrainingRun, advance, parts_of, refresh_texts, start_run, tensors_of, validate
from models.training.state_cache import cache_states
from tickets.errors import InputError, MachineError
from tickets.progress import Progress, Report

log = logging.getLogger(__name__)

OnStep = Callable[[int, int, Mapping[str, float]], None]  # step, steps in all, figures
OnLook = Callable[[Mapping[str, float]], None]
_REFRESHES = 4  # times an epoch that the texts of nodes and templates are read again
_COMPILED_FROM = 500  # steps; fewer do not earn back the minute that compiling takes
_READ_EVERY = 10  # steps between looks at the losses on a GPU: to read one is to wait for it
_PROGRESS = (
    "fingerprint",
    "step",
    "best",
    "looks_since_best",
    "loss_sum",
    "loss_steps",
    "stopped",
    "history",
    "seconds",
)


@dataclass(frozen=True)
class FitResult:
    """A trained network, on the CPU and in evaluation mode, with one entry a look at the validation split; `seconds`
    count what was spent before an interruption too."""

    network: TriageNetwork
    history: list[dict[str, Any]]
    seconds: float


def fit(
    data: TrainingData,
    config: TrainConfig,
    *,
    folder: Path,
    report: Report,
    progress: Progress,
    initial: Path | None = None,
    on_step: OnStep | None = None,
    on_look: OnLook | None = None,
    workers: Workers = ALONE,
) -> FitResult:
    """Train on `data.learned`, keep what is best on `data.validation` (mean reciprocal rank of the right leaf).

    Checkpoints go into `folder`; when one of the same data and settings is there, training goes on from it and ends
    as if it had never stopped (bit for bit on one process). `initial` is an earlier model directory (encoder/,
    heads.safetensors) to start from. `progress` gets step, steps in all, and the last loss; `on_step` also the highest
    rate of the step, `on_look` the figures of each look. What they raise ends the training. Of several `workers`
    (distributed.py) every one calls this with the same data and folder; only the first writes there, and has the best
    weights at the end. Raises InputError, MachineError, ReleaseError, WorkspaceError.
    """
    run = start_run(data, config, initial, workers=workers)
    workers.agree("data or settings", run.fingerprint)
    _resume(run, folder, report)
    workers.agree("checkpoint", str(run.step))
    if workers.first and run.step == 0:
        _clear(folder)
    own_random_numbers(workers, config.seed, run.step)
    if config.epochs > 1 and not run.ended():
        limit = config.state_cache_gb * 1e9
        run.cache = cache_states(run.network.encoder, data.learned, most_bytes=limit, bf16=run.bf16, report=report)
    _compile(run, report)
    _train(run, folder, report, progress, on_step=on_step, on_look=on_look)
    best = saved.read_checkpoint(folder / saved.BEST) if workers.first else None
    if best is not None:
        run.network.load_state_dict(dict(best.tensors), strict=False)
    restore_encoder(run.network.encoder)
    network, history, seconds = run.network.cpu().eval(), run.history, run.spent()
    del run  # with its optimiser and kept states
    give_back_memory()
    return FitResult(network, history, seconds)


def _compile(run: TrainingRun, report: Report) -> None:
    """Compile the encoder where it is asked for, or pays, and can be done."""
    setting = run.config.compile
    pays = run.device.type == "cuda" and run.total >= _COMPILED_FROM
    if run.cache is not None or run.ended() or setting == "off" or (setting == "auto" and not pays):
        return
    rows = next(iter(_batches(run, epoch=0)))
    random = saved.random_state(run.device)
    part = next(parts_of(run, batch_of(run.data.learned, rows)), None)
    try:
        if part is not None:
            ids, mask, *_ = tensors_of(part, run.device)
            run.encode = compiled(run.network.encoder, ids, mask, bf16=run.bf16)
    except MachineError as error:
        if setting == "on":
            raise
        report(f"{error.message} Training goes on without.")
    finally:
        saved.restore_random(run.device, random)


def _train(
    run: TrainingRun,
    folder: Path,
    report: Report,
    progress: Progress,
    *,
    on_step: OnStep | None,
    on_look: OnLook | None,
) -> None:
    config = run.config
    steps_an_epoch = run.total // config.epochs
    look_every = config.validation_every or steps_an_epoch
    refresh_every = max(1, steps_an_epoch // _REFRESHES)
    started, tickets = time.perf_counter(), 0
    run.network.train()
    while not run.ended():
        epoch, within = divmod(run.step, steps_an_epoch)
        for rows in _batches(run, epoch)[within:]:
            if run.step and run.step % refresh_every == 0:
                refresh_texts(run)
                give_back_memory()
            run.unread.append(advance(run, batch_of(run.data.learned, rows)))
            tickets += len(rows)
            look = run.step % look_every == 0 or run.step == run.total
            checkpoint = run.step % config.checkpoint_every == 0 or run.step == run.total
            if look or checkpoint or run.device.type != "cuda" or run.step % _READ_EVERY == 0:
                _read_losses(run)
            progress(run.step, run.total, run.loss)
            if on_step is not None:
                rate = max(group["lr"] for group in run.optimiser.param_groups)
                on_step(run.step, run.total, {"loss": run.loss, "rate": rate})
            if look:
                _look(run, folder, report, tickets / (time.perf_counter() - started))
                if on_look is not None:
                    on_look(run.history[-1])
            if checkpoint or run.stopped:
                _checkpoint(run, folder)
            if run.ended():
                break


def _batches(run: TrainingRun, epoch: int) -> list[NDArray[np.int64]]:
    config = run.config
    return training_order(run.data.learned.tokens.lengths, config.batch_size, seed=config.seed, epoch=epoch)


def _read_losses(run: TrainingRun) -> None:
    """Bring the losses of the last steps from the device. Raises InputError when one is no number: no weight comes back
    from that, and a checkpoint would keep it."""
    for loss in torch.stack(run.unread).tolist():
        if not math.isfinite(loss):
            raise InputError(
                f"the loss is {loss} by step {run.step} of {run.total}.",
                hint="Lower learning_rate and head_learning_rate; `triage debug` looks at the inputs.",
            )
        run.loss, run.loss_sum, run.loss_steps = loss, run.loss_sum + loss, run.loss_steps + 1
    run.unread.clear()


def _look(run: TrainingRun, folder: Path, report: Report, tickets_per_second: float) -> None:
    """Judge the network as it is, and keep it when it is the best so far."""
    entry: dict[str, Any] = {"step": run.step, "epoch": run.step * run.config.epochs / run.total}
    entry["loss"] = run.loss_sum / max(1, run.loss_steps)
    run.loss_sum, run.loss_steps = 0.0, 0
    refresh_texts(run)  # so that what is judged, and perhaps kept, is what will be served
    if len(run.data.validation):
        entry |= validate(
            run.network, run.data.validation, batch_size=run.config.batch_size, bf16=run.bf16, workers=run.workers
        )
        run.looks_since_best += 1
        if entry["validation_mrr"] > run.best:
            run.best, run.looks_since_best = entry["validation_mrr"], 0
            if run.workers.first:
                saved.write_checkpoint(folder / saved.BEST, saved.learned_state(run.network), {"step": run.step})
        run.stopped = run.looks_since_best >= run.config.patience
    run.history.append(entry)
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in entry.items() if name != "step")
    report(f"Step {run.step} of {run.total}: {figures}, {tickets_per_second:.0f} tickets/s.")
    log.info("step %d, %s, %.1f tickets/s", run.step, figures, tickets_per_second)


def _checkpoint(run: TrainingRun, folder: Path) -> None:
    if not run.workers.first:
        return
    tensors = {
        **{f"network/{name}": tensor for name, tensor in saved.learned_state(run.network).items()},
        **saved.optimiser_state(run.network, run.optimiser),
        **saved.random_state(run.device),
        "template_texts": run.template_texts,
    }
    progress = {name: getattr(run, name) for name in _PROGRESS} | {"seconds": run.spent()}
    saved.write_checkpoint(folder / saved.CHECKPOINT, tensors, progress)


def _clear(folder: Path) -> None:
    """Both go: a checkpoint that stayed would later be gone on from, with the best weights of this training."""
    for path in (folder / saved.CHECKPOINT, folder / saved.BEST):
        if path.exists():
            path.unlink()


def _resume(run: TrainingRun, folder: Path, report: Report) -> None:
    found = saved.read_checkpoint(folder / saved.CHECKPOINT)
    if found is None or found.progress.get("fingerprint") != run.fingerprint:
        if found is not None:
            report("A checkpoint of other data or settings is there; training starts from the beginning.")
        return
    prefix = "network/"
    state = {name.removeprefix(prefix): tensor for name, tensor in found.tensors.items() if name.startswith(prefix)}
    run.network.load_state_dict(state, strict=False)
    saved.restore_optimiser(run.network, run.optimiser, found.tensors)
    saved.restore_random(run.device, found.tensors)
    run.template_texts = found.tensors["template_texts"].to(run.device)
    for name in _PROGRESS:
        setattr(run, name, found.progress.get(name, getattr(run, name)))
    report(f"Going on from step {run.step} of {run.total}.")
