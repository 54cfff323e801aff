"""Contact types without a training ticket: known by their name and description alone, and too modest for it.

A network learns to answer with types it has tickets of, and a type that has none stands behind them even on its own
tickets. What to add to its logit cannot be learned from tickets that are not there yet; how loud it may get without
drowning others can: it is raised until it has a small share of the probability on validation tickets of other types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.confidence.logistic import sigmoid
from models.confidence.temperature import LEAST_SUPPORT
from models.tree_index import TreeIndex

Doubles = NDArray[np.float64]

_TOP, _NOWHERE = -1, -2  # places of a walk down the tree that are no node
HEARD = 0.01  # mean probability that all newcomers together may have on tickets of other types
_HALVINGS = 40


def without_tickets(index: TreeIndex, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(N,) the active nodes that no training ticket is about or passes through; nodes (n,) are the tickets', -1 for a
    ticket without a label."""
    passed = index.ancestors[:, np.unique(nodes[nodes >= 0])].any(axis=1)
    return np.asarray(index.active & ~passed, np.bool_)


def fit_welcome(
    index: TreeIndex, node_logits: NDArray[np.float32], temperatures: tuple[float, ...], new: NDArray[np.bool_]
) -> Mapping[str, float]:
    """Each new node -> what to add to its logit, 0 or more, from the logits (n, N) of validation tickets that are about
    none of them; `new` (N,) are nodes without a training ticket.

    A newcomer is compared with its siblings that are none, on the tickets whose likeliest path leads there.
    """
    if not new.any():
        return {}
    scale = np.array(temperatures)[index.level]
    tempered = node_logits.astype(np.float64) / scale
    rivals = np.where(index.active & ~new, tempered, -np.inf)
    reached = _reached(index, rivals)
    found = {}
    for node in np.flatnonzero(new).tolist():
        there = reached[:, index.group[node]] & np.isfinite(rivals[:, index.group == index.group[node]]).any(axis=1)
        behind = _log_sum(rivals[there][:, index.group == index.group[node]]) - tempered[there, node]
        # Its mean probability over all the tickets, those that are sent elsewhere included.
        allowed = HEARD / new.sum() * len(node_logits)
        raised = _raised(behind, allowed) if len(behind) >= LEAST_SUPPORT else 0.0
        found[index.ids[node]] = round(raised * float(scale[node]), 4)
    return found


def _raised(behind: Doubles, allowed: float) -> float:
    """How much may be added to log-odds that are `behind` (n,) below zero before their probabilities sum to more than
    `allowed`; at most what makes the typical one even."""
    low, high = 0.0, max(float(np.median(behind)), 0.0)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if sigmoid(middle - behind).sum() <= allowed else (low, middle)
    return low


def _log_sum(scores: Doubles) -> Doubles:
    peak = scores.max(axis=1, initial=-np.inf)
    summed: Doubles = peak + np.log(np.exp(scores - peak[:, None]).sum(axis=1))
    return summed


def welcomed(index: TreeIndex, node_logits: NDArray[np.float32], welcome: Mapping[str, float]) -> NDArray[np.float32]:
    """(n, N) logits with what newcomers are given."""
    if not welcome:
        return node_logits
    given = np.array([welcome.get(node, 0.0) for node in index.ids], np.float32)
    raised: NDArray[np.float32] = node_logits + given
    return raised


def silent_leaves(index: TreeIndex, welcome: Mapping[str, float]) -> NDArray[np.bool_] | None:
    """(L,) leaves that are newcomers or under one, which no training ticket can vote for; None when there are none."""
    if not welcome:
        return None
    new = np.array([node in welcome for node in index.ids])
    return np.asarray(index.leaves_under[new].any(axis=0), np.bool_)


def _reached(index: TreeIndex, tempered: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """(n, G) the sibling groups that a walk from the top, always on to the likeliest node, comes to."""
    reached = np.zeros((len(tempered), len(index.groups)), bool)
    at = np.full(len(tempered), _TOP)
    groups = [np.flatnonzero(index.group == group) for group in range(len(index.groups))]
    for members in sorted(groups, key=lambda nodes: int(index.level[nodes[0]])):
        level = index.level[members[0]]
        above = index.paths[members[0], level - 1] if level else _TOP
        rows = np.flatnonzero(at == above)
        reached[rows, index.group[members[0]]] = True
        best = tempered[np.ix_(rows, members)]
        at[rows] = np.where(np.isfinite(best.max(axis=1)), members[best.argmax(axis=1)], _NOWHERE)
    return reached
