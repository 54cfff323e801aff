"""Calibration from validation: all that a release promises of its probabilities, found on what the served graph says.

Each step is fitted on the outcome of those before. The same tickets serve them all, and chose the weights that training
kept: every map has few degrees of freedom, and cross-validation says how far the last one may bend.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.calibrate import Calibration, Targets, leaf_probabilities
from models.confidence.answer_sets import fit_answer_sets
from models.confidence.limits import NEVER, Judged, limit_for_abstaining, limits_by_type
from models.confidence.newcomers import fit_welcome, silent_leaves, welcomed, without_tickets
from models.confidence.reliability import fit_bend
from models.confidence.scope import CLOSEST, energies, fit_curve, fit_weights, signs
from models.confidence.temperature import fit_temperatures
from models.confidence.votes import fit_votes
from models.inference import Outputs
from models.neighbours import Neighbours, distance
from models.tree_index import TreeIndex, node_probabilities


@dataclass(frozen=True, slots=True)
class _Seen:
    """Validation tickets as the served graph and the nearest training tickets see them."""

    index: TreeIndex
    logits: NDArray[np.float32]  # (n, N)
    columns: NDArray[np.int64]  # (n, k) leaves of the nearest training tickets
    cosines: NDArray[np.float32]  # (n, k)

    def leaves(self, calibration: Calibration) -> NDArray[np.float64]:
        return leaf_probabilities(self.index, self.logits, self.columns, self.cosines, calibration)


def fit_calibration(
    outputs: Outputs,
    index: TreeIndex,
    nodes: NDArray[np.int64],
    neighbours: Neighbours,
    targets: Targets,
    *,
    trained: NDArray[np.int64] | None = None,
) -> Calibration:
    """From the raw outputs of validation tickets and their true nodes (n,); an inner node is right for any leaf under
    it. With few tickets, steps that they cannot carry are left out.

    `trained` are the training tickets' nodes: types without any are welcomed, as loud as tickets of other types allow.
    None: none is new.
    """
    rows, cosines = neighbours.search(outputs.vectors)
    columns = neighbours.leaf_columns(index, rows)
    seen = _Seen(index, outputs.node_logits, columns, cosines)
    right = index.leaves_under[nodes] > 0

    found = _plain(fit_temperatures(_candidates(seen), index.paths[nodes], index.group))
    if trained is not None:
        new = without_tickets(index, trained)
        of_others = ~index.ancestors[new][:, nodes].any(axis=0)
        welcome = fit_welcome(index, seen.logits[of_others], found.temperatures, new)
        found = dataclasses.replace(found, welcome=welcome)
    silent = silent_leaves(index, found.welcome)
    found = dataclasses.replace(found, votes=fit_votes(seen.leaves(found), columns, cosines, right, silent=silent))
    first = _judged(index, seen.leaves(found), right)
    found = dataclasses.replace(found, bend=fit_bend(first.probability, first.right))
    leaves = seen.leaves(found)
    judged = _judged(index, leaves, right)
    return dataclasses.replace(
        found,
        sets=fit_answer_sets(index, node_probabilities(index, leaves.astype(np.float32)), nodes, targets.coverage),
        **_limits(index, judged, targets),
        **_scope(seen, found, judged.probability, targets),
    )


def _candidates(seen: _Seen) -> NDArray[np.float32]:
    """The logits, -inf where a node is inactive."""
    return np.where(seen.index.active, seen.logits, -np.inf).astype(np.float32)


def _judged(index: TreeIndex, leaves: NDArray[np.float64], right: NDArray[np.bool_]) -> Judged:
    top, rows = leaves.argmax(axis=1), np.arange(len(leaves))
    return Judged(index.leaves[top], leaves[rows, top], right[rows, top])


def _plain(temperatures: tuple[float, ...]) -> Calibration:
    return Calibration(
        temperatures=temperatures, high=NEVER, medium=NEVER, abstain_below=0.0, scope_center=1.0, scope_scale=1.0
    )


def _limits(index: TreeIndex, judged: Judged, targets: Targets) -> dict[str, Any]:
    high, medium, by_type = limits_by_type(index, judged, targets.high, targets.medium)
    abstain = limit_for_abstaining(judged.probability, judged.right, targets.abstain)
    # Nobody abstains on a ticket in the band medium, of whichever type.
    abstain = min(abstain, medium, *(own for _, own in by_type.values()))
    return {"high": high, "medium": medium, "abstain_below": abstain, "type_limits": by_type}


def _scope(seen: _Seen, calibration: Calibration, first: NDArray[np.float64], targets: Targets) -> dict[str, Any]:
    """Weights and curve of the out-of-scope score; first (n,) are the first leaves' probabilities."""
    near = distance(seen.cosines, CLOSEST)
    heard = welcomed(seen.index, seen.logits, calibration.welcome)
    energy = energies(seen.index, heard, calibration.temperatures)
    found = signs(near, energy, first)
    weights = fit_weights(found)
    center, scale = fit_curve(weights.strangeness(found), targets.in_scope)
    return {"scope": weights, "scope_center": center, "scope_scale": scale}
