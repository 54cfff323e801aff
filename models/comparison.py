"""Whether two models that answered the same tickets differ. Pure numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 10_000
_SEED = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of two shares, and its interval."""

    value: float
    low: float
    high: float

    @property
    def proven(self) -> bool:
        """The interval leaves out zero."""
        return not self.low <= 0.0 <= self.high


def difference(one: NDArray[np.bool_], other: NDArray[np.bool_], *, confidence: float = 0.95) -> Difference:
    """The share of `one` less that of `other` on the same n tickets, with a paired bootstrap interval over tickets.

    A resample is told by how many of its tickets only one of the two got right, so it is drawn as such counts.
    """
    count = len(one)
    if not count:
        return Difference(math.nan, -1.0, 1.0)
    won, lost = int((one & ~other).sum()), int((other & ~one).sum())
    shares = [won / count, lost / count, (count - won - lost) / count]
    drawn = np.random.default_rng(_SEED).multinomial(count, shares, size=_RESAMPLES)
    low, high = np.percentile((drawn[:, 0] - drawn[:, 1]) / count, [50 - 50 * confidence, 50 + 50 * confidence])
    return Difference((won - lost) / count, float(low), float(high))
