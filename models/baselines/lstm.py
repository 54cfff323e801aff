"""Rung 7: COTA v2 with a bidirectional LSTM over learned word embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from models.baselines import Baseline, RungData
from models.baselines.word_network import DROPOUT, WORD_WIDTH, fit_network
from models.config import VECTOR_SIZE

_HIDDEN = 128  # a direction


def fit(data: RungData) -> Baseline:
    """Reads text and attributes."""
    torch.manual_seed(data.config.seed)
    return fit_network(data, BothWays())


class BothWays(nn.Module):
    """Word vectors (batch, T, WORD_WIDTH) to (batch, 384): the strongest and the mean state of each place."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(WORD_WIDTH, _HIDDEN, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.output = nn.Linear(4 * _HIDDEN, VECTOR_SIZE)

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Padding is not read."""
        lengths = mask.sum(dim=1)
        packed = pack_padded_sequence(embedded, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=mask.shape[1])
        read = mask.unsqueeze(2).to(states.dtype)
        mean = (states * read).sum(dim=1) / lengths.unsqueeze(1)
        strongest = states.masked_fill(read == 0, -1.0).amax(dim=1)  # no state is below -1
        vector: Tensor = self.output(self.dropout(torch.cat([strongest, mean], dim=1)))
        return vector
