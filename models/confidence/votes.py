"""What the nearest training tickets were about, mixed into the model's probabilities.

The search for similar tickets is paid for already, and its answer is a second opinion that fails on other tickets than
the network does (nearest neighbours beside a network: Papernot and McDaniel 2018; Khandelwal et al. 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.confidence.temperature import LEAST_SUPPORT

Doubles = NDArray[np.float64]

_SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)  # a network that knows less than its neighbours should be trained, not outvoted
_WIDTHS = (0.03, 0.1, 0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """How much the neighbours have to say."""

    share: float = 0.0  # of the probability that they deal out; 0: none
    width: float = 0.1  # a neighbour whose cosine is this much lower weighs e times less


def vote_shares(columns: NDArray[np.int64], cosines: NDArray[np.float32], leaves: int, width: float) -> Doubles:
    """(n, leaves) shares of the neighbours' weight for each leaf; a row of zeros where none has a leaf.

    columns and cosines (n, k): each neighbour's leaf (-1: it has none that is in use) and how close it is.
    """
    shares = np.zeros((len(columns), leaves))
    if not columns.size:
        return shares
    weights = np.exp((cosines - cosines.max(axis=1, keepdims=True)).astype(np.float64) / width) * (columns >= 0)
    total = weights.sum(axis=1, keepdims=True)
    np.add.at(shares, (np.arange(len(columns))[:, None], columns), weights / np.where(total > 0, total, 1.0))
    return shares


def with_votes(
    probabilities: Doubles,
    columns: NDArray[np.int64],
    cosines: NDArray[np.float32],
    by: Votes,
    *,
    silent: NDArray[np.bool_] | None = None,
) -> Doubles:
    """(n, L) leaf probabilities, the neighbours' say mixed in; rows without a vote stay as they are.

    `silent` (L,) are leaves that no ticket could vote for: they keep what they have.
    """
    if not by.share:
        return probabilities
    shares = vote_shares(columns, cosines, probabilities.shape[1], by.width)
    open_to_votes = probabilities if silent is None else np.where(silent, 0.0, probabilities)
    dealt = shares * open_to_votes.sum(axis=1, keepdims=True)
    mixed: Doubles = probabilities + by.share * (dealt - open_to_votes * (dealt.sum(axis=1, keepdims=True) > 0))
    return mixed


def fit_votes(
    probabilities: Doubles,
    columns: NDArray[np.int64],
    cosines: NDArray[np.float32],
    right: NDArray[np.bool_],
    *,
    silent: NDArray[np.bool_] | None = None,
) -> Votes:
    """The mixture that makes the right leaves likeliest; no votes is one of the choices.

    probabilities (n, L) without votes; right (n, L) the true leaf, or all leaves under a true inner node; `silent` as
    in `with_votes`.
    """
    if len(probabilities) < LEAST_SUPPORT:
        return Votes()
    tried = [Votes(), *(Votes(share=share, width=width) for width in _WIDTHS for share in _SHARES)]
    losses = [_loss(with_votes(probabilities, columns, cosines, one, silent=silent), right) for one in tried]
    return tried[int(np.argmin(losses))]


def _loss(probabilities: Doubles, right: NDArray[np.bool_]) -> float:
    return float(-np.log(np.maximum((probabilities * right).sum(axis=1), 1e-6)).mean())
