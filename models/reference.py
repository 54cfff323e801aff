"""What a release said of its validation period, ticket by ticket: the reference that monitoring compares with."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models.predictions import Predictions
from models.tree_index import TreeIndex

KEPT = ("ticket_id", "created_at", "text", "language", "channel", "attributes")


def predictions_table(
    features: pa.Table, nodes: NDArray[np.int64], predictions: Predictions, index: TreeIndex
) -> pa.Table:
    """Examples beside the true `nodes` (n,) and what was predicted of them, in one order.

    Added: contact_type, the true leaf in this tree, null where only an inner node is known; predicted (contact type),
    probability, out_of_scope, abstained, embedding (list of float32), and level_1, level_2 and so on, the predicted
    contact type on each level; a leaf that ends higher up stands for itself further down.
    """
    ids = np.array(index.ids, dtype=object)
    table = features.select(KEPT)
    width = predictions.embeddings.shape[1]
    embedding = pa.FixedSizeListArray.from_arrays(pa.array(predictions.embeddings.reshape(-1)), width)
    true = pa.array(ids[nodes], pa.string(), mask=index.columns_of(nodes) < 0)
    added: dict[str, pa.Array] = {
        "contact_type": true,
        "predicted": pa.array(ids[predictions.predicted], pa.string()),
        "probability": pa.array(predictions.probability),
        "out_of_scope": pa.array(predictions.out_of_scope),
        "abstained": pa.array(predictions.abstained),
        "embedding": embedding.cast(pa.list_(pa.float32())),
    }
    for level in range(index.levels):
        added[f"level_{level + 1}"] = pa.array(ids[index.node_at(predictions.predicted, level)], pa.string())
    for name, column in added.items():
        table = table.append_column(name, column)
    return table
