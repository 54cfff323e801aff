"""Examples: tickets as a model reads them, beside how they ended and the split they belong to.

What a ticket says never changes and lies in FEATURES by day of arrival; how it ended and where it belongs may change
every night, and lie in the narrow tables OUTCOMES and SPLITS. Here they meet.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tickets.tables import FEATURES, OUTCOMES, PAIRS, SPLITS
from tickets.workspace import Workspace

OUTCOME_COLUMNS = ("contact_type", "template_id", "outcome_source")
SCHEMA = pa.schema(
    [
        *FEATURES.schema,
        pa.field("contact_type", pa.string()),
        pa.field("template_id", pa.string()),
        pa.field("outcome_source", pa.string()),
        pa.field("split", pa.string(), nullable=False),
    ]
)


def read_examples(
    workspace: Workspace, *, splits: Sequence[str] | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    """Tickets of the given splits (all when None) in their latest version, sorted by ticket_id: the columns of SCHEMA,
    or those named. Outcome columns are null for the split `unlabelled`. Raises MissingStepError before `split`."""
    wanted = None if splits is None else pc.field("split").isin(list(splits))
    placed = workspace.read(SPLITS, ["ticket_id", "arrived", "split"], where=wanted)
    outcomes = workspace.read(OUTCOMES, ["ticket_id", "contact_type", "template_id", "source"])
    outcomes = outcomes.rename_columns(["ticket_id", *OUTCOME_COLUMNS])
    names = SCHEMA.names if columns is None else list(columns)
    of_features = [name for name in FEATURES.schema.names if name in names and name != "ticket_id"]
    here = pc.field("arrived").isin(pc.unique(placed["arrived"]))
    features = workspace.read(FEATURES, ["ticket_id", "arrived", *of_features], where=here)
    # Only ids and days are joined; the texts, which are most of the bytes, are then copied once.
    keys = features.select(["ticket_id", "arrived"]).append_column(
        "row", pa.array(range(features.num_rows), pa.int64())
    )
    joined = placed.join(keys, ["ticket_id", "arrived"], join_type="inner").join(outcomes, "ticket_id")
    joined = joined.sort_by("ticket_id")
    read = features.take(joined["row"])
    for name in (*OUTCOME_COLUMNS, "split"):
        read = read.append_column(name, joined[name])
    return read.select(names)


def read_pairs(
    workspace: Workspace, *, splits: Sequence[str] | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    """Rows of PAIRS of the tickets in the given splits (all when None). Raises MissingStepError before `pairs`."""
    names = PAIRS.schema.names if columns is None else list(columns)
    pairs = workspace.read(PAIRS, names if "ticket_id" in names else ["ticket_id", *names])
    if splits is not None:
        placed = workspace.read(SPLITS, ["ticket_id"], where=pc.field("split").isin(list(splits)))
        pairs = pairs.filter(pc.is_in(pairs["ticket_id"], value_set=placed["ticket_id"].combine_chunks()))
    return pairs.select(names)
