"""Permutation p-values that stop early when nothing is going on (after Besag and Clifford 1991)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 1999  # smallest p-value 0.0005: small enough to pass a correction over a dozen detectors
_CHUNK = 200  # permutations drawn at once
_CLEARLY_NOTHING = 0.1  # a p-value that no limit of ours comes near


def permutation_p(
    observed: float, draw: Callable[[int], NDArray[np.float64]], permutations: int = PERMUTATIONS
) -> tuple[float, int]:
    """The one-sided p-value of `observed` (large is extreme) and how many permutations it took.

    `draw(count)` returns the statistic under `count` fresh permutations. (exceedances + 1) / (permutations + 1) is
    valid at any size; stopping early only ever happens at p-values above 0.1.
    """
    done = extreme = 0
    while done < permutations:
        count = min(_CHUNK, permutations - done)
        # A permutation that differs from what was observed only in the last bits of a float is a tie, and counts.
        extreme += int(np.sum(draw(count) >= observed - 1e-12))
        done += count
        if (extreme + 1) / (done + 1) > _CLEARLY_NOTHING:
            break
    return (extreme + 1) / (done + 1), done
