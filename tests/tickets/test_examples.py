"""Examples: a ticket's latest version beside how it ended and the split it is in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickets.errors import MissingStepError
from tickets.examples import SCHEMA, read_examples, read_pairs
from tickets.tables import FEATURES, OUTCOMES, PAIRS, SPLITS, Table
from tickets.workspace import Workspace

Write = Callable[..., None]


def feature(ticket_id: str, text: str) -> dict[str, Any]:
    told = dict.fromkeys(("language", "channel", "attributes", "statistics"), "{}")
    return {"ticket_id": ticket_id, "created_at": datetime(2026, 1, 1, tzinfo=UTC), "text": text, **told}


def outcome(ticket_id: str, contact_type: str, **other: Any) -> dict[str, Any]:
    return {"ticket_id": ticket_id, "contact_type": contact_type, "source": "import", **other}


def place(ticket_id: str, arrived: str, split: str) -> dict[str, Any]:
    return {"ticket_id": ticket_id, "arrived": arrived, "split": split, "cluster": ticket_id}


@pytest.fixture
def lake(workspace: Workspace) -> Write:
    """`lake(table, rows, arrived=None)` adds a file of rows to a table."""

    def add(table: Table, rows: Sequence[dict[str, Any]], arrived: str | None = None) -> None:
        folder = workspace.table_path(table) / (f"arrived={arrived}" if arrived else "")
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(list(rows), schema=table.schema), folder / "part.parquet")

    return add


@pytest.fixture
def two_arrivals(workspace: Workspace, lake: Write) -> Workspace:
    """Three tickets of one day; on the next, `b` comes again, corrected, and `d`, which nobody has resolved."""
    lake(FEATURES, [feature("c", "third"), feature("a", "first"), feature("b", "old")], "2026-03-01")
    lake(FEATURES, [feature("d", "open"), feature("b", "corrected")], "2026-03-02")
    lake(
        OUTCOMES,
        [
            outcome("b", "lost", source="agent"),
            outcome("a", "refund", template_id="t-1"),
            outcome("c", "late"),
            outcome("gone", "late"),
        ],
    )
    placed = [("d", "2026-03-02", "unlabelled"), ("c", "2026-03-01", "test"), ("a", "2026-03-01", "train")]
    lake(SPLITS, [place(*row) for row in [*placed, ("b", "2026-03-02", "train")]])
    return workspace


def test_each_ticket_is_read_once_in_its_latest_version_and_sorted(two_arrivals: Workspace) -> None:
    table = read_examples(two_arrivals)
    assert table.schema.names == SCHEMA.names
    assert [field.type for field in table.schema] == [field.type for field in SCHEMA]
    assert table["ticket_id"].to_pylist() == ["a", "b", "c", "d"]
    assert table["text"].to_pylist() == ["first", "corrected", "third", "open"]


def test_how_a_ticket_ended_stands_beside_it_and_is_null_while_it_is_open(two_arrivals: Workspace) -> None:
    rows = {row["ticket_id"]: row for row in read_examples(two_arrivals).to_pylist()}
    ended = {name: (row["contact_type"], row["template_id"], row["outcome_source"]) for name, row in rows.items()}
    assert ended == {
        "a": ("refund", "t-1", "import"),
        "b": ("lost", None, "agent"),
        "c": ("late", None, "import"),
        "d": (None, None, None),
    }
    assert rows["d"]["split"] == "unlabelled"


def test_only_the_splits_asked_for_are_read(two_arrivals: Workspace) -> None:
    assert read_examples(two_arrivals, splits=["train"])["ticket_id"].to_pylist() == ["a", "b"]
    assert read_examples(two_arrivals, splits=["test", "unlabelled"])["ticket_id"].to_pylist() == ["c", "d"]


def test_a_split_without_tickets_is_an_empty_table(two_arrivals: Workspace) -> None:
    table = read_examples(two_arrivals, splits=["validation"])
    assert table.num_rows == 0
    assert table.schema.names == SCHEMA.names


def test_columns_come_as_they_are_named(two_arrivals: Workspace) -> None:
    table = read_examples(two_arrivals, splits=["train"], columns=["split", "text"])
    assert table.to_pylist() == [{"split": "train", "text": "first"}, {"split": "train", "text": "corrected"}]
    assert read_examples(two_arrivals, columns=["contact_type"])["contact_type"].to_pylist() == [
        *("refund", "lost", "late"),
        None,
    ]


def test_a_ticket_that_arrived_after_the_splits_were_made_waits_for_them(two_arrivals: Workspace, lake: Write) -> None:
    lake(FEATURES, [feature("e", "tomorrow"), feature("a", "tomorrow")], "2026-03-03")
    assert read_examples(two_arrivals)["text"].to_pylist() == ["first", "corrected", "third", "open"]


@pytest.mark.parametrize("missing", [SPLITS, OUTCOMES, FEATURES], ids=lambda table: table.name)
def test_a_step_that_has_not_run_is_named(two_arrivals: Workspace, missing: Table) -> None:
    two_arrivals.table_path(missing).rename(two_arrivals.root / "elsewhere")
    with pytest.raises(MissingStepError, match=missing.name):
        read_examples(two_arrivals)


def test_pairs_follow_their_tickets_into_a_split(two_arrivals: Workspace, lake: Write) -> None:
    sent = {"template_id": "t-1", "relevant": True}
    lake(PAIRS, [{"ticket_id": "a", **sent}, {"ticket_id": "c", **sent}], "2026-03-01")
    lake(PAIRS, [{"ticket_id": "b", **sent}], "2026-03-02")
    assert sorted(read_pairs(two_arrivals)["ticket_id"].to_pylist()) == ["a", "b", "c"]
    train = read_pairs(two_arrivals, splits=["train"])
    assert train.schema.names == PAIRS.schema.names
    assert sorted(train["ticket_id"].to_pylist()) == ["a", "b"]
    assert read_pairs(two_arrivals, splits=["test"], columns=["template_id"]).to_pylist() == [{"template_id": "t-1"}]


def test_pairs_before_their_step_are_missing(two_arrivals: Workspace) -> None:
    with pytest.raises(MissingStepError, match="pairs"):
        read_pairs(two_arrivals)
