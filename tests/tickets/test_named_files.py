"""Files that name a ticket are told, whatever they are; files that have its id for a number are not."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tickets.named_files import files_that_name


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("a.json", '{"ticket_id": "17"}', True),
        ("a.json", '{"rows": 17, "at": "2026-03-17"}', False),  # a short id is a whole value or nothing
        ("a.json", '{"said": "of T000017, again"}', True),
        ("a.json", '{"said": "of XT000017"}', False),
        ("a.jsonl", '{}\n{"ids": ["\\u00dc-4"]}\n', True),
        ("a.md", "Ticket 17: where is it?", True),
        ("a.md", r"Ticket a\_b\_c", True),
        ("a.md", "Ticket 170 of 2026-03-17", False),
        ("a.bin", "17", False),
    ],
)
def test_text_names_a_ticket_as_a_word_and_json_as_a_value(tmp_path: Path, name: str, text: str, named: bool) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    found = files_that_name(tmp_path, {"17", "T000017", "a_b_c", "Ü-4"})
    assert found == ([tmp_path / name] if named else [])


def test_tables_name_a_ticket_in_their_column_of_ids(tmp_path: Path) -> None:
    for name, columns in (
        ("own", {"ticket_id": ["1", "17"]}),
        ("other", {"ticket_id": ["1"]}),
        ("numbers", {"rows": ["17"]}),
    ):
        (tmp_path / "deep").mkdir(exist_ok=True)
        pq.write_table(pa.table(columns), tmp_path / "deep" / f"{name}.parquet")
    assert files_that_name(tmp_path, {"17"}) == [tmp_path / "deep" / "own.parquet"]
    assert files_that_name(tmp_path / "deep" / "own.parquet", {"17"}) == [tmp_path / "deep" / "own.parquet"]
    assert files_that_name(tmp_path, set()) == files_that_name(tmp_path / "none", {"17"}) == []
