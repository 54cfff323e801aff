"""How strange a ticket is: a score from 0 to 1 that tells tickets of no known contact type from the others.

Three signs: the distance to the nearest training tickets (Sun et al. 2022, "Out-of-Distribution Detection with Deep
Nearest Neighbors"); the energy of the logits, high where no leaf fits, whatever its rivals do (Liu et al. 2020,
"Energy-based Out-of-distribution Detection"); and doubt, the log-odds against the first contact type. Each is counted
in standard deviations of the validation tickets, all alike: weights learned from validation tickets whose own type was
hidden did better on such tickets and worse on truly new types.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.confidence.logistic import log_odds
from models.confidence.temperature import LEAST_SUPPORT
from models.tree_index import TreeIndex

Doubles = NDArray[np.float64]

LIMIT = 0.5  # scores above this abstain; the score is scaled so that the limit is always here
CLOSEST = 1  # training tickets that the distance is taken from: a single near one shows that the kind is known
_FLAT = 1e-3  # the spread of a sign, and the scale of the score, when all tickets are alike


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeWeights:
    """What strangeness is made of. The default is that of releases of format 1: distance alone."""

    closest: int = 10  # the distance is the mean over so many nearest training tickets
    distance: float = 1.0
    energy: float = 0.0
    doubt: float = 0.0

    def strangeness(self, signs: Doubles) -> Doubles:
        """(n, 3) distance, energy, doubt -> (n,)."""
        summed: Doubles = signs @ np.array([self.distance, self.energy, self.doubt])
        return summed


def energies(index: TreeIndex, node_logits: NDArray[np.float32], temperatures: tuple[float, ...]) -> Doubles:
    """(n,) minus the log of the summed exponentials of the leaves' scores; a leaf's score is the sum of the tempered
    logits down its path."""
    tempered = node_logits / np.array(temperatures, np.float32)[index.level]
    scores = (tempered @ index.leaves_under).astype(np.float64)
    peak = scores.max(axis=1, initial=-np.inf)
    summed: Doubles = -(peak + np.log(np.exp(scores - peak[:, None]).sum(axis=1)))
    return summed


def signs(distance: NDArray[np.float32], energy: Doubles, first: Doubles) -> Doubles:
    """(n, 3) from each ticket's distance, energy and first probability."""
    return np.stack([distance.astype(np.float64), energy, -log_odds(first)], axis=1)


def fit_weights(seen: Doubles) -> ScopeWeights:
    """From the signs (n, 3) of validation tickets. With too few the distance decides alone."""
    if len(seen) < LEAST_SUPPORT:
        return ScopeWeights(closest=CLOSEST)
    distance, energy, doubt = (1.0 / np.maximum(seen.std(axis=0), _FLAT)).tolist()
    return ScopeWeights(closest=CLOSEST, distance=distance, energy=energy, doubt=doubt)


def fit_curve(strangeness: Doubles, in_scope: float) -> tuple[float, float]:
    """Center and scale of the score: `in_scope` of the validation tickets stay under LIMIT, and the median ticket
    scores sigmoid(-4) = 0.02."""
    middle, edge = np.quantile(strangeness, [0.5, in_scope]) if len(strangeness) else (0.5, 1.0)
    return float(edge), max(float(edge - middle) / 4.0, _FLAT)
