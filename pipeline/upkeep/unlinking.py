"""Links of near-duplicates without some nodes: those that were alike through one that leaves stay of one cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.duplicates import connected
from tickets.tables import NEAR_DUPLICATES

Nodes = npt.NDArray[np.int64]


def unlink(links: Mapping[str, pa.Table], leaving: Collection[int]) -> dict[str, pa.Table]:
    """The links of the days (rows of NEAR_DUPLICATES) in which one of the nodes stands, as they become. Whoever was
    linked to a node that leaves is linked to the smallest that stays of its cluster."""
    gone = np.array(sorted(leaving), np.int64)
    touched = {day: rows for day, rows in links.items() if _touches(rows, gone).any()}
    if not touched:
        return {}
    whole = pa.concat_tables(links.values())
    nodes, roots = connected(whole["node"].to_numpy(), whole["first"].to_numpy())
    stays = ~np.isin(nodes, gone)
    staying, of_cluster = nodes[stays], roots[stays]  # both sorted by node, so the first of a cluster is its smallest
    clusters, place = np.unique(of_cluster, return_index=True)
    head_of = dict(zip(clusters.tolist(), staying[place].tolist(), strict=True))
    heads = {node: head_of.get(root) for node, root in zip(nodes.tolist(), roots.tolist(), strict=True)}
    return {day: _relinked(rows, gone, heads) for day, rows in touched.items()}


def _touches(rows: pa.Table, gone: Nodes) -> npt.NDArray[np.bool_]:
    touching: npt.NDArray[np.bool_] = np.isin(rows["node"].to_numpy(), gone) | np.isin(rows["first"].to_numpy(), gone)
    return touching


def _relinked(rows: pa.Table, gone: Nodes, heads: Mapping[int, int | None]) -> pa.Table:
    touching = _touches(rows, gone)
    kept = rows.filter(pa.array(~touching))
    left = set(gone.tolist())
    again = []
    for row in rows.filter(pa.array(touching)).to_pylist():
        node = next((end for end in (row["node"], row["first"]) if end not in left), None)
        head = heads[row["node"]]
        if node is not None and head is not None and node != head:
            again.append({"node": node, "first": head})
    added = pa.Table.from_pylist(again, schema=NEAR_DUPLICATES.schema)
    once = pa.concat_tables([kept, added]).group_by(["node", "first"]).aggregate([])
    return (
        once.select(NEAR_DUPLICATES.schema.names)
        .sort_by([("node", "ascending"), ("first", "ascending")])
        .cast(NEAR_DUPLICATES.schema)
    )


def touching_rows(rows: pa.Table, leaving: Collection[int]) -> int:
    """How many of the links one of the nodes stands in."""
    return int(_touches(rows, np.array(sorted(leaving), np.int64)).sum())
