"""How many contact types it takes to hold the right one with a promised probability: conformal prediction.

Split conformal with adaptive sets (Romano, Sesia and Candès 2020; Angelopoulos et al. 2021): types are taken in, the
likeliest first, until those before hold enough. How much is enough is found on validation tickets, apart for tickets of
like confidence (Vovk et al. 2005, "Mondrian"): one figure for all would give sure tickets too much and unsure ones too
little. Where a set would be too large to be read, an inner node of the tree may hold the answer instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.confidence.temperature import LEAST_SUPPORT
from models.tree_index import TreeIndex

MANY = 5  # more contact types than this tell an agent nothing
_GROUP = 100  # validation tickets, at least, of like confidence
_STEPS = np.linspace(0.5, 0.95, 10)  # probabilities of an inner node that are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSets:
    """What was found on validation. Group g has tickets whose first probability is below `edges[g]`, and not below the
    edge before; the last group has no edge."""

    coverage: float = 0.9
    edges: tuple[float, ...] = ()
    enough: tuple[float, ...] = (0.9,)  # a group's sets end with the type before which types hold more than this
    enough_under: float = 1.0  # tickets with too large a set: an inner node must be likelier than this to be named


def set_sizes(leaves: NDArray[np.floating[Any]], by: AnswerSets) -> NDArray[np.int64]:
    """(n,) how many of the likeliest leaves the set of each ticket holds, from leaf probabilities (n, L)."""
    ranked = -np.sort(-leaves, axis=1).astype(np.float64)
    before = np.cumsum(ranked, axis=1) - ranked
    enough = np.array(by.enough)[_groups(ranked[:, 0], by.edges)]
    sizes: NDArray[np.int64] = (before <= enough[:, None]).sum(axis=1)
    return np.maximum(sizes, 1)


def nodes_above(
    index: TreeIndex, probabilities: NDArray[np.float32], predicted: NDArray[np.int64], enough: float
) -> NDArray[np.int64]:
    """(n,) the lowest inner node over each predicted leaf that is likelier than `enough`, -1 where none is.

    probabilities (n, N) of nodes, predicted (n,) the likeliest leaves.
    """
    found = np.full(len(predicted), -1, np.int64)
    rows = np.arange(len(predicted))
    for level in range(index.levels):
        node = index.paths[predicted, level]
        inner = (node >= 0) & (node != predicted)
        found = np.where(inner & (probabilities[rows, node] > enough), node, found)
    return found


def fit_answer_sets(
    index: TreeIndex, probabilities: NDArray[np.float32], nodes: NDArray[np.int64], coverage: float
) -> AnswerSets:
    """From calibrated node probabilities (n, N) and the true nodes (n,) of validation tickets.

    Under a true inner node any leaf is right. With few tickets the probabilities are taken at their word.
    """
    leaves = probabilities[:, index.leaves].astype(np.float64)
    right = index.leaves_under[nodes] > 0
    known = right.any(axis=1)
    leaves, right = leaves[known], right[known]
    order = np.argsort(-leaves, axis=1, kind="stable")
    ranked = np.take_along_axis(leaves, order, axis=1)
    first_right = np.take_along_axis(right, order, axis=1).argmax(axis=1)
    before = (np.cumsum(ranked, axis=1) - ranked)[np.arange(len(ranked)), first_right]
    edges = _edges(ranked[:, 0], coverage) if len(ranked) else ()
    group = _groups(ranked[:, 0], edges) if len(ranked) else np.zeros(0, np.int64)
    enough = tuple(
        conformal_quantile(before[group == one], coverage, otherwise=coverage) for one in range(len(edges) + 1)
    )
    sets = AnswerSets(coverage=coverage, edges=edges, enough=enough)
    large = np.flatnonzero(known)[set_sizes(leaves, sets) > MANY]
    return AnswerSets(
        coverage=coverage,
        edges=edges,
        enough=enough,
        enough_under=_enough_under(index, probabilities[large], nodes[large], coverage),
    )


def conformal_quantile(scores: NDArray[np.float64], coverage: float, *, otherwise: float) -> float:
    """The score that a new ticket's stays at or under with probability `coverage`; `otherwise` where validation has too
    few tickets to say."""
    place = math.ceil((len(scores) + 1) * coverage)
    if len(scores) < LEAST_SUPPORT or place > len(scores):
        return otherwise
    return float(np.sort(scores)[place - 1])


def _edges(first: NDArray[np.float64], coverage: float) -> tuple[float, ...]:
    """Tickets whose first type alone is likely enough are one group; the others form up to three of equal size."""
    unsure = np.sort(first[first < coverage])
    parts = min(3, len(unsure) // _GROUP)
    if not parts:
        return ()
    inner = [float(unsure[len(unsure) * part // parts]) for part in range(1, parts)]
    return (*inner, coverage) if (first >= coverage).sum() >= LEAST_SUPPORT else tuple(inner)


def _groups(first: NDArray[np.float64], edges: tuple[float, ...]) -> NDArray[np.int64]:
    return np.searchsorted(np.array(edges), first, side="right").astype(np.int64)


def _enough_under(
    index: TreeIndex, probabilities: NDArray[np.float32], nodes: NDArray[np.int64], coverage: float
) -> float:
    """The least probability of a node from which on those that are named hold the answer `coverage` of the time."""
    predicted = index.leaves[probabilities[:, index.leaves].argmax(axis=1)]
    for enough in _STEPS.tolist():
        named = nodes_above(index, probabilities, predicted, enough)
        said = named >= 0
        if said.sum() < LEAST_SUPPORT:
            break
        if np.mean(index.ancestors[named[said], nodes[said]]) >= coverage:
            return float(enough)
    return 1.0
