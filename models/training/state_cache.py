"""Frozen layers' output for every training ticket, computed once and kept between epochs.

With two of six layers learning, an epoch from here costs about half of one from the text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.batches import TicketArrays, Tokens, evaluation_batches
from models.device import encoder_precision
from models.encoder import TextEncoder
from tickets.progress import Report


@dataclass(frozen=True)
class StateCache:
    """States after the first `frozen` layers, float16 in main memory, one row a token, in the order of `tokens`."""

    frozen: int
    tokens: Tokens
    states: Tensor  # (all tokens, width) float16

    def padded(self, rows: NDArray[np.int64], device: torch.device, *, width: int) -> Tensor:
        """(rows, `width` tokens, width) float32 on the device; zeros after a text's end."""
        lengths = self.tokens.lengths[rows]
        columns = np.arange(width)
        mask = columns < lengths[:, None]
        where = torch.from_numpy((self.tokens.offsets[rows][:, None] + columns)[mask])
        pinned = device.type == "cuda"
        padded = torch.zeros(*mask.shape, self.states.shape[1], dtype=self.states.dtype, pin_memory=pinned)
        padded[torch.from_numpy(mask)] = self.states[where]
        return padded.to(device, non_blocking=pinned).float()


@torch.no_grad()
def cache_states(
    encoder: TextEncoder, tickets: TicketArrays, *, most_bytes: float, bf16: bool, report: Report
) -> StateCache | None:
    """Run the frozen layers over all tickets. None when nothing is frozen, when the states would take more than
    `most_bytes`, or when the architecture cannot be split; training then runs the whole encoder each time."""
    tokens, frozen = tickets.tokens, encoder.frozen
    needed = len(tokens.values) * encoder.width * torch.float16.itemsize
    if not frozen or needed > most_bytes or not encoder.can_split(frozen):
        return None
    report(f"Reading {len(tickets):,} tickets once through {frozen} frozen layers ({needed / 1e6:,.0f} MB kept).")
    states = torch.empty(len(tokens.values), encoder.width, dtype=torch.float16)
    encoder.eval()
    for batch in reversed(list(evaluation_batches(tickets, 64))):  # what the longest took serves the shorter
        ids, mask = (torch.from_numpy(array).to(encoder.device) for array in (batch.input_ids, batch.attention_mask))
        with encoder_precision(encoder.device, bf16=bf16):
            output = encoder.lower(frozen, ids, mask)[mask.bool()].to("cpu", torch.float16)
        lengths = tokens.lengths[batch.rows]
        starts = np.repeat(tokens.offsets[batch.rows], lengths)
        within = np.arange(len(starts)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        states[torch.from_numpy(starts + within)] = output
    return StateCache(frozen, tokens, states)
