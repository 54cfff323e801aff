"""Checkpoints: all that an interrupted training needs to go on as if it had not been. Safetensors and JSON."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.network import TriageNetwork
from tickets.errors import MachineError, WorkspaceError

CHECKPOINT, BEST = "checkpoint.safetensors", "best.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what AdamW remembers of a parameter


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: `tensors` by name, `progress` as JSON data."""

    tensors: Mapping[str, Tensor]
    progress: Mapping[str, Any]


def learned_state(network: TriageNetwork) -> dict[str, Tensor]:
    """Everything training may have changed; frozen layers are read again from where they came."""
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    return {name: tensor.detach() for name, tensor in network.state_dict().items() if name not in frozen}


def optimiser_state(network: TriageNetwork, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's moments, flat, named after their parameters."""
    return {
        f"{moment}/{name}": optimiser.state[parameter][moment]
        for name, parameter in network.named_parameters()
        if parameter in optimiser.state
        for moment in _MOMENTS
    }


def restore_optimiser(network: TriageNetwork, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    for name, parameter in network.named_parameters():
        moments = {moment: tensors[f"{moment}/{name}"] for moment in _MOMENTS if f"{moment}/{name}" in tensors}
        if moments:
            optimiser.state[parameter] = {key: value.to(parameter.device) for key, value in moments.items()}


def random_state(device: torch.device) -> dict[str, Tensor]:
    state = {"random/cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["random/cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random(device: torch.device, tensors: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(tensors["random/cpu"])
    if device.type == "cuda" and "random/cuda" in tensors:
        torch.cuda.set_rng_state(tensors["random/cuda"], device)


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
    """Write aside, then rename. Raises MachineError when the disk refuses."""
    aside = path.with_name(f".{path.name}")
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(plain, aside, metadata={"progress": json.dumps(dict(progress))})
        aside.rename(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise MachineError(
            f"cannot write the checkpoint {path}: {error}.", hint="Free some space and run again."
        ) from error


def read_checkpoint(path: Path) -> Checkpoint | None:
    """None when there is none. Raises WorkspaceError when the file is damaged."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            progress = json.loads((file.metadata() or {})["progress"])
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, progress)  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise WorkspaceError(
            f"the checkpoint {path} is damaged: {error}.",
            hint="Delete its folder; training then starts from the beginning.",
        ) from error
