"""What a night imports by itself: of the sources that dataset.toml lists, what no import has read."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from pathlib import Path

import pytest

from pipeline.importing import import_files, import_news
from tickets.errors import InputError, SourceError
from tickets.tables import RAW
from tickets.workspace import Workspace

DAY = date(2026, 3, 2)
DATASET = """
name = "own"
format = "csv"
files = [{ path = "history.csv", split = "train" }, { path = "inbox/*.csv" }]
[ticket]
ticket_id = "id"
created_at = "opened"
body = "text"
"""
QUERY = """
name = "own"
format = "database"
[source]
query = "select * from tickets where opened > :since order by opened"
watermark = "opened"
since = "2020-01-01 00:00:00"
[ticket]
ticket_id = "id"
created_at = "opened"
body = "text"
"""


def rows(path: Path, *numbers: int) -> None:
    path.parent.mkdir(exist_ok=True)
    lines = [f"{number},2026-03-01 10:00,Where is my refund {number}?" for number in numbers]
    path.write_text("\n".join(["id,opened,text", *lines]) + "\n", encoding="utf-8")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "dataset.toml").write_text(DATASET, encoding="utf-8")
    rows(tmp_path / "history.csv", 1, 2, 3)
    return tmp_path / "dataset.toml"


def test_each_file_comes_in_once_whatever_the_night(workspace: Workspace, dataset: Path) -> None:
    inbox = dataset.parent / "inbox"
    first = import_news(workspace, dataset, as_of=DAY)
    assert first is not None
    assert first.rows_in == 3
    assert import_news(workspace, dataset, as_of=DAY) is None
    rows(inbox / "b.csv", 5)
    rows(inbox / "a.csv", 4)
    rows(inbox / "again.csv", 4)  # the same export under another name
    second = import_news(workspace, dataset, as_of=DAY + timedelta(days=1))
    assert second is not None
    assert second.rows_in == 2
    rows(inbox / "b.csv", 5, 6)  # written anew
    third = import_news(workspace, dataset, as_of=DAY + timedelta(days=2))
    assert third is not None
    assert third.rows_in == 2
    assert import_news(workspace, dataset, as_of=DAY + timedelta(days=3)) is None
    told = workspace.read(RAW, ["fields", "split"]).to_pylist()
    assert [row["split"] for row in told].count("train") == 3
    assert len(told) == 7


def test_a_pattern_that_matches_nothing_is_no_file(workspace: Workspace, dataset: Path) -> None:
    dataset.write_text(DATASET.replace('{ path = "history.csv", split = "train" }, ', ""), encoding="utf-8")
    assert import_news(workspace, dataset, as_of=DAY) is None
    with pytest.raises(InputError, match="no file to import"):
        import_files(workspace, [], dataset, as_of=DAY)


def test_a_name_that_looks_like_a_pattern_is_a_name(workspace: Workspace, dataset: Path) -> None:
    rows(dataset.parent / "inbox" / "[1].csv", 9)
    dataset.write_text(DATASET.replace("inbox/*.csv", "inbox/[1].csv"), encoding="utf-8")
    found = import_news(workspace, dataset, as_of=DAY)
    assert found is not None
    assert found.rows_in == 4


def test_a_listed_file_that_is_gone_is_named(workspace: Workspace, dataset: Path) -> None:
    (dataset.parent / "history.csv").unlink()
    with pytest.raises(SourceError, match=r"history\.csv"):
        import_news(workspace, dataset, as_of=DAY)


def test_a_query_goes_on_where_it_stopped(workspace: Workspace, dataset: Path, tmp_path: Path) -> None:
    dataset.write_text(QUERY, encoding="utf-8")
    url = f"sqlite:///{tmp_path / 'helpdesk.db'}"
    found = []
    for number in range(2):
        with sqlite3.connect(tmp_path / "helpdesk.db") as database:
            database.execute("create table if not exists tickets (id text, opened text, text text)")
            at = f"2026-03-01 1{number}:00:00"
            database.execute("insert into tickets values (?, ?, 'Where is my refund?')", (str(number), at))
        done = import_news(workspace, dataset, as_of=DAY + timedelta(days=number), source_url=url)
        assert done is not None
        found.append(done.rows_in)
    assert found == [1, 1]
