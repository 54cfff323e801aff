"""One step on the longest batch before thousands of them: shapes, kinds of numbers, finite results, seconds, memory."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.batches import Batch, batch_of
from models.config import VECTOR_SIZE, TrainConfig
from models.diagnosis.findings import Finding
from models.machine import memory_mb, peak_mb
from models.network import NetworkOutput
from models.training.data import TrainingData
from models.training.run import TrainingRun, start_run, take_step, tensors_of

Start = Callable[[TrainingData, TrainConfig], TrainingRun]  # `start_run`; a test gives one that is broken
_CHECK = "a step runs on the longest batch"
_PARTS = ("parameters", "gradients", "optimiser", "activations")  # of the memory
_INPUTS = {
    **dict.fromkeys(("input_ids", "attention_mask", "categories", "node", "template"), np.int64),
    **dict.fromkeys(("numbers", "missing"), np.float32),
}


def dry_run(
    data: TrainingData, config: TrainConfig, *, start: Start = start_run, memory_mb: float | None = None
) -> Finding:
    """Two steps on the longest texts, then one look: inputs and outputs of the right shape and kind, all finite, within
    `memory_mb` (None: what the device has)."""
    run = start(data, config)
    batch = batch_of(data.train, np.argsort(-data.train.tokens.lengths, kind="stable")[: config.batch_size])
    if wrong := _wrong_inputs(batch):
        return Finding(check=_CHECK, passed=False, detail=f"{wrong}.", advice="Mend what makes this array.")
    run.network.train()
    try:
        take_step(run, batch)  # the first step also allocates
        saved = _Saved(run.network.parameters())
        started = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(saved.keep, _itself):
            loss = take_step(run, batch)
        seconds = time.perf_counter() - started
        run.network.eval()
        with torch.no_grad():
            output = run.network(*tensors_of(batch, run.device))
    except torch.OutOfMemoryError as error:
        return Finding(
            check=_CHECK,
            passed=False,
            detail=f"The device has no more memory: {str(error).splitlines()[0]}",
            advice="Lower batch_size, max_tokens or trainable_layers.",
        )
    memory = _memory(run, saved.bytes)
    available = memory_mb if memory_mb is not None else _available_mb(run.device)
    figures = {
        **memory,
        "available_mb": available,
        "seconds_a_step": seconds,
        "longest_seconds": seconds * run.total,
        "parameters": float(sum(part.numel() for part in run.network.parameters())),
        "trainable_parameters": float(sum(part.numel() for part in run.network.parameters() if part.requires_grad)),
    }
    wrong, advice = _wrong_outputs(run, batch, output, loss)
    if not wrong and memory["memory_mb"] > available:
        wrong, advice = "more memory than there is", "Lower batch_size, max_tokens or trainable_layers."
    detail = _in_words(run, batch, output, figures) + (f" Wrong: {wrong}." if wrong else "")
    return Finding(check=_CHECK, passed=not wrong, detail=detail, advice=advice, figures=figures)


class _Saved:
    """Adds up the memory that the forward pass keeps for the backward one: the activations, each storage once."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self._seen = {parameter.untyped_storage().data_ptr() for parameter in parameters}
        self.bytes = 0

    def keep(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.bytes += storage.nbytes()
        return tensor


def _itself(tensor: Tensor) -> Tensor:
    return tensor


def _memory(run: TrainingRun, activations: int) -> dict[str, float]:
    """MB of each part, and the most that was held."""
    parameters = list(run.network.parameters())
    state = [part for entry in run.optimiser.state.values() for part in entry.values() if isinstance(part, Tensor)]
    gradients = [part.grad for part in parameters if part.grad is not None]
    return {
        "parameters_mb": _megabytes(parameters),
        "gradients_mb": _megabytes(gradients),
        "optimiser_mb": _megabytes(state),
        "activations_mb": activations / 1e6,
        "memory_mb": _peak_mb(run.device),
    }


def _megabytes(tensors: Iterable[Tensor]) -> float:
    return sum(part.numel() * part.element_size() for part in tensors) / 1e6


def _peak_mb(device: torch.device) -> float:
    """Most memory held so far: of the GPU, or of this process with its libraries."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    return peak_mb()


def _available_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory) / 1e6
    return memory_mb()


def _wrong_inputs(batch: Batch) -> str:
    """The first array of the batch that is not what the network reads, in words; "" when all are."""
    for name, kind in _INPUTS.items():
        array = getattr(batch, name)
        if array.dtype != kind:
            return f"{name} is {array.dtype}, expected {np.dtype(kind)}"
        if len(array) != len(batch.rows):
            return f"{name} has {len(array)} rows, expected {len(batch.rows)}"
        if not np.isfinite(array).all():
            return f"{name} has values that are not finite"
    return ""


def _wrong_outputs(run: TrainingRun, batch: Batch, output: NetworkOutput, loss: float) -> tuple[str, str]:
    """What is wrong with the step's results and what to do, in words; empty when nothing is."""
    rows, tokens = batch.input_ids.shape
    expected = NetworkOutput(*((rows, n) for n in (VECTOR_SIZE, len(run.network.index.ids), VECTOR_SIZE, tokens)))  # type: ignore[arg-type]  # shapes in the places of tensors
    for name, part in output._asdict().items():
        if tuple(part.shape) != getattr(expected, name) or part.dtype != torch.float32:
            return f"{name} is {_shape(part)}, expected {getattr(expected, name)} float32", "Mend the network."
    if strange := {str(part.dtype) for part in run.network.parameters()} - {"torch.float32"}:
        return f"parameters are {', '.join(sorted(strange))}, expected float32", "Load the encoder in float32."
    if not math.isfinite(loss) or not all(bool(part.isfinite().all()) for part in output):
        return "loss or outputs are not finite", "Lower learning_rate, or set precision to fp32."
    return "", ""


def _in_words(run: TrainingRun, batch: Batch, output: NetworkOutput, figures: dict[str, float]) -> str:
    fields = (field.name for field in dataclasses.fields(batch) if field.name in _INPUTS)
    inputs = ", ".join(f"{name} {_shape(getattr(batch, name))}" for name in fields)
    outputs = ", ".join(f"{name} {_shape(part)}" for name, part in output._asdict().items())
    parts = ", ".join(f"{name} {figures[f'{name}_mb']:.0f}" for name in _PARTS)
    return (
        f"In: {inputs}. Out: {outputs}. MB: {parts}; at most {figures['memory_mb']:.0f} of "
        f"{figures['available_mb']:.0f} held. {run.total} steps of at most {figures['seconds_a_step']:.2f} s."
    )


def _shape(array: Any) -> str:
    return f"{tuple(array.shape)} {str(array.dtype).removeprefix('torch.')}"
