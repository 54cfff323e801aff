"""Where training runs and in which precision, chosen from what the machine has."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from tickets.errors import InputError, MachineError


def choose_device(name: str) -> torch.device:
    """`auto` takes a CUDA device, else Apple's, else the CPU. Raises MachineError when the named one is not there,
    InputError when it is no device."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"{name!r} is no device.", hint="Devices: auto, cpu, cuda, cuda:1, mps.") from error
    there = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if (device.index or 0) >= there.get(device.type, 0):
        raise MachineError(
            f"the device {name} was asked for; this machine has {there.get(device.type, 0)} of that kind.",
            hint="Use --device auto or cpu, or install a torch built for this GPU.",
        )
    return device


def chooses_bf16(precision: str, device: torch.device) -> bool:
    """Whether the encoder computes in bfloat16 for this setting: `auto` does on CUDA devices and on CPUs whose matrix
    units have it (Intel AMX; without such units bfloat16 is slower than float32)."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # The oldest torch that we take cannot tell.
    capabilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(capabilities.get("amx_bf16"))


@contextlib.contextmanager
def encoder_precision(device: torch.device, *, bf16: bool) -> Iterator[None]:
    """Autocast for the encoder; the heads always compute in float32."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16):
        yield


def allow_fast_products(device: torch.device, *, bf16: bool) -> None:
    """Where the encoder computes in bfloat16, let an NVIDIA GPU round the inputs of the heads' products to TF32."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if bf16 else "highest")


def sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """The array as a tensor on the device; to a GPU it travels while the program goes on."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def give_back_memory() -> None:
    """Give the system what was freed. Batches of every length leave holes that glibc would keep: a gigabyte, after a
    few dozen steps on long tickets."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)
