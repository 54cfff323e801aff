"""A person leaves the lake: every table, corrections and refused rows too. Others stay, and no night works for it."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cleaning import clean
from pipeline.contract_checks import check_lake
from pipeline.corrections import Place, correct
from pipeline.duplicates import connected
from pipeline.extract import extract
from pipeline.importing import import_files
from pipeline.lake import made_from, mark
from pipeline.nightly import run_pipeline, take_up
from pipeline.text.redact import customer_hash
from pipeline.upkeep.forgetting import find_tickets, forget_in_lake
from pipeline.upkeep.source_rows import Person
from pipeline.upkeep.status import pipeline_status
from pipeline.upkeep.unlinking import unlink
from tests.logged import log_suggestions, suggested
from tests.pipeline.conftest import COLUMNS, DATASET, _row
from tickets.catalogue import read_dataset
from tickets.database import open_database
from tickets.feedback_log import record_feedback
from tickets.forgetting import forget_rows, tickets_of
from tickets.manifests import read_manifest
from tickets.records import Feedback
from tickets.tables import (
    BACKLOG,
    NEAR_DUPLICATES,
    QUARANTINE,
    RAW,
    SIMILARITIES,
    SPLITS,
    SUGGESTIONS,
    TICKETS,
    TOPICS,
)
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)
ANN, EVE = "ann@example.com", "eve@example.com"
THEIRS = frozenset({"T0001", "T0006", "T0008", "T0009", "T0009b", "N1"})
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LETTER = "Please send me the form for a refund of my parcel, the one you always send, thank you very much."


def write_csv(path: Path) -> Path:
    """Ann wrote 1, 6, 8 (refused for its date), 9 (its id corrected later) and 40, a row with a column too many. The
    last two are as broken: one names another address, one names Ann and will turn out to be Eve's."""
    changed: dict[int, dict[str, str]] = {
        1: {"customer": "Ann@Example.com ", "text": LETTER},
        2: {"text": LETTER},
        3: {"text": LETTER},
        6: {"customer": ANN},
        8: {"customer": ANN, "opened": "soon"},
        9: {"customer": ANN, "opened": "later"},
    }
    rows = [_row(number, **changed.get(number, {})) for number in range(1, 31)]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([row[name] for name in COLUMNS] for row in rows)
        writer.writerow([*(_row(40, customer=f"<{ANN}>")[name] for name in COLUMNS), "one too many"])
        writer.writerow([*(_row(41, customer=f"jo{ANN}")[name] for name in COLUMNS), "somebody else's"])
        writer.writerow([*(_row(42, customer=EVE)[name] for name in COLUMNS), f"about {ANN}"])
    return path


def serve(workspace: Workspace) -> None:
    """Ann writes through the service too, and somebody whose suggestion shows a ticket of hers."""
    engine = open_database(workspace.default_database_url)
    for name, customer, similar in (("N1", ANN, ()), ("N2", EVE, ("T0001", "T0004"))):
        written, made = suggested(name, at=NOON, contact_type="Delivery::Late", similar=similar)
        ticket = replace(
            written,
            body=f"Where is my parcel {name}?",
            customer_key=customer_hash(customer, salt="helpdesk"),
            attributes={"product": "parcel", "amount": 1.0, "vip": False},
        )
        log_suggestions(engine, [(ticket, made)])
        said = Feedback(
            feedback_id=f"f-{name}", suggestion_id=f"s-{name}", ticket_id=name, action="accepted", at=NOON,
            contact_type="Delivery::Late",
        )  # fmt: skip
        assert record_feedback(engine, said)
    extract(workspace, engine, as_of=DAY)
    engine.dispose()


def compare(workspace: Workspace) -> None:
    """What `triage features --topics` leaves, for one of Ann's tickets and one of another."""
    topics = [{"ticket_id": name, "topics": [0.5]} for name in ("T0001", "T0002")]
    numbers = dict.fromkeys(("words", "topics", "past_words", "past_topics"), 0.5)
    similar = [{"ticket_id": name, "template_id": "late", **numbers} for name in ("T0001", "T0002")]
    for table, rows in ((TOPICS, topics), (SIMILARITIES, similar)):
        mark(workspace.table_path(table), "made", rows=2)
        pq.write_table(
            pa.Table.from_pylist(rows, schema=table.schema), workspace.table_path(table) / "part-0000.parquet"
        )


def score(workspace: Workspace) -> None:
    """What `triage score` leaves: a suggestion for an open ticket of Ann's, and one that shows another of hers."""
    rows = [
        {**dict.fromkeys(BACKLOG.schema.names, "m"), "ticket_id": name, "probability": 0.5, "abstained": False,
         "suggestion": json.dumps({"ticket_id": name, "similar": [{"ticket_id": "T0001"}, {"ticket_id": "T0004"}]})}
        for name in ("N1", "N2")
    ]  # fmt: skip
    folder = workspace.table_path(BACKLOG) / f"as_of={DAY}"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=BACKLOG.schema), folder / "part-0000.parquet")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Workspace:
    """A night with all of it."""
    folder = tmp_path_factory.mktemp("forgetting")
    (folder / "dataset.toml").write_text(DATASET + "[contract]\nquarantine_at_most = 0.5\n", encoding="utf-8")
    workspace = Workspace.create(folder / "workspace")
    import_files(workspace, [write_csv(folder / "tickets.csv")], folder / "dataset.toml", as_of=DAY)
    source = workspace.read(RAW)["source"][0].as_py()
    mended = {9: {**_row(9, customer=ANN), "id": "T0009b"}, 33: _row(42, customer=EVE)}
    correct(workspace, {Place(arrived=DAY.isoformat(), source=source, row=row): mended[row] for row in mended})
    serve(workspace)
    run_pipeline(workspace, as_of=DAY, spark=spark)
    compare(workspace)
    score(workspace)
    return workspace


@pytest.fixture
def lake(made: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(made.root.parent, tmp_path / "copy")
    return Workspace.open(tmp_path / "copy" / "workspace")


@pytest.fixture
def ann(lake: Workspace) -> Person:
    return Person(customer=ANN, tickets=find_tickets(lake, read_dataset(lake), Person(customer=ANN)))


def contents(workspace: Workspace) -> dict[str, bytes]:
    return {str(path.relative_to(workspace.root)): path.read_bytes() for path in files(workspace)}


def files(workspace: Workspace) -> list[Path]:
    return sorted(path for path in workspace.lake.rglob("*") if path.is_file())


def forget(workspace: Workspace, person: Person, **knobs: Any) -> dict[tuple[str, bool], int]:
    held = forget_in_lake(workspace, read_dataset(workspace), person, **knobs)
    return {(one.table, one.shortened): one.rows for one in held}


def words(workspace: Workspace) -> str:
    """Every value of every table, as text."""
    return "\n".join(
        json.dumps(pq.ParquetFile(path).read().to_pylist(), default=str)
        for path in files(workspace)
        if path.suffix == ".parquet"
    )


def rows_of_others(workspace: Workspace) -> dict[str, list[str]]:
    """The rows of every table that do not name Ann, her tickets or their clusters."""
    told = {}
    for folder in sorted(workspace.lake.iterdir()):
        rows = [row for path in sorted(folder.rglob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()]
        texts = (json.dumps(row, default=str, sort_keys=True) for row in rows)
        told[folder.name] = sorted(text for text in texts if not any(f'"{one}' in text for one in (*THEIRS, f"<{ANN}")))
    return told


def conditions(workspace: Workspace, as_of: date = DAY) -> dict[str, str]:
    return {step.step: step.condition for step in pipeline_status(workspace, as_of=as_of).steps}


def test_all_tickets_of_a_person_are_found_also_refused_and_corrected_ones(lake: Workspace, ann: Person) -> None:
    assert ann.tickets == THEIRS
    dataset = read_dataset(lake)
    assert find_tickets(lake, dataset, Person(customer="nobody@example.com")) == frozenset()
    # A correction gave it this id, so the row that it corrects is the same ticket's.
    assert find_tickets(lake, dataset, Person(tickets=frozenset({"T0009b"}))) == {"T0009", "T0009b"}


def test_what_is_held_is_counted_and_nothing_changes(lake: Workspace, ann: Person) -> None:
    before = contents(lake)
    held = forget(lake, ann)
    assert contents(lake) == before
    assert held["raw", False] == 7  # five rows, a correction of one, one that could not be read
    assert held["quarantine", False] == 2
    assert held["tickets", False] == held["features", False] == held["signatures", False] == 4
    assert held["feedback", False] == held["suggestions", False] == held["suggestions", True] == 1
    assert held["backlog", False] == held["backlog", True] == 1
    assert {"outcomes", "splits", "pairs", "topics", "similarities", "imported_outcomes", "near_duplicates"} <= {
        table for table, _ in held
    }


def test_a_person_leaves_every_table_and_others_stay(lake: Workspace, ann: Person, spark: SparkSession) -> None:
    held, others = forget(lake, ann), rows_of_others(lake)
    steps = conditions(lake)

    assert forget(lake, ann, apply=True) == held

    said = words(lake).replace(f"jo{ANN}", "").replace(f"about {ANN}", "")  # others' own words
    assert ANN not in said.lower()
    assert customer_hash(ANN, salt="helpdesk") not in said
    assert not [name for name in THEIRS if f'"{name}"' in said or f'\\"{name}\\"' in said]
    left = rows_of_others(lake)
    for table in others.keys() - {"near_duplicates", "splits", "signatures"}:  # of nodes and clusters, see below
        assert [row for row in left[table] if row in others[table]] == others[table], table
    assert len(left["signatures"]) == len(left["tickets"])
    kept = json.loads(lake.read(SUGGESTIONS)["suggestion"][0].as_py())
    assert [one["ticket_id"] for one in kept["similar"]] == ["T0004"]
    assert conditions(lake) == steps
    assert made_from(lake, TOPICS) == {"fingerprint": "made", "counts": {"rows": 1}}
    assert set(steps.values()) == {"fresh"}
    assert check_lake(spark, lake) == []
    assert forget(lake, ann, apply=True) == {}
    assert not list(lake.aside_root.iterdir())


def test_those_who_were_alike_through_the_person_are_still_one_cluster(lake: Workspace, ann: Person) -> None:
    placed = {row["ticket_id"]: row["cluster"] for row in lake.read(SPLITS).to_pylist()}
    assert placed["T0002"] == placed["T0003"] == "T0001"
    forget(lake, ann, apply=True)
    placed = {row["ticket_id"]: row["cluster"] for row in lake.read(SPLITS).to_pylist()}
    assert placed["T0002"] == placed["T0003"] == "T0002"
    assert lake.read(NEAR_DUPLICATES).num_rows == 1


def test_no_night_works_for_it_or_brings_the_person_back(lake: Workspace, ann: Person, spark: SparkSession) -> None:
    engine = open_database(lake.default_database_url)
    key = customer_hash(ANN, salt="helpdesk")
    forget_rows(engine, ann.tickets | tickets_of(engine, key), at=NOON, actor="test")
    forget(lake, ann, apply=True)
    after = contents(lake)

    extract(lake, engine, as_of=NEXT)
    cleaned, featured, linked, labelled = take_up(lake, as_of=NEXT, spark=spark)

    assert contents(lake) == after
    assert [step.counts["days"] for step in (cleaned, featured, linked)] == [0, 0, 0]
    assert labelled.rows_in == 0
    assert [cleaned.counts[name] for name in ("raw", "tickets", "quarantine")] == [29, 28, 1]
    # The same night once more: its own day is taken from the database again, without the person.
    extract(lake, engine, as_of=DAY)
    cleaned = clean(lake, as_of=NEXT, spark=spark)
    assert [cleaned.counts[name] for name in ("raw", "tickets", "quarantine")] == [29, 28, 1]
    assert not THEIRS & set(lake.read(TICKETS)["ticket_id"].to_pylist())
    engine.dispose()


def test_an_unchanged_file_imported_again_does_not_bring_the_person_back(
    lake: Workspace, ann: Person, spark: SparkSession
) -> None:
    forget(lake, ann, apply=True)
    folder = lake.root.parent

    for day in (DAY, NEXT):
        import_files(lake, [folder / "tickets.csv"], folder / "dataset.toml", as_of=day)

    told = read_manifest(lake, "import", NEXT.isoformat())
    assert told is not None
    assert told.counts == {"raw": 28, "unreadable": 2, "skipped, forgotten": 5}
    again = [row for row in lake.read(RAW).to_pylist() if row["arrived"] == NEXT.isoformat()]
    assert {row["row"] for row in again} == {*range(1, 34)} - {1, 6, 8, 9, 31}
    assert all(json.loads(row["fields"])["id"] == f"T{row['row']:04d}" for row in again if not row["problem"])
    kept_out = (lake.root / "forgotten.txt").read_text(encoding="utf-8")
    assert "ann" not in kept_out
    assert "T0" not in kept_out


class KilledError(Exception):
    """Where a process would have ended."""


@pytest.mark.parametrize("after", [1, 4, 9, 13])
def test_a_run_that_is_killed_leaves_whole_tables_and_the_next_one_finishes(
    lake: Workspace, ann: Person, after: int
) -> None:
    held = forget(lake, ann)
    told: list[str] = []

    def report(line: str) -> None:
        told.append(line)
        if len(told) == after:
            raise KilledError

    with pytest.raises(KilledError):
        forget(lake, ann, apply=True, report=report)
    left = forget(lake, ann)
    assert 0 < len(left) < len(held)
    assert left.items() <= held.items()
    # The tickets are found again from what is left, but for those that only a derived table knew.
    assert find_tickets(lake, read_dataset(lake), Person(customer=ANN)) == THEIRS
    assert forget(lake, ann, apply=True) == left
    assert not [name for name in THEIRS if f'"{name}"' in words(lake)]


def test_tickets_without_a_customer_go_by_their_ids(lake: Workspace) -> None:
    person = Person(tickets=frozenset({"T0004"}))
    held = forget(lake, person, apply=True)
    assert held["raw", False] == held["tickets", False] == 1
    assert "T0004" not in lake.read(TICKETS)["ticket_id"].to_pylist()
    assert lake.read(QUARANTINE).num_rows == 3


NODES = st.integers(0, 12)


@settings(max_examples=60, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.sampled_from("ab"), NODES, NODES).filter(lambda one: one[1] != one[2]), max_size=25),
    leaving=st.sets(NODES, max_size=5),
)
def test_links_without_some_nodes_join_the_same_others(pairs: list[tuple[str, int, int]], leaving: set[int]) -> None:
    once = sorted(set(pairs))
    links = {
        day: pa.Table.from_pylist(
            [{"node": node, "first": first} for on, node, first in once if on == day], schema=NEAR_DUPLICATES.schema
        )
        for day in "ab"
    }

    after = {**links, **unlink(links, leaving)}

    def groups(tables: dict[str, pa.Table], without: set[int]) -> set[frozenset[int]]:
        whole = pa.concat_tables(tables.values())
        nodes, roots = connected(whole["node"].to_numpy(), whole["first"].to_numpy())
        found = [frozenset(nodes[roots == root].tolist()) - without for root in np.unique(roots)]
        return {one for one in found if len(one) > 1}

    assert groups(after, set()) == groups(links, leaving)
    for rows in after.values():
        assert not leaving & {*rows["node"].to_pylist(), *rows["first"].to_pylist()}
        told = [tuple(row.values()) for row in rows.to_pylist()]
        assert len(told) == len(set(told))
        assert all(node != first for node, first in told)
