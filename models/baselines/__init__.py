"""The rungs of the ladder that the model is measured against, one file each.

Every rung is one function of the same signature: `fit(texts, leaves, leaf_count, *, seed) -> Baseline`, with texts
(n,) and leaves (n,) columns 0..leaf_count-1, two or more different ones among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Baseline:
    """`predict` gives a (n, leaf_count) float32 probability of each leaf; `megabytes` is what it keeps in memory."""

    predict: Callable[[Sequence[str]], NDArray[np.float32]]
    megabytes: float
