"""One training in several processes, on one machine or many: `torchrun --nproc-per-node 4 -m triage train`.

Each process holds the whole network and takes its share of every batch; before a step the gradients of all are added
up. The batches, their order and the weights are those of one process; only sums are rounded otherwise, and dropout
differs. Accelerate brings the processes together and gives each its device.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.device import choose_device
from tickets.errors import MachineError, WorkspaceError

if TYPE_CHECKING:
    from accelerate import Accelerator  # type: ignore[import-untyped]  # it ships no types
    from torch.distributed import ProcessGroup

_BUCKET_BYTES = 32_000_000  # summed at once: few messages, while the next bucket is copied


@dataclass(frozen=True)
class Workers:
    """The processes of one training, as this one, number `rank` of `count`, sees them."""

    rank: int = 0
    count: int = 1
    accelerator: Accelerator | None = None
    hosts: ProcessGroup | None = None  # for what lies in main memory, whatever the devices

    @property
    def first(self) -> bool:
        """Whether this process reports, writes files and judges what comes of the training."""
        return self.rank == 0

    def share(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """This process's part: every count-th, so that tickets sorted by length make shares of like length. May be
        empty."""
        return places[self.rank :: self.count]

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes. All are of one dtype and on one device."""
        if self.count == 1 or not tensors:
            return
        group = self.hosts if tensors[0].device.type == "cpu" else None
        with _clear_errors(self):
            under_way = []
            for bucket in _buckets(tensors):
                flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
                under_way.append((bucket, flat, torch.distributed.all_reduce(flat, group=group, async_op=True)))
            for bucket, flat, sent in under_way:
                sent.wait()
                parts = torch.split(flat, [tensor.numel() for tensor in bucket])
                for tensor, total in zip(bucket, parts, strict=True):
                    tensor.copy_(total.view_as(tensor))

    def agree(self, what: str, text: str) -> None:
        """Raises WorkspaceError when `text` is not the same in every process."""
        if self.accelerator is None:
            return
        own = int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
        with _clear_errors(self):
            found = self.accelerator.gather(torch.tensor([own], device=self.accelerator.device)).tolist()
        other = next((rank for rank, number in enumerate(found) if number != found[0]), None)
        if other is not None:
            raise WorkspaceError(
                f"process {other} of this training has another {what} than process 0.",
                hint="All processes must see the same workspace folder, settings and installation.",
            )

    def leave(self) -> None:
        """Part from the others, once there is nothing left to do together."""
        if self.accelerator is not None:
            self.accelerator.end_training()


ALONE = Workers()


def meet(device: str) -> Workers:
    """Join the other processes that torchrun started; this process alone when it was started otherwise.

    `device` as in TrainConfig; a CUDA device is one a process. Raises InputError, MachineError.
    """
    chosen = choose_device(device)
    if not torch.distributed.is_torchelastic_launched():
        return ALONE
    from accelerate import Accelerator

    try:
        accelerator = Accelerator(cpu=chosen.type != "cuda")
        hosts = torch.distributed.new_group(backend="gloo")
    except (RuntimeError, ValueError) as error:
        raise MachineError(
            f"this process cannot join the others of its training: {str(error).splitlines()[0]}",
            hint="Start no more processes on a machine than it has GPUs, and look at torchrun's --rdzv options.",
        ) from error
    return Workers(accelerator.process_index, accelerator.num_processes, accelerator, hosts)


def own_random_numbers(workers: Workers, seed: int, step: int) -> None:
    """Give every process but the first random numbers of its own for dropout: the first has those of a training in one
    process."""
    if not workers.first:
        torch.manual_seed(int(np.random.SeedSequence([seed, workers.rank, step]).generate_state(1)[0]))


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    bucket: list[Tensor] = []
    held = 0
    for tensor in tensors:
        bucket.append(tensor)
        held += tensor.numel() * tensor.element_size()
        if held >= _BUCKET_BYTES:
            yield bucket
            bucket, held = [], 0
    if bucket:
        yield bucket


@contextlib.contextmanager
def _clear_errors(workers: Workers) -> Iterator[None]:
    """A lost connection, in one line: what the other process said comes before it."""
    try:
        yield
    except RuntimeError as error:
        raise MachineError(
            f"process {workers.rank} of {workers.count} lost the others of its training.",
            hint="Look at what they said first; the last checkpoint is kept, and the same command goes on from it.",
        ) from error
