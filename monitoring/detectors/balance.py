"""Does the reference, weighted, look like the current tickets? What must hold before anything is read from weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Doubles = NDArray[np.float64]

AXES = 8  # of the embeddings, those along which tickets differ most
_LEVEL = 0.01  # over all signs together (Bonferroni)
MATTERS = 0.2  # standard deviations; what is smaller is a trifle that any large window shows


@dataclass(frozen=True, slots=True)
class Signs:
    """Numbers of each ticket by which two windows are held against each other: (n, k) and (m, k), named."""

    names: tuple[str, ...]
    reference: Doubles
    current: Doubles


def signs_of(
    numbers: Mapping[str, tuple[NDArray[Any], NDArray[Any]]], embeddings: tuple[NDArray[Any], NDArray[Any]]
) -> Signs:
    """Named numbers of both windows, (n,) and (m,) each, and the main axes of their embeddings (n, d) and (m, d)."""
    both = np.concatenate(embeddings).astype(np.float64)
    both -= both.mean(axis=0)
    axes = np.linalg.eigh(both.T @ both)[1][:, ::-1][:, :AXES]
    projected = both @ axes
    size = len(embeddings[0])
    return Signs(
        names=(*numbers, *(f"embedding axis {place + 1}" for place in range(projected.shape[1]))),
        reference=np.column_stack([*(pair[0] for pair in numbers.values()), projected[:size]]).astype(np.float64),
        current=np.column_stack([*(pair[1] for pair in numbers.values()), projected[size:]]).astype(np.float64),
    )


def unbalanced(signs: Signs, weights: Doubles, *, matters: float = MATTERS) -> str:
    """What surely still differs, by `matters` standard deviations, once the reference is weighted by (n,); or nothing.

    Weighted means are compared with the spread that the weights leave them: a z-test, and the standardised difference
    that is the custom where samples are weighted to match (Austin 2009, https://doi.org/10.1002/sim.3697).
    """
    if weights.sum() <= 0:
        return "no reference ticket has weight"
    reference, current, shares = signs.reference, signs.current, weights / weights.sum()
    mean = shares @ reference
    deviation = (reference - mean) ** 2
    variance = (shares**2) @ deviation + current.var(axis=0, ddof=1) / len(current)
    spread = np.sqrt((shares @ deviation + current.var(axis=0, ddof=1)) / 2)
    gap = np.abs(current.mean(axis=0) - mean)
    p_values = 2 * norm.sf(gap / np.sqrt(np.maximum(variance, 1e-24))) * len(signs.names)
    moved = np.where((p_values <= _LEVEL) & (spread > 0), gap / np.maximum(spread, 1e-12), 0)
    worst = int(np.argmax(moved))
    if moved[worst] < matters:
        return ""
    return f"{signs.names[worst]} differs by {moved[worst]:.2f} standard deviations"
