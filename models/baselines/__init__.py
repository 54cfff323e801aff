"""The rungs of the ladder that the model is measured against, one file each.

Every rung is one function of one signature, `fit(data: RungData) -> Baseline`, and reads what the model reads:
`models.predictions.ModelInputs`. Which of them read attributes too stands in `models.ladder.rungs.LADDER`.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.attributes import AttributeSpec
from models.config import TrainConfig
from models.predictions import ModelInputs
from models.tree_index import TreeIndex
from tickets.contact_types import ContactTypeTree


@dataclass(frozen=True, slots=True, kw_only=True)
class RungData:
    """What a rung learns from: n training tickets that end in a leaf of the tree, of two or more different leaves.

    Leaves are numbered as in `index.leaves`. `config` tells the encoder, how much of a text is read, how many layers
    learn, the device and the seed.
    """

    inputs: ModelInputs
    leaf: NDArray[np.int64]  # (n,)
    validation: ModelInputs  # tickets that end in a leaf; may be none
    validation_leaf: NDArray[np.int64]
    tree: ContactTypeTree
    index: TreeIndex
    attributes: AttributeSpec  # fitted on the training tickets
    config: TrainConfig

    @property
    def leaf_count(self) -> int:
        return len(self.index.leaves)


@dataclass(frozen=True, slots=True)
class Baseline:
    """`predict` gives a (n, leaves) float32 probability of each leaf; `megabytes` is what it takes on disk."""

    predict: Callable[[ModelInputs], NDArray[np.float32]]
    megabytes: float
    readable: str = ""  # what was learned, where people can read it


def megabytes_of(*parts: object) -> float:
    """What plain Python, numpy and scikit-learn objects take as they would be written to disk. Nothing is kept."""
    return sum(len(pickle.dumps(part, protocol=5)) for part in parts) / 1e6


def least_documents(texts: Sequence[str]) -> int:
    """In how many texts a word must stand to be learned: two, or one where there are hardly any texts."""
    return 2 if len(texts) > 100 else 1


def spread(columns: NDArray[np.int64], shares: NDArray[np.floating], leaf_count: int) -> NDArray[np.float32]:
    """(n, m) probabilities of the leaves that were learned -> (n, leaf_count); the others get 0."""
    probabilities = np.zeros((len(shares), leaf_count), np.float32)
    probabilities[:, columns] = shares
    return probabilities
