"""How often each contact type is asked about, then and now.

A history of years holds mixes that are long gone: products come and go, their share of the mail moves by the month. A
model that learns over all of it believes the average. Here training knows the mix of each ticket's own weeks and so
learns what speaks for a type beyond that (logit adjustment, Menon et al. 2021, with a prior that moves); serving starts
from the mix of the last weeks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.tree_index import TreeIndex

WINDOW_DAYS = 60  # around a ticket, or before the end: long enough for a stable mix, short enough to follow it
LEAST_TICKETS = 1_000  # a window reaches further where tickets are few
SMOOTHING = 20.0  # tickets, shared out among siblings as over all history: what is rare now is not impossible


@dataclass(frozen=True, slots=True)
class LabelMix:
    """Log share of each node among its active siblings, natural logarithm; inactive nodes have 0."""

    shares: NDArray[np.float32]  # (windows, N)
    row: NDArray[np.int64]  # (n,) the window of each training ticket
    now: NDArray[np.float32]  # (N,) of the last weeks


def label_mix(days: NDArray[np.int64], nodes: NDArray[np.int64], index: TreeIndex) -> LabelMix:
    """From the tickets' days (n,) since any epoch, and their nodes (n,), inner or leaf, -1 without a label: n > 0, in
    any order.

    A node that no ticket has is given the average share of its siblings: it is new, not rare.
    """
    unique, row = np.unique(days, return_inverse=True)
    counts = np.zeros((len(unique) + 1, len(index.ids)))
    labelled = nodes >= 0
    np.add.at(counts, (row[labelled] + 1, nodes[labelled]), 1.0)
    total = np.cumsum(counts @ index.ancestors.T, axis=0)  # tickets through each node before each day
    tickets = np.cumsum(np.concatenate([[0], np.bincount(row, weights=labelled, minlength=len(unique))]))
    seen = index.active & (total[-1] > 0)
    overall = _shares(total[-1], index, seen, None)
    windows = np.empty((len(unique), len(index.ids)), np.float32)
    for place, day in enumerate(unique):
        start, end = np.searchsorted(unique, [day - WINDOW_DAYS // 2, day + WINDOW_DAYS // 2 + 1])
        start, end = _widened(tickets, int(start), int(end))
        windows[place] = np.log(_shares(total[end] - total[start], index, seen, overall))
    start = int(np.searchsorted(unique, unique[-1] - WINDOW_DAYS + 1))
    start, end = _widened(tickets, start, len(unique))
    now = np.log(_shares(total[end] - total[start], index, seen, overall))
    return LabelMix(windows, row.astype(np.int64), now.astype(np.float32))


def days_of(rows: pa.Table) -> NDArray[np.int64]:
    """(n,) days of `created_at` since 1970, UTC."""
    microseconds = rows["created_at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    days: NDArray[np.int64] = microseconds.to_numpy() // 86_400_000_000
    return days


def even_mix(index: TreeIndex) -> NDArray[np.float32]:
    """(N,) log shares of a mix in which siblings are equally frequent."""
    shares: NDArray[np.float32] = -np.log(np.maximum(1, index.class_counts())).astype(np.float32)
    return np.where(index.active, shares, np.float32(0.0))


def _widened(tickets: NDArray[np.float64], start: int, end: int) -> tuple[int, int]:
    """The window of days [start, end) grown day by day, on both sides while it can, to LEAST_TICKETS."""
    while tickets[end] - tickets[start] < LEAST_TICKETS and (start > 0 or end < len(tickets) - 1):
        start, end = max(0, start - 1), min(len(tickets) - 1, end + 1)
    return start, end


def _shares(
    through: NDArray[np.float64], index: TreeIndex, seen: NDArray[np.bool_], prior: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """(N,) tickets through each node -> its share among active siblings, drawn towards `prior` (N,); 1 where inactive.

    A node not `seen` (N,) counts as the average of its siblings that were.
    """
    live = np.where(index.active, through, 0.0)
    if prior is not None:
        live = live + SMOOTHING * np.where(seen, prior, 0.0)
    mean = _over_siblings(live, index) / np.maximum(1.0, _over_siblings(seen.astype(float), index))
    live = np.where(index.active & ~seen, np.where(mean > 0, mean, 1.0), live)
    return np.where(index.active, live / np.maximum(_over_siblings(live, index), 1e-12), 1.0)


def _over_siblings(values: NDArray[np.float64], index: TreeIndex) -> NDArray[np.float64]:
    return np.bincount(index.group, weights=values, minlength=len(index.groups)).astype(np.float64)[index.group]
