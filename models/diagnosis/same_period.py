"""Tickets of the training period that a model may be judged on: held out with their near-duplicates and their
customers, as the split does between periods."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.batches import TicketArrays
from tickets.errors import MissingStepError, TrainingDataError
from tickets.tables import SPLITS, TICKETS
from tickets.workspace import Workspace

_SHARE, _MOST = 0.15, 2_000  # of the training tickets; more would only narrow the interval


def by_wording(tickets: TicketArrays) -> NDArray[np.int64]:
    """(n,) a number for each text; case, spacing and digits make no difference."""
    plain = ["".join("0" if c.isdigit() else c for c in text.casefold()) for text in tickets.rows["text"].to_pylist()]
    _, number = np.unique([" ".join(text.split()) for text in plain], return_inverse=True)
    return np.asarray(number, np.int64)


def by_cluster(workspace: Workspace, tickets: TicketArrays) -> NDArray[np.int64]:
    """(n,) a number for each cluster of near-duplicates, as SPLITS tells it. Raises MissingStepError."""
    ids = pc.unique(tickets.rows["ticket_id"])
    placed = workspace.read(SPLITS, ["ticket_id", "cluster"], where=pc.field("ticket_id").isin(ids))
    cluster_of = dict(zip(placed["ticket_id"].to_pylist(), placed["cluster"].to_pylist(), strict=True))
    return _numbered([cluster_of.get(ticket_id, ticket_id) for ticket_id in tickets.ticket_ids])


def by_cluster_and_customer(workspace: Workspace, tickets: TicketArrays) -> NDArray[np.int64]:
    """(n,) a number for each group of tickets that near-duplicates or customers link. By wording where the workspace
    tells neither."""
    try:
        clusters = by_cluster(workspace, tickets)
        ids = pc.unique(tickets.rows["ticket_id"])
        known = workspace.read(TICKETS, ["ticket_id", "customer_key"], where=pc.field("ticket_id").isin(ids))
    except MissingStepError:
        return by_wording(tickets)
    customer_of = {
        ticket_id: key
        for ticket_id, key in zip(known["ticket_id"].to_pylist(), known["customer_key"].to_pylist(), strict=True)
        if key is not None
    }
    customers = [customer_of.get(ticket_id, (ticket_id,)) for ticket_id in tickets.ticket_ids]
    return linked(clusters, _numbered(customers))


def linked(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) a number for each set of rows that share a number in one of the two, directly or through others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first = int(one.max(initial=-1)) + 1
    size = first + int(other.max(initial=-1)) + 1
    links = coo_array((np.ones(len(one), np.int8), (one, other + first)), shape=(size, size))
    _, component = connected_components(links, directed=False)
    return np.asarray(component[one], np.int64)


def hold_out(
    tickets: TicketArrays, groups: NDArray[np.int64], *, seed: int, share: float = _SHARE, most: int = _MOST
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (to learn from, held out): whole groups by chance, until a share of the tickets is held out.

    Raises TrainingDataError when no group is small enough, or too few tickets are left.
    """
    wanted = min(most, int(len(tickets) * share))
    numbers, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(numbers))
    order = order[sizes[order] <= wanted]  # a form letter that is half of the history cannot be held out
    taken = order[np.cumsum(sizes[order]) <= wanted]
    held = np.isin(groups, numbers[taken])
    if not held.any() or len(np.unique(tickets.node[~held])) < 2:
        raise TrainingDataError(
            f"no slice of the {len(tickets):,} training tickets can be held out.",
            hint="Import more tickets with outcomes.",
        )
    return np.flatnonzero(~held), np.flatnonzero(held)


def _numbered(names: list[object]) -> NDArray[np.int64]:
    place: dict[object, int] = {}
    return np.array([place.setdefault(name, len(place)) for name in names], np.int64)
