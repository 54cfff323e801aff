"""Outcomes merged night by night are those made at once, byte for byte, and so is what was refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.importing import import_files
from pipeline.lake import made_from
from pipeline.nightly import take_up
from pipeline.outcomes import label
from tickets.errors import ContractError
from tickets.manifests import Manifest
from tickets.tables import LABELS, OUTCOMES, QUARANTINE
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 3, 2)
NIGHTS = [DAY + timedelta(days=number) for number in range(4)]
MakeRow = Callable[..., dict[str, str]]
WriteCsv = Callable[..., Path]


def test_outcomes_merged_night_by_night_are_those_made_at_once(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    """Among them labels that came two nights before their tickets, one of which cannot be read, and a template whose
    reply comes a night after it was first named."""
    first = [*(make_row(number) for number in range(60)), make_row(6, id="T0080", macro="fresh", answer="")]
    second = [*(make_row(number) for number in range(60, 63)), make_row(2, reason="Delivery::Late", macro="late")]
    third = [make_row(5, reason="Payment::Refund", macro=""), make_row(70, reason=""), make_row(71, reason="")]
    fourth = [make_row(72, macro="fresh", answer="We have sent a fresh one.")]
    _label(workspace, {"T0070": "Payment::Refund", "T0071": "Nowhere"}, DAY)
    said: list[int] = []

    for night, rows in zip(NIGHTS[:3], (first, second, third), strict=True):
        import_files(workspace, [write_csv(rows, name=f"{night}.csv")], dataset_file, as_of=night)
        merged = take_up(workspace, as_of=night, spark=spark)[-1]
        said.append(merged.rows_in)
    whole = _assert_same_at_once(workspace, spark, merged)

    assert (said, whole.rows_in) == ([63, 5, 4], 68)  # what each night looked at
    outcomes = {found["ticket_id"]: found for found in workspace.read(OUTCOMES).to_pylist()}
    assert len(outcomes) == 65
    assert outcomes["T0002"]["contact_type"] == "Delivery::Late"
    assert (outcomes["T0005"]["contact_type"], outcomes["T0005"]["template_id"]) == ("Payment::Refund", None)
    assert (outcomes["T0070"]["source"], outcomes["T0080"]["template_id"]) == ("labeler", None)
    refused = {found["source"]: found["reason"] for found in workspace.read(QUARANTINE).to_pylist()}
    assert refused["labels:T0071"] == "unknown contact type"

    import_files(workspace, [write_csv(fourth, name="fourth.csv")], dataset_file, as_of=NIGHTS[3])
    _assert_same_at_once(workspace, spark, take_up(workspace, as_of=NIGHTS[3], spark=spark)[-1])
    outcomes = {found["ticket_id"]: found for found in workspace.read(OUTCOMES).to_pylist()}
    assert outcomes["T0080"]["template_id"] == "fresh"


def _assert_same_at_once(workspace: Workspace, spark: SparkSession, merged: Manifest) -> Manifest:
    before = _contents(workspace)
    shutil.rmtree(workspace.table_path(OUTCOMES))
    for day in workspace.partitions(QUARANTINE):
        shutil.rmtree(workspace.table_path(QUARANTINE) / f"arrived={day}")
    whole = label(workspace, as_of=date.fromisoformat(merged.as_of), spark=spark)
    assert _contents(workspace) == before
    assert whole.counts == merged.counts
    return whole


def _contents(workspace: Workspace) -> dict[str, Any]:
    tables = (OUTCOMES, QUARANTINE)
    files = [path for table in tables for path in sorted(workspace.table_path(table).rglob("*.parquet"))]
    found: dict[str, Any] = {str(path.relative_to(workspace.lake)): path.read_bytes() for path in files}
    return found | {"made from": made_from(workspace, OUTCOMES)}


def _label(workspace: Workspace, answers: dict[str, str], day: date) -> None:
    at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
    rows = [
        {
            **{"label_id": name, "ticket_id": name, "contact_type": contact_type, "template_id": None},
            **{"labeler": "bea", "at": at, "share": "random"},
        }
        for name, contact_type in answers.items()
    ]
    folder = workspace.table_path(LABELS) / f"arrived={day}"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=LABELS.schema), folder / "part.parquet")


def test_a_tree_that_reads_hardly_anything_stops_the_run_and_the_last_outcomes_stay(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    tree = {"version": 1, "nodes": [{"id": "Delivery", "name": "Delivery"}], "mapping": {}}
    (dataset_file.parent / "tree.json").write_text(json.dumps(tree), encoding="utf-8")
    described = 'contact_types_file = "tree.json"\n' + dataset_file.read_text(encoding="utf-8")
    dataset_file.write_text(described, encoding="utf-8")
    import_files(workspace, [write_csv([make_row(0, reason="Delivery")])], dataset_file, as_of=DAY)
    take_up(workspace, as_of=DAY, spark=spark)
    before = workspace.read(OUTCOMES)
    rows = [make_row(number, reason="Elsewhere") for number in range(1, 130)]
    import_files(workspace, [write_csv(rows, name="more.csv")], dataset_file, as_of=DAY)

    with pytest.raises(ContractError, match=r"129 of 130 rows were refused.*\n.*unknown contact type"):
        take_up(workspace, as_of=DAY, spark=spark)

    assert workspace.read(OUTCOMES).equals(before)
