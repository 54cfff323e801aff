"""Suspect labels among the tickets that a release learned from, by cross-validation over what it keeps of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.diagnosis.same_period import by_cluster_and_customer
from models.diagnosis.suspects import (
    CROSS_VALIDATED,
    FEWEST,
    MOST_TRAINING,
    SuspectLabels,
    cross_validated,
    suspect_labels,
)
from models.neighbours import Neighbours
from models.tree_index import TreeIndex
from tickets.progress import Report
from tickets.workspace import Workspace


def trained_suspects(
    workspace: Workspace,
    neighbours: Neighbours,
    index: TreeIndex,
    train: pa.Table,
    *,
    report: Report,
    most: int = MOST_TRAINING,
) -> SuspectLabels:
    """Of `train` (tickets.examples, oldest first) the newest `most` tickets whose vectors the release keeps."""
    vectors = dict(zip(neighbours.ticket_ids, neighbours.vectors, strict=True))
    kept = pc.is_in(train["ticket_id"], value_set=pa.array(list(vectors), pa.string()))
    rows = train.filter(kept)
    rows = rows.slice(max(0, len(rows) - most))
    report(f"Looking for suspect labels among {len(rows):,} training tickets.")
    contact_types, ticket_ids = rows["contact_type"].to_pylist(), rows["ticket_id"].to_pylist()
    leaf = index.columns_of(index.nodes_of(contact_types))
    common = np.flatnonzero(np.bincount(leaf[leaf >= 0], minlength=len(index.leaves)) >= FEWEST)
    usable = np.flatnonzero(np.isin(leaf, common))
    shares = np.zeros((len(rows), len(common)))
    if len(common) > 1:
        texts = rows["text"].to_pylist()
        shares[usable] = cross_validated(
            [texts[row] for row in usable],
            np.stack([vectors[ticket_ids[row]] for row in usable]),
            np.searchsorted(common, leaf[usable]),
            by_cluster_and_customer(workspace, [ticket_ids[row] for row in usable]),
        )
    return suspect_labels(
        contact_types,
        shares,
        [index.ids[index.leaves[column]] for column in common],
        ticket_ids=ticket_ids,
        texts=rows["text"].to_pylist(),
        split="train",
        method=CROSS_VALIDATED,
    )
