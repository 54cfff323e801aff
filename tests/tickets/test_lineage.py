"""Manifests and lineage: any output is traced to its source files, and what has changed since is told."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickets.errors import InputError
from tickets.lineage import Records, find_lineage, lineage, stale_inputs
from tickets.manifests import (
    MADE_FROM,
    Manifest,
    Output,
    fingerprint,
    output_of,
    read_manifest,
    record_state,
    step_states,
    write_manifest,
)
from tickets.tables import OUTCOMES, QUARANTINE, RAW, SUGGESTIONS, TICKETS, Table
from tickets.workspace import Workspace

DAYS = ("2026-03-01", "2026-03-02")


def part(workspace: Workspace, table: Table, value: str | None, name: str, rows: int = 1) -> None:
    folder = workspace.table_path(table) / (f"{table.partition}={value}" if value else "")
    folder.mkdir(parents=True, exist_ok=True)
    columns = {field.name: pa.nulls(rows, field.type) for field in table.schema}
    pq.write_table(pa.table(columns), folder / name)


def mark(workspace: Workspace, name: str, said: str) -> None:
    (workspace.lake / name / MADE_FROM).write_text(f'{{"fingerprint": "{said}"}}', encoding="utf-8")


def two_days(workspace: Workspace) -> None:
    """Imported, cleaned and labelled: two days, each from a file of its own."""
    dataset = workspace.catalogue / "dataset.toml"
    dataset.write_text("x", encoding="utf-8")
    for number, day in enumerate(DAYS):
        raw = f"raw/arrived={day}"
        part(workspace, RAW, day, f"00000{number}-0123456789abcde{number}-012345-0000.parquet", rows=3)
        written = output_of(workspace, RAW, day, made_from=(f"{day}.csv#1",))
        write_manifest(
            workspace, Manifest(step="import", as_of=day, inputs={f"{day}.csv#1": "sha"}, outputs={raw: written})
        )
        part(workspace, TICKETS, day, "part-0000.parquet", rows=2)
        mark(workspace, f"tickets/arrived={day}", f"made-{number}")
    part(workspace, OUTCOMES, None, "part-0000.parquet")
    inputs = {name: fingerprint(workspace, name) or "" for name in (*(f"raw/arrived={d}" for d in DAYS), DATASET)}
    outputs = {
        f"tickets/arrived={day}": output_of(workspace, TICKETS, day, made_from=(f"raw/arrived={day}", DATASET))
        for day in DAYS
    }
    write_manifest(workspace, Manifest(step="clean", as_of=DAYS[1], inputs=inputs, outputs=outputs))
    read = {f"tickets/arrived={day}": f"made-{number}" for number, day in enumerate(DAYS)}
    label = Manifest(step="label", as_of=DAYS[1], inputs=read, outputs={"outcomes": output_of(workspace, OUTCOMES)})
    write_manifest(workspace, label)


DATASET = "catalogue/dataset.toml"


def test_a_partition_is_traced_to_its_own_source_files(workspace: Workspace) -> None:
    two_days(workspace)

    tickets = lineage(workspace, TICKETS, DAYS[1])

    assert (tickets.name, tickets.rows, tickets.steps) == (f"tickets/arrived={DAYS[1]}", 2, (f"clean {DAYS[1]}",))
    assert [node.name for node in tickets.leaves()] == [DATASET, f"{DAYS[1]}.csv#1"]
    whole = lineage(workspace, OUTCOMES)
    assert {node.name for node in whole.leaves()} == {DATASET, *(f"{day}.csv#1" for day in DAYS)}
    assert not whole.stale


def test_what_has_changed_since_it_was_read_makes_what_follows_stale(workspace: Workspace) -> None:
    two_days(workspace)
    part(workspace, RAW, DAYS[0], "000009-ffffffffffffffff-012345-0000.parquet")

    assert lineage(workspace, TICKETS, DAYS[0]).stale
    assert not lineage(workspace, TICKETS, DAYS[1]).stale
    assert lineage(workspace, OUTCOMES).stale
    records = Records(workspace)
    clean, label = (read_manifest(workspace, step, DAYS[1]) for step in ("clean", "label"))
    assert clean
    assert label
    assert stale_inputs(records, clean) == [f"raw/arrived={DAYS[0]}"]
    assert stale_inputs(records, label) == []  # what it read is as it was; `clean` has to run first


def test_a_day_that_arrived_since_makes_a_run_of_that_date_or_a_later_one_stale(workspace: Workspace) -> None:
    two_days(workspace)
    part(workspace, RAW, "2026-02-28", "000000-0123456789abcdef-012345-0000.parquet")
    part(workspace, RAW, "2026-03-09", "000000-0123456789abcdef-012345-0000.parquet")
    clean = read_manifest(workspace, "clean", DAYS[1])
    assert clean
    assert stale_inputs(Records(workspace), clean) == ["raw/arrived=2026-02-28"]
    waiting = stale_inputs(Records(workspace), clean, until="2026-03-09")
    assert waiting == ["raw/arrived=2026-02-28", "raw/arrived=2026-03-09"]


def test_a_newer_run_of_a_step_is_the_one_that_counts(workspace: Workspace) -> None:
    two_days(workspace)
    mark(workspace, f"tickets/arrived={DAYS[0]}", "made-again")
    name = f"tickets/arrived={DAYS[0]}"
    assert lineage(workspace, OUTCOMES).stale

    again = {name: output_of(workspace, TICKETS, DAYS[0], made_from=(DATASET,))}
    write_manifest(workspace, Manifest(step="clean", as_of="2026-03-05", inputs={DATASET: "other"}, outputs=again))

    node = lineage(workspace, TICKETS, DAYS[0])
    assert node.steps == ("clean 2026-03-05",)
    assert [(leaf.name, leaf.changed) for leaf in node.leaves()] == [(DATASET, True)]


def test_fingerprints_tell_content_and_not_files(workspace: Workspace) -> None:
    day = DAYS[0]
    assert fingerprint(workspace, f"raw/arrived={day}") is None
    assert fingerprint(workspace, "catalogue/templates.json") is None
    for table, names in ((QUARANTINE, ("clean-0000", "clean-0001")), (SUGGESTIONS, ("000000-0000", "000001-0000"))):
        part(workspace, table, day, f"{names[0]}.parquet")
        name = f"{table.name}/arrived={day}"
        before = fingerprint(workspace, name)
        part(workspace, table, day, f"{names[1]}.parquet")
        assert fingerprint(workspace, name) != before
    part(workspace, RAW, day, "service-0000.parquet", rows=1)
    before = fingerprint(workspace, f"raw/arrived={day}")
    part(workspace, RAW, day, "service-0000.parquet", rows=2)
    assert fingerprint(workspace, f"raw/arrived={day}") != before


def test_a_manifest_comes_back_as_it_was_written_also_one_of_old(workspace: Workspace) -> None:
    output = Output(rows=3, content="c", made_from=("a", "b"))
    manifest = Manifest(step="clean", as_of=DAYS[0], outputs={"tickets": output}, rows_in=4, rows_out=3)
    write_manifest(workspace, manifest)
    assert read_manifest(workspace, "clean", DAYS[0]) == manifest
    path = workspace.manifests / "clean" / f"{DAYS[1]}.json"
    path.write_text('{"step": "clean", "as_of": "2026-03-02", "counts": {"raw": 1}, "schema_version": 1}')
    old = read_manifest(workspace, "clean", DAYS[1])
    assert old is not None
    assert (old.outputs, old.rows_in) == ({}, 0)


def test_the_record_of_a_failed_run_quotes_no_row(workspace: Workspace) -> None:
    day = date.fromisoformat(DAYS[0])
    record_state(workspace, "clean", day, "running")
    record_state(workspace, "label", day, "failed", error=InputError("the tree is no tree.", hint="Mend it."))
    record_state(workspace, "clean", day, "failed", error=ValueError("My card number is 4111"))
    states = step_states(workspace)
    assert (states["clean"].state, states["clean"].error, states["clean"].message) == ("failed", "ValueError", "")
    assert states["label"].message == "the tree is no tree. Mend it."
    assert list(workspace.manifests.glob("[!_]*")) == []


def test_what_the_lake_does_not_have_is_refused_with_what_it_has(workspace: Workspace) -> None:
    for name, value, says in (
        ("featurs", None, "there is no table 'featurs'. Tables: .*features"),
        ("outcomes", "2026-03-02", "has no partitions"),
        ("features", "2026-03-02", "no partition '2026-03-02'. There are none yet"),
    ):
        with pytest.raises(InputError, match=says):
            find_lineage(workspace, name, value)
