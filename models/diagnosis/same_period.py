"""Tickets of the training period that a model may be judged on: held out with their near-duplicates and their
customers, as the split does between periods."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from models.batches import TicketArrays
from tickets.errors import MissingStepError, TrainingDataError
from tickets.tables import SPLITS, TICKETS, Table
from tickets.workspace import Workspace

_SHARE, _MOST = 0.15, 2_000  # of the training tickets; more would only narrow the interval


def by_cluster(workspace: Workspace, ticket_ids: Sequence[str]) -> NDArray[np.int64]:
    """(n,) a number for each cluster of near-duplicates, as SPLITS tells it. Raises MissingStepError."""
    cluster_of = _told(workspace, SPLITS, "cluster", ticket_ids)
    return _numbered([cluster_of.get(ticket_id, ticket_id) for ticket_id in ticket_ids])


def by_cluster_and_customer(workspace: Workspace, ticket_ids: Sequence[str]) -> NDArray[np.int64]:
    """(n,) a number for each group of tickets that near-duplicates or customers link; by near-duplicates alone where
    the workspace knows no customers. Raises MissingStepError."""
    clusters = by_cluster(workspace, ticket_ids)
    try:
        customer_of = _told(workspace, TICKETS, "customer_key", ticket_ids)
    except MissingStepError:
        return clusters
    return linked(clusters, _numbered([customer_of.get(ticket_id, (ticket_id,)) for ticket_id in ticket_ids]))


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
    tickets: TicketArrays, groups: NDArray[np.int64], *, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (to learn from, held out): whole groups by chance, until a share of the tickets is held out.

    Raises TrainingDataError when no group is small enough, or too few tickets are left.
    """
    wanted = min(_MOST, int(len(tickets) * _SHARE))
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


def _told(workspace: Workspace, table: Table, column: str, ticket_ids: Sequence[str]) -> dict[str, str]:
    """What the table says of each of the tickets; those of which it says nothing are missing."""
    wanted = pc.field("ticket_id").isin(pa.array(ticket_ids, pa.string()))
    rows = workspace.read(table, ["ticket_id", column], where=wanted)
    pairs = zip(rows["ticket_id"].to_pylist(), rows[column].to_pylist(), strict=True)
    return {ticket_id: value for ticket_id, value in pairs if value is not None}


def _numbered(names: Sequence[Hashable]) -> NDArray[np.int64]:
    place: dict[Hashable, int] = {}
    return np.array([place.setdefault(name, len(place)) for name in names], np.int64)
