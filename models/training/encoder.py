"""The encoder while it trains: the same function, in parts that cost less to train; afterwards it is as it came.

- Of the word vectors only those of words that stand in the training tickets learn. The others would get no gradient
  anyway; without them a step of MiniLM writes a tenth of the 12 million numbers. (AdamW would shrink them a little, by
  weight decay alone; now they stay as they were pretrained.)
- On the CPU, dropout takes four decisions from each random number instead of one.
- On a GPU, attention is one fused kernel. Eager attention is as fast on the CPU, and ONNX export needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from subprocess import SubprocessError
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import embedding

from models.device import encoder_precision
from models.encoder import TextEncoder
from tickets.errors import MachineError

_DECISIONS = 4  # 16 bits each, in a random number of 64
_STEPS = 2**16
_WORTHWHILE = 0.9  # share of the vocabulary that is seen, up to which it is split


class SeenWords(nn.Module):
    """Word vectors of which the `seen` ones (seen, width) learn and the `rest` stay."""

    place: Tensor

    def __init__(self, whole: nn.Embedding, ids: Tensor) -> None:
        super().__init__()
        weight = whole.weight.detach()
        is_seen = torch.zeros(len(weight), dtype=torch.bool, device=weight.device)
        is_seen[ids] = True
        if whole.padding_idx is not None:
            is_seen[whole.padding_idx] = False  # padding has no gradient
        self.padding_idx = whole.padding_idx
        after_seen = (~is_seen).cumsum(0) - 1 + is_seen.sum()
        self.register_buffer("place", torch.where(is_seen, is_seen.cumsum(0) - 1, after_seen), persistent=False)
        self.seen = nn.Parameter(weight[is_seen].clone())
        self.rest = nn.Parameter(weight[~is_seen].clone(), requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        """(batch, T) int64 -> (batch, T, width)."""
        place, count = self.place[ids], len(self.seen)
        learned = embedding(place.clamp(max=count - 1), self.seen)
        fixed = embedding((place - count).clamp(min=0), self.rest)
        return torch.where((place < count).unsqueeze(-1), learned, fixed)

    def whole(self) -> nn.Embedding:
        """The vocabulary in one piece again, each word in its own row."""
        weight = torch.cat([self.seen.detach(), self.rest.detach()])[self.place]
        return nn.Embedding(len(weight), weight.shape[1], self.padding_idx, _weight=weight)


class SharedDropout(nn.Module):
    """Dropout for the CPU: `p` to the nearest 1/65536, each 64 random bits decide on four numbers."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self._dropped = round(p * _STEPS)

    def forward(self, states: Tensor) -> Tensor:
        if not self.training or self._dropped == 0:
            return states
        random = torch.empty(-(-states.numel() // _DECISIONS), dtype=torch.int64).random_(-(2**63), None)
        decisions = random.view(torch.int16)[: states.numel()].view(states.shape)
        kept = decisions >= self._dropped - _STEPS // 2
        return states * kept.to(states.dtype).mul_(_STEPS / (_STEPS - self._dropped))


def prepare_encoder(encoder: TextEncoder, token_ids: NDArray[np.int32], device: torch.device) -> None:
    """Make the encoder cheap to train on tickets of these tokens. To be done before its optimiser is made."""
    if device.type == "cpu":
        _replace(encoder.model, nn.Dropout, lambda dropout: SharedDropout(dropout.p))
    if device.type == "cuda":
        _attend(encoder.model, "sdpa")
    ids = np.unique(token_ids)

    def split(whole: Any) -> Any:
        plain = whole.max_norm is None and not whole.scale_grad_by_freq and not whole.sparse
        worthwhile = 0 < len(ids) <= _WORTHWHILE * whole.num_embeddings
        if not (plain and worthwhile and whole.weight.requires_grad):
            return whole
        return SeenWords(whole, torch.from_numpy(ids.astype(np.int64)).to(whole.weight.device))

    find: Callable[[], nn.Module] | None = getattr(encoder.model, "get_input_embeddings", None)
    words = find() if find is not None else None
    _replace(encoder.model, nn.Embedding, lambda table: split(table) if table is words else table)


def restore_encoder(encoder: TextEncoder) -> None:
    """Undo `prepare_encoder`; what was learned stays."""
    _replace(encoder.model, SharedDropout, lambda dropout: nn.Dropout(dropout.p))
    _replace(encoder.model, SeenWords, lambda words: words.whole())
    _attend(encoder.model, "eager")


def compiled(
    encoder: TextEncoder, input_ids: Tensor, attention_mask: Tensor, *, bf16: bool
) -> Callable[[Tensor, Tensor], Tensor]:
    """The encoder's forward pass through torch.compile, for batches of any shape; tried on one, there and back, which
    takes up to a minute. Raises MachineError where it cannot be compiled."""
    call: Callable[[Tensor, Tensor], Tensor] = torch.compile(encoder, dynamic=True)
    was_training = encoder.training
    encoder.train()
    try:
        with encoder_precision(encoder.device, bf16=bf16):
            states = call(input_ids, attention_mask)
        states.float().sum().backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
    except (RuntimeError, OSError, ImportError, SubprocessError) as error:
        raise MachineError(
            f"torch.compile does not work here: {next(iter(str(error).splitlines()), type(error).__name__)}",
            hint="Set compile to off, or install a C++ compiler (for a GPU, Triton too).",
        ) from error
    finally:
        encoder.zero_grad(set_to_none=True)
        encoder.train(was_training)
    return call


def _replace(model: nn.Module, kind: type[nn.Module], make: Callable[[Any], nn.Module]) -> None:
    """Put what `make` returns in the place of each module of exactly this class."""
    for holder, name, child in list(_children(model)):
        if type(child) is kind:
            made = make(child)
            made.train(child.training)
            setattr(holder, name, made)


def _children(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    for holder in model.modules():
        for name, child in holder.named_children():
            yield holder, name, child


def _attend(model: nn.Module, implementation: str) -> None:
    """Choose how attention is computed; an architecture that has but one way keeps it."""
    choose = getattr(model, "set_attn_implementation", None)
    if choose is None:
        return
    try:
        choose(implementation)
    except (ValueError, ImportError, NotImplementedError):
        return
