"""Compaction: few files instead of many, the same rows in the same order, and nothing to do the second time."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake import read_arrivals, read_table
from pipeline.upkeep import compaction
from pipeline.upkeep.compaction import compact
from tickets.manifests import fingerprint
from tickets.tables import NEAR_DUPLICATES, OUTCOMES, RAW, SIGNATURES, SPLITS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 3, 2)
FIRST, SECOND = "000001-0123456789abcdef-012345-", "000002-fedcba9876543210-543210-"


def raw_rows(first: int, count: int) -> pa.Table:
    rows = [{"source": "s", "row": first + n, "fields": f'{{"a":"{first + n}"}}'} for n in range(count)]
    return pa.Table.from_pylist(rows, schema=RAW.schema)


def store(folder: Path, name: str, rows: pa.Table, *, metadata: dict[str, str] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(folder / name, rows.schema, compression="zstd") as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata(metadata or {})
    return folder / name


def contents(workspace: Workspace) -> dict[str, bytes]:
    return {
        str(path.relative_to(workspace.root)): path.read_bytes() for path in workspace.root.rglob("*") if path.is_file()
    }


def raw_day(workspace: Workspace) -> Path:
    return workspace.table_path(RAW) / f"arrived={DAY}"


def test_small_files_of_one_import_become_one_and_the_rows_stay_in_order(
    workspace: Workspace, spark: SparkSession
) -> None:
    for number in range(12):
        store(raw_day(workspace), f"{FIRST}{number:04d}.parquet", raw_rows(1 + 10 * number, 10))
    for number in range(3):
        store(raw_day(workspace), f"{SECOND}{number:04d}.parquet", raw_rows(500 + number, 1))
    store(raw_day(workspace), "service-0000.parquet", raw_rows(900, 1))
    (raw_day(workspace) / "_made_from.json").write_text('{"fingerprint": "f"}')
    before = workspace.read(RAW)
    in_spark = rows_in_spark(workspace, spark)

    (done,) = compact(workspace)

    names = sorted(path.name for path in raw_day(workspace).iterdir())
    assert names == [f"{FIRST}0000.parquet", f"{SECOND}0000.parquet", "_made_from.json", "service-0000.parquet"]
    assert (done.name, done.files_before, done.files_after) == (f"raw/arrived={DAY}", 16, 3)
    assert done.bytes_after < done.bytes_before
    assert workspace.read(RAW).equals(before)
    assert rows_in_spark(workspace, spark) == in_spark
    assert (raw_day(workspace) / "_made_from.json").read_text() == '{"fingerprint": "f"}'
    assert not list(workspace.aside_root.iterdir())

    settled = contents(workspace)
    assert compact(workspace) == []
    assert contents(workspace) == settled


def rows_in_spark(workspace: Workspace, spark: SparkSession) -> list[tuple[object, ...]]:
    return sorted(
        tuple(row) for row in read_arrivals(spark, workspace, RAW, [DAY.isoformat()]).select("row", "fields").collect()
    )


def test_what_a_day_was_made_from_is_the_same_after_compaction(workspace: Workspace) -> None:
    for number in range(4):
        store(raw_day(workspace), f"{FIRST}{number:04d}.parquet", raw_rows(number, 1))
    before = fingerprint(workspace, f"raw/arrived={DAY}")
    compact(workspace)
    assert fingerprint(workspace, f"raw/arrived={DAY}") == before
    store(raw_day(workspace), f"{SECOND}0000.parquet", raw_rows(9, 1))
    assert fingerprint(workspace, f"raw/arrived={DAY}") != before


def test_the_parts_that_nights_are_merged_into_stay_as_they_were_cut(workspace: Workspace) -> None:
    for number in range(3):
        store(workspace.table_path(OUTCOMES), f"part-{number:04d}.parquet", OUTCOMES.schema.empty_table())
    assert compact(workspace) == []


def test_files_grow_to_the_target_and_large_ones_are_left_alone(workspace: Workspace) -> None:
    sizes = []
    for number in range(9):
        path = store(
            raw_day(workspace), f"{FIRST}{number:04d}.parquet", raw_rows(1000 * number, 400 if number == 4 else 40)
        )
        sizes.append(path.stat().st_size)
    large = (raw_day(workspace) / f"{FIRST}0004.parquet").read_bytes()
    target = 3 * max(size for size in sizes if size != sizes[4])
    before = workspace.read(RAW)

    compact(workspace, target_bytes=target, small_bytes=sizes[4])

    left = sorted(raw_day(workspace).glob("*.parquet"))
    assert [path.name for path in left] == [f"{FIRST}{number:04d}.parquet" for number in range(len(left))]
    assert large in [path.read_bytes() for path in left]
    assert 3 <= len(left) < 9
    assert workspace.read(RAW).equals(before)
    settled = contents(workspace)
    assert compact(workspace, target_bytes=target, small_bytes=sizes[4]) == []
    assert contents(workspace) == settled


def test_what_importers_noted_in_a_file_and_columns_of_their_own_stay(workspace: Workspace) -> None:
    corrected = RAW.schema.append(pa.field("corrects", pa.string()))
    for number in range(2):
        rows = pa.Table.from_pylist([{"source": "s", "row": number, "fields": "{}", "corrects": "x"}], schema=corrected)
        store(raw_day(workspace), f"corrected-000001-0123456789abcdef-{number:04d}.parquet", rows)
    store(raw_day(workspace), f"{FIRST}0000.parquet", raw_rows(1, 1))
    store(raw_day(workspace), f"{FIRST}0001.parquet", raw_rows(2, 1), metadata={"triage.skipped": "{}"})

    compact(workspace)

    correction, imported = sorted(raw_day(workspace).glob("*.parquet"), reverse=True)
    assert pq.read_metadata(imported).metadata[b"triage.skipped"] == b"{}"
    assert pq.ParquetFile(correction).read()["corrects"].to_pylist() == ["x", "x"]


def test_lists_and_tables_without_partitions_are_read_as_before(workspace: Workspace, spark: SparkSession) -> None:
    day = f"arrived={DAY}"
    for number in range(3):
        name = f"part-{number:04d}.parquet"
        signature = {"node": [number], "buckets": [[1, number]], "signature": [b"xy"]}
        store(workspace.table_path(SIGNATURES) / day, name, pa.table(signature, schema=SIGNATURES.schema))
        split = {
            "ticket_id": [f"T{number}"],
            "arrived": [DAY.isoformat()],
            "split": ["train"],
            "cluster": [f"T{number}"],
        }
        store(workspace.table_path(SPLITS), name, pa.table(split, schema=SPLITS.schema))
        store(workspace.table_path(NEAR_DUPLICATES) / day, name, NEAR_DUPLICATES.schema.empty_table())
    before = [workspace.read(table) for table in (SIGNATURES, SPLITS, NEAR_DUPLICATES)]

    assert len(compact(workspace)) == 3

    assert [workspace.read(table) for table in (SIGNATURES, SPLITS, NEAR_DUPLICATES)] == before
    assert len(list(workspace.lake.rglob("*.parquet"))) == 3
    signatures = read_arrivals(spark, workspace, SIGNATURES, [DAY.isoformat()]).orderBy("node").collect()
    assert [row["buckets"] for row in signatures] == [[1, 0], [1, 1], [1, 2]]
    assert read_table(spark, workspace, SPLITS).count() == 3


def test_memory_stays_bounded_by_row_groups(workspace: Workspace) -> None:
    for number in range(3):
        store(raw_day(workspace), f"{FIRST}{number:04d}.parquet", raw_rows(5000 * number, 5000))
    compact(workspace)
    (path,) = raw_day(workspace).glob("*.parquet")
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert max(groups) <= compaction._GROUP_ROWS + compaction._BATCH_ROWS
    assert sum(groups) == 15_000
