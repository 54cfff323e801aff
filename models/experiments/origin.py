"""Where a run comes from: its code, its machine, its data."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from models.machine import cores, memory_mb
from models.training.data import TrainingData, hash_of
from tickets.contact_types import tree_to_text

_LIBRARIES = (
    *("torch", "transformers", "tokenizers", "numpy", "scikit-learn", "onnxruntime", "accelerate", "optuna", "mlflow"),
    "ticket-triage",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What must be the same for a run to give the same figures again."""

    data_hash: str
    validation_hash: str  # of the tickets it is judged on; figures of runs that share it can be compared
    tickets: Mapping[str, int]  # split -> how many
    git_hash: str | None  # None outside a checkout
    git_dirty: bool | None  # whether tracked files differed from that commit
    device: str
    device_name: str
    cores: int  # that this process may use
    memory_gb: float
    libraries: Mapping[str, str]  # name -> version, Python's among them

    def facts(self) -> dict[str, Any]:
        """All of it by name, flat."""
        inside = ("tickets", "libraries")
        return {
            **{name: value for name, value in dataclasses.asdict(self).items() if name not in inside},
            **{f"{split}_tickets": count for split, count in self.tickets.items()},
            **{f"version_{library}": version for library, version in self.libraries.items()},
        }


def origin_of(data: TrainingData, device: str) -> Origin:
    """`device` is the setting; what it means on this machine is what is kept. Raises MachineError, InputError."""
    from models.device import choose_device

    chosen = choose_device(device)
    splits = (("train", data.train), ("validation", data.validation), ("test", data.test))
    commit, dirty = git_state()
    return Origin(
        data_hash=hash_of(data),
        validation_hash=validation_hash(data),
        tickets={split: len(part) for split, part in splits},
        git_hash=commit,
        git_dirty=dirty,
        device=str(chosen),
        device_name=_device_name(chosen.type),
        cores=cores(),
        memory_gb=round(memory_mb() / 1000, 1),
        libraries=_versions(),
    )


def validation_hash(data: TrainingData) -> str:
    """SHA-256 of the validation tickets, what each is about, and the tree that this is told in."""
    digest = hashlib.sha256(tree_to_text(data.tree).encode())
    digest.update("\n".join(data.validation.ticket_ids).encode())
    digest.update(np.ascontiguousarray(data.validation.node).tobytes())
    return digest.hexdigest()


def git_state() -> tuple[str | None, bool | None]:
    """The commit this code was started from, and whether tracked files have changed since; (None, None) when it does
    not lie in a checkout."""
    commit = _git("rev-parse", "HEAD")
    if not commit:
        return None, None
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return commit, None if changed is None else bool(changed)


def _git(*arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(Path(__file__).parent), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _device_name(kind: str) -> str:
    if kind == "cuda":
        import torch

        return str(torch.cuda.get_device_name())
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
