"""The figures a model is judged by: accuracy per level, hits@k and MRR of contact types and templates. Pure numpy.

A ticket whose true contact type is an inner node of the tree counts on the levels it has, and not among the leaves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.confidence.reliability import expected_calibration_error
from models.tree_index import TreeIndex


def contact_type_quality(index: TreeIndex, leaves: NDArray[np.float32], nodes: NDArray[np.int64]) -> dict[str, float]:
    """Shares of tickets: leaves (n, L) probabilities in leaf order, nodes (n,) true nodes. {} without tickets."""
    if not len(nodes):
        return {}
    quality = {
        f"accuracy_level_{level + 1}": share for level, share in enumerate(_level_accuracies(index, leaves, nodes))
    }
    truth = index.columns_of(nodes)
    known = truth >= 0
    if known.any():
        ranks = true_ranks(leaves[known], truth[known])
        quality |= {
            "accuracy": float(np.mean(ranks == 1)),
            "hits@3": float(np.mean(ranks <= 3)),
            "hits@5": float(np.mean(ranks <= 5)),
            "mrr": float(np.mean(1.0 / ranks)),
            "ece": expected_calibration_error(leaves[known].max(axis=1), ranks == 1),
        }
    return {"tickets": float(len(nodes)), **quality}


def template_quality(order: NDArray[np.int64], templates: NDArray[np.int64]) -> dict[str, float]:
    """order (n, T) template columns best first, templates (n,) the one sent or -1. {} when none was sent."""
    sent = templates >= 0
    if not sent.any():
        return {}
    ranks = 1 + np.argmax(order[sent] == templates[sent, None], axis=1)
    return {
        "template_tickets": float(sent.sum()),
        "template_hits@1": float(np.mean(ranks == 1)),
        "template_hits@3": float(np.mean(ranks <= 3)),
        "template_mrr": float(np.mean(1.0 / ranks)),
    }


def true_ranks(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, m) scores -> (n,) rank of the true column, 1 is best; among equals the earlier column stands first.

    A score that is no number counts against the true column: a model that broke must not look perfect.
    """
    own = scores[np.arange(len(truth)), truth][:, None]
    earlier = np.arange(scores.shape[1])[None, :] < truth[:, None]
    ranks: NDArray[np.int64] = 1 + (~(scores <= own)).sum(axis=1) + ((scores == own) & earlier).sum(axis=1)
    return ranks


def best_ranks(index: TreeIndex, leaves: NDArray[np.float32], nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, L) probabilities in leaf order -> (n,) rank of the likeliest leaf at or under each node (n,), 1 is best.

    L + 1 where there is no such leaf: the node is inactive or unknown (-1).
    """
    return ranks_of(leaves, (index.ancestors[nodes][:, index.leaves] > 0) & (nodes >= 0)[:, None])


def ranks_of(leaves: NDArray[np.float32], right: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n, L) probabilities -> (n,) rank of the likeliest of the leaves that are `right` (n, L); L + 1 where none is."""
    ranks = true_ranks(leaves, np.where(right, leaves, -1.0).argmax(axis=1))
    return np.where(right.any(axis=1), ranks, leaves.shape[1] + 1)


def class_report(index: TreeIndex, leaves: NDArray[np.float32], nodes: NDArray[np.int64]) -> list[dict[str, Any]]:
    """One row a leaf that occurs: tickets, precision, recall, the leaf it is most often taken for."""
    truth = index.columns_of(nodes)
    known = truth >= 0
    truth, predicted = truth[known], leaves[known].argmax(axis=1) if known.any() else np.zeros(0, np.int64)
    confusion = np.zeros((len(index.leaves), len(index.leaves)), np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    rows = []
    for column, leaf in enumerate(index.leaves):
        right, tickets, claimed = (
            int(n) for n in (confusion[column, column], confusion[column].sum(), confusion[:, column].sum())
        )
        if tickets or claimed:
            others = confusion[column].copy()
            others[column] = 0
            rows.append(
                {
                    "contact_type": index.ids[leaf],
                    "tickets": tickets,
                    "precision": right / claimed if claimed else None,
                    "recall": right / tickets if tickets else None,
                    "taken_for": index.ids[index.leaves[others.argmax()]] if others.any() else None,
                }
            )
    return rows


def _level_accuracies(index: TreeIndex, leaves: NDArray[np.float32], nodes: NDArray[np.int64]) -> list[float]:
    """One a level. Each level chooses its likeliest node; a leaf that ends higher up stands for itself further down."""
    shares = []
    for level in range(index.levels):
        above = index.node_at(index.leaves, level)
        choices, column = np.unique(above, return_inverse=True)
        summed = np.stack([leaves[:, column == choice].sum(axis=1) for choice in range(len(choices))], axis=1)
        deep_enough = (nodes >= 0) & ((index.paths[nodes, level] >= 0) | (index.columns_of(nodes) >= 0))
        if deep_enough.any():
            truth = index.node_at(nodes[deep_enough], level)
            shares.append(float(np.mean(choices[summed[deep_enough].argmax(axis=1)] == truth)))
    return shares
