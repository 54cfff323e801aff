"""Of many shares of tickets, the one that moved most: what a few words or one contact type do hardly shows in a test of
all of them together.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from monitoring.detectors.sample import LEAST, seen, too_small, unknown
from tickets.monitor_log import DetectorResult

_OFTEN = 5  # tickets of both windows together; what fewer have cannot be told from chance
_SHOWN = 5


def largest_move(
    name: str, before: Counter[str], after: Counter[str], sizes: tuple[int, int], *, least: int = LEAST
) -> DetectorResult:
    """What tickets have, with the number of tickets that have each, of `sizes` tickets before and now -> Cohen's h of
    the share that moved most. `moved` names it and the next, `compared` is how many there were; `unknown` when all are
    rare.

    Cohen's h is the difference of the arcsines of two shares, which chance moves equally far for rare and for common
    ones (Anscombe 1948, with his correction for small counts). p by Fisher's exact test, times the number of shares
    (Bonferroni).
    """
    if small := too_small(name, *sizes, least):
        return small
    details: dict[str, object] = {"reference": sizes[0], "current": sizes[1]}
    kinds = sorted(kind for kind in before.keys() | after.keys() if before[kind] + after[kind] >= _OFTEN)
    if not kinds:
        return unknown(name, f"nothing stands in {_OFTEN} tickets", details)
    having = np.array([[before[kind], after[kind]] for kind in kinds], dtype=np.float64)
    tickets = np.array(sizes, dtype=np.float64)
    arcsines = 2 * np.arcsin(np.sqrt((having + 0.375) / (tickets + 0.75)))
    effects = np.abs(np.diff(arcsines, axis=1)[:, 0])
    order = np.argsort(-effects, kind="stable")[:_SHOWN]
    p_value = min(1.0, _fisher(having[order[0]], tickets) * len(kinds))
    shares = having / tickets
    moved = [
        {"name": kinds[place], "reference": float(shares[place, 0]), "current": float(shares[place, 1])}
        for place in order.tolist()
    ]
    return seen(name, float(effects[order[0]]), p_value, {**details, "compared": len(kinds), "moved": moved})


def _fisher(having: NDArray[np.float64], tickets: NDArray[np.float64]) -> float:
    """(2,) tickets that have it, of (2,) tickets -> the p-value, either way: twice the smaller tail."""
    drawn = (tickets.sum(), having.sum(), tickets[1])
    tail = min(hypergeom.sf(having[1] - 1, *drawn), hypergeom.cdf(having[1], *drawn))
    return min(1.0, 2 * float(tail))
