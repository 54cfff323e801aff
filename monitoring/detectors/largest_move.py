"""Of many shares of tickets, the one that moved most: what a few words or one contact type do hardly shows in a test of
all of them together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

_OFTEN = 5  # tickets of both windows together; what is rarer cannot be told from chance
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class LargestMove:
    """`effect` is Cohen's h of the share that moved most, `moved` names it and the next; `names` were compared."""

    effect: float
    p_value: float
    moved: list[dict[str, object]]
    names: int


def largest_move(before: Counter[str], after: Counter[str], tickets_before: int, tickets: int) -> LargestMove | None:
    """Names with the number of tickets that have each, and how many tickets there are; None when every name is rare.

    Cohen's h is the difference of the arcsines of two shares, which chance moves equally far for rare and for common
    names (Anscombe 1948, with his correction for small counts). p by Fisher's exact test, times the number of names
    (Bonferroni).
    """
    names = sorted(name for name in before.keys() | after.keys() if before[name] + after[name] >= _OFTEN)
    if not names:
        return None
    having = np.array([[before[name], after[name]] for name in names], dtype=np.float64)
    sizes = np.array([tickets_before, tickets], dtype=np.float64)
    arcsines = 2 * np.arcsin(np.sqrt((having + 0.375) / (sizes + 0.75)))
    moved = np.abs(np.diff(arcsines, axis=1)[:, 0])
    order = np.argsort(-moved, kind="stable")[:_SHOWN]
    shares = having / sizes
    return LargestMove(
        effect=float(moved[order[0]]),
        p_value=min(1.0, float(_fisher(having[order[:1]], sizes)[0]) * len(names)),
        moved=[
            {"name": names[place], "reference": float(shares[place, 0]), "current": float(shares[place, 1])}
            for place in order.tolist()
        ],
        names=len(names),
    )


def _fisher(having: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, 2) tickets that have each name, (2,) tickets -> (k,) p-values, either way: twice the smaller tail."""
    drawn = (sizes.sum(), having.sum(axis=1), sizes[1])
    tails = np.minimum(hypergeom.sf(having[:, 1] - 1, *drawn), hypergeom.cdf(having[:, 1], *drawn))
    doubled: NDArray[np.float64] = np.minimum(2 * tails, 1.0)
    return doubled
