"""Rung 6: COTA v2 with parallel convolutions over learned word embeddings (after Kim 2014)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.baselines import Baseline, RungData
from models.baselines.word_network import DROPOUT, WORD_WIDTH, fit_network
from models.config import VECTOR_SIZE

_WIDTHS = (2, 3, 4, 5)  # words under each convolution
_FILTERS = 96  # of each width


def fit(data: RungData) -> Baseline:
    """Reads text and attributes."""
    torch.manual_seed(data.config.seed)
    return fit_network(data, Convolutions())


class Convolutions(nn.Module):
    """Word vectors (batch, T, WORD_WIDTH) to (batch, 384): where in the text each filter answers most."""

    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.ModuleList(nn.Conv1d(WORD_WIDTH, _FILTERS, width, padding=width - 1) for width in _WIDTHS)
        self.dropout = nn.Dropout(DROPOUT)
        self.output = nn.Linear(len(_WIDTHS) * _FILTERS, VECTOR_SIZE)

    def forward(self, embedded: Tensor, mask: Tensor) -> Tensor:
        """Padding is zero, and filters reach over both ends, so that a text of one word is read like any other."""
        channels = (embedded * mask.unsqueeze(2).to(embedded.dtype)).transpose(1, 2)
        lengths = mask.sum(dim=1, keepdim=True)
        strongest = []
        for width, each in zip(_WIDTHS, self.filters, strict=True):
            answers = torch.relu(each(channels))  # (batch, filters, T + width - 1)
            # A place counts where the filter lies on a word, not only on padding.
            touches = torch.arange(answers.shape[2], device=mask.device) < lengths + width - 1
            strongest.append((answers * touches.unsqueeze(1)).amax(dim=2))
        vector: Tensor = self.output(self.dropout(torch.cat(strongest, dim=1)))
        return vector
