"""Which tickets are worth a person's label: the unsure ones, a diverse set, and a random share that measures
honestly.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitoring.current import Logged
from monitoring.windows import Window
from tickets.label_queue import LabelRequest, Share


@dataclass(frozen=True, slots=True)
class Budget:
    """How many labels to ask of each kind."""

    unsure: int
    diverse: int
    random: int


def split_budget(total: int, *, unsure_share: float, diverse_share: float) -> Budget:
    """Shares in whole tickets, what is left over being random: 50 at one half and one quarter is 25, 12 and 13."""
    unsure, diverse = int(total * unsure_share), int(total * diverse_share)
    return Budget(unsure, diverse, total - unsure - diverse)


def choose(
    window: Window,
    logged: Sequence[Logged],
    *,
    budget: Budget,
    fresh: Set[str],
    queued: Set[str],
    answered: Set[str],
    seed: int,
) -> list[LabelRequest]:
    """Label requests for tickets of the window (`logged` in its order), no ticket twice, none that was queued before.

    The random share is drawn first and from all `fresh` tickets, those that no earlier night could choose, `answered`
    by agents or not: only so is the accuracy measured on it that of all tickets. (From older ones the earlier nights
    have taken the unsure; what they left would flatter the model.) The other shares skip answered tickets, whose
    contact type is known; what they cannot use goes to the random share, and what that cannot use to the unsure.
    Within each share the best come first, and priorities interleave the shares, so that a queue worked halfway has
    half of each.
    """
    free, known, new = (
        np.array([ticket_id in those for ticket_id in window.ticket_ids], dtype=np.bool_)
        for those in (set(window.ticket_ids) - queued, answered, fresh)
    )
    # Reckoned before the draw: how many are drawn must not depend on which ones come.
    unused = max(0, budget.unsure + budget.diverse - int(np.sum(free & ~known)))
    rng = np.random.default_rng(seed)
    by_chance = rng.permutation(np.flatnonzero(free & new))[: budget.random + unused]
    free[by_chance] = False
    free &= ~known
    spare = budget.random + unused - len(by_chance)
    unsure = _unsure(window, np.flatnonzero(free))[: budget.unsure + spare]
    free[unsure] = False
    diverse = _diverse(window.embeddings, np.flatnonzero(free), budget.diverse, taken=np.r_[by_chance, unsure], rng=rng)
    chosen: tuple[tuple[Share, NDArray[np.int64]], ...] = (
        ("random", by_chance),
        ("unsure", unsure),
        ("diverse", diverse),
    )
    return [
        LabelRequest(
            ticket=logged[row].ticket, share=share, priority=1 - place / len(rows), suggestion=logged[row].suggestion
        )
        for share, rows in chosen
        for place, row in enumerate(rows.tolist())
    ]


def _unsure(window: Window, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Least sure first: little probability for the first contact type, or far from all that was learned."""
    doubt = np.maximum(1 - window.probability[rows], window.out_of_scope[rows])
    return rows[np.argsort(-doubt, kind="stable")]


def _diverse(
    embeddings: NDArray[np.float32],
    rows: NDArray[np.int64],
    count: int,
    *,
    taken: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Greedy k-center (Sener and Savarese 2018, https://arxiv.org/abs/1708.00489): each next ticket is the one
    farthest from all that are chosen, the ones in `taken` among them."""
    count = min(count, len(rows))
    if count == 0:
        return np.zeros(0, np.int64)
    points = embeddings[rows].astype(np.float64)
    chosen: list[int] = []
    if len(taken):
        nearest = np.min(_distances(points, embeddings[taken].astype(np.float64)), axis=1)
    else:
        chosen = [int(rng.integers(len(rows)))]
        nearest = _distances(points, points[chosen])[:, 0]
    while len(chosen) < count:
        nearest[chosen] = -1
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, _distances(points, points[chosen[-1:]])[:, 0])
    return rows[np.array(chosen, dtype=np.int64)]


def _distances(points: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared Euclidean distances, (n, d) and (k, d) -> (n, k)."""
    squares: NDArray[np.float64] = (points**2).sum(axis=1)[:, None] + (centers**2).sum(axis=1) - 2 * points @ centers.T
    return squares
