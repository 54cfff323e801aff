"""Taxonomy versions on real Spark: history moves to the new names, what cannot be told waits for a person."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.cleaning import clean
from pipeline.importing import import_files
from pipeline.outcomes import label
from tickets.catalogue import read_tree, write_tree
from tickets.changes_file import changes_from_toml
from tickets.contact_types import ContactTypeTree
from tickets.tables import LABELS, OUTCOMES, QUARANTINE
from tickets.taxonomy_versions import apply_changes
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 3, 2)
CHANGES = """
[[change]]
on = 2026-01-10
from = "Delivery"
to = "Parcels"
[change.below]
"Late" = "Not on time"

[[change]]
on = 2026-01-10
from = "Payment::Refund"
to = [
    { path = "Payment::Money back", when = { product = "parcel" } },
    { path = "Payment::Voucher", when = { product = "voucher" } },
]

[[change]]
on = 2026-01-10
from = "Payment::Other"
to = [{ path = "Payment::Fees", when = { product = "fee" } }, "Payment::Other"]
"""


def outcomes(workspace: Workspace) -> dict[str, str]:
    return {found["ticket_id"]: found["contact_type"] for found in workspace.read(OUTCOMES).to_pylist()}


def quarantined(workspace: Workspace) -> dict[str, str]:
    if not workspace.partitions(QUARANTINE):
        return {}
    return {json.loads(found["fields"])["id"]: found["reason"] for found in workspace.read(QUARANTINE).to_pylist()}


def answer(workspace: Workspace, ticket_id: str, contact_type: str) -> None:
    """A labeler's answer, as `extract` leaves it."""
    row = {
        **{"label_id": "l1", "ticket_id": ticket_id, "contact_type": contact_type, "labeler": "ana", "share": "unsure"},
        "at": datetime(2026, 3, 1, tzinfo=UTC),
    }
    with workspace.aside("labels") as folder:
        (folder / f"arrived={DAY}").mkdir()
        pq.write_table(pa.Table.from_pylist([row], schema=LABELS.schema), folder / f"arrived={DAY}" / "part.parquet")
        workspace.publish(folder, LABELS)


@pytest.mark.slow
def test_history_moves_to_the_new_names_and_what_cannot_be_told_waits_for_a_person(
    workspace: Workspace,
    spark: SparkSession,
    dataset_file: Path,
    make_row: Callable[..., dict[str, str]],
    write_csv: Callable[..., Path],
) -> None:
    text = dataset_file.read_text(encoding="utf-8").replace('categorical = ["product"]\n', "")
    dataset_file.write_text(text.replace('template_id = "macro"', 'told_by = ["product"]'), encoding="utf-8")
    rows = [
        make_row(0, opened="2026-01-05", reason="Delivery::Late"),
        make_row(1, opened="2026-01-05", reason="Payment::Refund", product="parcel"),
        make_row(2, opened="2026-01-05", reason="Payment::Refund", product="voucher"),
        make_row(3, opened="2026-01-05", reason="Payment::Refund", product=""),
        make_row(4, opened="2026-01-05", reason="Payment::Other", product="fee"),
        make_row(5, opened="2026-01-20", reason="Payment::Other", product="fee"),  # since then it means what it says
        make_row(6, opened="2026-01-20", reason="Delivery::Late"),  # an old form, filled in after the change
    ]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)
    clean(workspace, as_of=DAY, spark=spark)
    label(workspace, as_of=DAY, spark=spark)
    assert outcomes(workspace) == {row["id"]: row["reason"] for row in rows}
    before = read_tree(workspace)

    write_tree(workspace, apply_changes(before, changes_from_toml(tomllib.loads(CHANGES))))
    labelled = label(workspace, as_of=DAY, spark=spark)

    migrated = {
        **{"T0000": "Parcels::Not on time", "T0001": "Payment::Money back", "T0002": "Payment::Voucher"},
        **{"T0004": "Payment::Fees", "T0005": "Payment::Other", "T0006": "Parcels::Not on time"},
    }
    assert outcomes(workspace) == migrated
    assert quarantined(workspace) == {"T0003": "contact type was split"}
    assert labelled.counts["contact types added"] == 0
    after = read_tree(workspace)
    assert after.version == before.version + 1
    assert not after["Delivery::Late"].active

    answer(workspace, "T0003", "Payment::Voucher")
    label(workspace, as_of=DAY, spark=spark)
    assert outcomes(workspace) == migrated | {"T0003": "Payment::Voucher"}
    assert read_tree(workspace) == after


def test_a_tree_that_knows_the_changes_first_never_grows_the_old_names(
    workspace: Workspace,
    spark: SparkSession,
    dataset_file: Path,
    make_row: Callable[..., dict[str, str]],
    write_csv: Callable[..., Path],
) -> None:
    write_tree(workspace, apply_changes(ContactTypeTree(nodes=()), changes_from_toml(tomllib.loads(CHANGES))))
    rows = [make_row(1, reason="Delivery::Late"), make_row(2, reason="Delivery::Lost")]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)
    clean(workspace, as_of=DAY, spark=spark)
    label(workspace, as_of=DAY, spark=spark)
    assert outcomes(workspace) == {"T0001": "Parcels::Not on time", "T0002": "Parcels::Lost"}
    assert not any(node.name in ("Delivery", "Late") for node in read_tree(workspace).nodes)
