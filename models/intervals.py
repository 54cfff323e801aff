"""How sure a counted share is: Wilson's interval, which stays between 0 and 1 and holds for few tickets too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `tickets`; `value` is None of no tickets, when the interval says nothing either (0 to 1)."""

    hits: int
    tickets: int
    value: float | None
    low: float
    high: float

    def __str__(self) -> str:
        return "" if self.value is None else f"{self.value:.1%} ({self.low:.1%} to {self.high:.1%})"


def share_of(hits: int, tickets: int) -> Share:
    """The share with its 95 % interval (Wilson 1927, "Probable Inference")."""
    if tickets == 0:
        return Share(0, 0, None, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    value = hits / tickets
    center = (value + z**2 / (2 * tickets)) / (1 + z**2 / tickets)
    reach = z / (1 + z**2 / tickets) * math.sqrt(value * (1 - value) / tickets + z**2 / (4 * tickets**2))
    return Share(hits, tickets, value, max(0.0, center - reach), min(1.0, center + reach))
