"""Reading source files: what is refused with a clear sentence, and what is kept with its problem."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets import ready_dataset, ready_datasets
from pipeline.importing import import_files
from pipeline.rows import parse_boolean, parse_number, parse_time, read_row
from pipeline.sources.cfpb import check_header
from pipeline.sources.tabular import read_rows
from pipeline.text.clean import Refused
from tickets.dataset import Dataset, load_dataset
from tickets.errors import DatasetError, SourceError
from tickets.lineage import lineage
from tickets.tables import RAW
from tickets.workspace import Workspace

COLUMNS = ("id", "opened", "title", "text", "via", "customer", "product", "amount", "vip", "reason", "macro", "answer")
MakeRow = Callable[..., dict[str, str]]


@pytest.fixture
def dataset(dataset_file: Path) -> Dataset:
    return load_dataset(dataset_file)


def test_a_csv_without_a_needed_column_names_it_and_what_is_there(
    write_csv: Callable[..., Path], dataset: Dataset, make_row: MakeRow
) -> None:
    path = write_csv([make_row(1)], columns=[name for name in COLUMNS if name not in ("text", "opened")])

    with pytest.raises(SourceError, match=r"lacks columns 'opened', 'text'.*It has 'id', 'title'"):
        list(read_rows(path, dataset))


def test_columns_of_one_name_hide_nothing(tmp_path: Path, dataset: Dataset, make_row: MakeRow) -> None:
    sound = make_row(1)
    path = tmp_path / "twice.csv"
    path.write_text(
        f"{','.join(COLUMNS)},note,note,\n{','.join(sound.values())},first,second,third\n", encoding="utf-8"
    )
    (row,) = read_rows(path, dataset)
    fields = json.loads(row.fields)
    assert (fields["note"], fields["note (2)"], fields["unnamed"]) == ("first", "second", "third")


@pytest.mark.parametrize("content", [b"", b"id,opened\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, dataset: Dataset, content: bytes) -> None:
    path = tmp_path / "empty.csv"
    header = ",".join(COLUMNS).encode()
    path.write_bytes(content.replace(b"id,opened", header))

    with pytest.raises(SourceError, match="empty"):
        list(read_rows(path, dataset))


def test_broken_gzip_utf16_and_a_missing_file_are_refused_in_one_line(tmp_path: Path, dataset: Dataset) -> None:
    cut, utf16 = tmp_path / "cut.csv.gz", tmp_path / "utf16.csv"
    cut.write_bytes(gzip.compress((",".join(COLUMNS) + "\n" + "a," * 5_000).encode())[:-20])
    utf16.write_text(",".join(COLUMNS), encoding="utf-16")

    for path, said in ((cut, "cut short"), (utf16, "UTF-16"), (tmp_path / "none.csv", "cannot read")):
        with pytest.raises(SourceError, match=said):
            list(read_rows(path, dataset))


def test_a_row_that_cannot_be_read_is_kept_with_its_problem(tmp_path: Path, dataset: Dataset) -> None:
    lines = [",".join(COLUMNS).encode(), b"1,2", b",".join([b"x"] * 14), b"7,2026-01-01," + b"caf\xe9 \\x41" + b"," * 9]
    path = tmp_path / "tickets.csv"
    path.write_bytes(b"\r\n".join(lines))

    rows = list(read_rows(path, dataset))

    assert [found.problem for found in rows] == [
        "wrong number of columns: 2 instead of 12",
        "wrong number of columns: 14 instead of 12",
        "invalid UTF-8",
    ]
    assert json.loads(rows[1].fields)[""] == ["x", "x"]
    assert json.loads(rows[2].fields)["title"] == "caf\\xe9 \\x41"


def test_a_field_of_a_megabyte_and_gzip_are_read(
    write_csv: Callable[..., Path], dataset: Dataset, tmp_path: Path, make_row: MakeRow
) -> None:
    plain = write_csv([make_row(1, text="word " * 200_000)])
    packed = tmp_path / "tickets.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))

    assert [found.fields for found in read_rows(packed, dataset)] == [
        found.fields for found in read_rows(plain, dataset)
    ]
    assert len(json.loads(next(read_rows(plain, dataset)).fields)["text"]) == 1_000_000


def test_json_lines_reach_inside_objects_and_keep_broken_lines(
    tmp_path: Path, dataset: Dataset, make_row: MakeRow
) -> None:
    described = replace(dataset, format="jsonl", ticket={**dataset.ticket, "customer_key": "requester.mail"})
    good = {**make_row(1), "requester": {"mail": "a@b.org"}, "amount": 5, "vip": True}
    path = tmp_path / "tickets.jsonl"
    path.write_bytes(
        b"\n".join([json.dumps(good).encode(), b"{broken", b"[1]", b'{"id": "\xff"}', b'{"id": "\\ud800"}'])
    )

    rows = list(read_rows(path, described))

    assert [found.problem for found in rows] == [
        *(None, "broken JSON", "broken JSON: list instead of an object", "invalid UTF-8", "invalid UTF-8"),
    ]
    ticket, _, _ = read_row(rows[0].fields, described, source="tickets.jsonl#1", row=1)
    assert ticket.customer_key is not None
    assert ticket.attributes == {"product": "parcel", "amount": 5.0, "vip": True}


def test_a_sound_json_line_is_kept_as_it_stands(tmp_path: Path, dataset: Dataset, make_row: MakeRow) -> None:
    """Spaces, escapes, long numbers and the order of fields are the source's own."""
    row = make_row(1)
    lines = [
        json.dumps({**row, "text": "caf\u00e9 \u2028 \U0001f600"}),
        json.dumps({**row, "amount": 12345678901234567890123}),
        json.dumps(row).replace('"12.50"', "1e-7"),
        json.dumps(row).replace('"12.50"', "NaN"),
        "\ufeff" + json.dumps(row),
    ]
    path = tmp_path / "tickets.jsonl"
    path.write_text("  \r\n".join(lines), encoding="utf-8")

    rows = list(read_rows(path, replace(dataset, format="jsonl")))

    assert [found.problem for found in rows] == [None] * 5
    assert [found.fields for found in rows[:3]] == lines[:3]
    assert json.loads(rows[0].fields)["text"] == "caf\u00e9 \u2028 \U0001f600"
    assert json.loads(rows[4].fields) == row
    assert "NaN" in rows[3].fields


def test_json_that_no_later_reader_could_follow_is_refused_with_its_line(
    tmp_path: Path, dataset: Dataset, make_row: MakeRow
) -> None:
    deep = json.dumps(make_row(2))[:-1] + ', "x": ' + "[" * 600 + "]" * 600 + "}"
    wide = json.dumps({**make_row(3), "x": [{} for _ in range(1_000)]})
    path = tmp_path / "tickets.jsonl"
    path.write_text("\n".join([json.dumps(make_row(1)), deep, wide]), encoding="utf-8")

    rows = list(read_rows(path, replace(dataset, format="jsonl")))

    assert [found.problem for found in rows] == [None, "broken JSON: nested more than 200 levels deep", None]
    assert json.loads(rows[1].fields)[""] == deep


def test_the_same_file_makes_the_same_bytes_in_any_workspace(
    tmp_path: Path, dataset_file: Path, write_csv: Callable[..., Path], make_row: MakeRow
) -> None:
    path = write_csv([make_row(number) for number in range(1, 5_001)])
    content = []
    for name in ("first", "second"):
        workspace = Workspace.create(tmp_path / name)
        import_files(workspace, [path], dataset_file, as_of=date(2026, 3, 2))
        parts = sorted(workspace.table_path(RAW).rglob("*.parquet"))
        content.append([(part.name, part.read_bytes()) for part in parts])

    assert content[0] == content[1]
    assert len(content[0]) == 1


def test_json_lines_without_the_body_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    path = tmp_path / "tickets.jsonl"
    path.write_text('{"id": 1, "opened": "2026-01-01"}\n', encoding="utf-8")

    with pytest.raises(SourceError, match="'text'"):
        list(read_rows(path, replace(dataset, format="jsonl")))


def test_parquet_is_read_with_its_types(tmp_path: Path, dataset: Dataset, make_row: MakeRow) -> None:
    path = tmp_path / "tickets.parquet"
    rows = [{**make_row(1), "opened": datetime(2026, 1, 1, tzinfo=UTC), "amount": 3.5, "vip": True, "id": 17.0}]
    pq.write_table(pa.Table.from_pylist(rows), path)

    (found,) = read_rows(path, replace(dataset, format="parquet"))
    ticket, _, misread = read_row(found.fields, dataset, source="tickets.parquet#1", row=1)

    assert (ticket.ticket_id, ticket.created_at, misread) == ("17", datetime(2026, 1, 1, tzinfo=UTC), 0)
    assert ticket.attributes == {"product": "parcel", "amount": 3.5, "vip": True}


def test_no_parquet_file_is_refused(write_csv: Callable[..., Path], dataset: Dataset, make_row: MakeRow) -> None:
    with pytest.raises(SourceError, match="no Parquet"):
        list(read_rows(write_csv([make_row(1)]), replace(dataset, format="parquet")))


def test_dates_are_read_in_the_datasets_zone(dataset: Dataset) -> None:
    assert parse_time("2026-01-31T12:00:00", dataset) == datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert parse_time("2026-01-31T12:00:00Z", dataset) == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert parse_time("01/31/2026", replace(dataset, timezone="UTC")) == datetime(2026, 1, 31, tzinfo=UTC)
    german = replace(dataset, timezone="UTC", created_at_format="%d.%m.%Y")
    assert parse_time("31.01.2026", german) == datetime(2026, 1, 31, tzinfo=UTC)
    for broken in ("", "yesterday", "2026-02-30", "0001-01-01", "31.01.2026"):
        with pytest.raises(ValueError, match="no date"):
            parse_time(broken, dataset)


def test_numbers_and_booleans_are_read_as_people_write_them() -> None:
    assert [parse_number(text) for text in ("1,299.50", "$12", "7 %", "", "n/a", "inf", None, True)] == [
        *(1299.5, 12.0, 7.0, None, None, None, None, None),
    ]
    assert [
        parse_number(text) for text in ("-1,299", "$1,000,000", "1,00,000.5", "12,50", "1.299,50", "1,2,3", "1_0")
    ] == [
        *(-1299.0, 1_000_000.0, 100_000.5, None, None, None, None),
    ]
    assert [parse_boolean(text) for text in ("Yes", "0", "1.0", "maybe", None)] == [True, False, True, None, None]


def test_a_broken_date_says_what_was_expected(dataset: Dataset, make_row: MakeRow) -> None:
    with pytest.raises(Refused, match="'opened' holds 'soon'") as refused:
        read_row(json.dumps(make_row(1, opened="soon")), dataset, source="t.csv#1", row=1)

    assert refused.value.reason == "broken date"


def test_a_day_of_raw_rows_is_traced_to_the_files_they_came_from(
    workspace: Workspace, dataset_file: Path, write_csv: Callable[..., Path], make_row: MakeRow
) -> None:
    day = date(2026, 3, 2)
    manifest = import_files(workspace, [write_csv([make_row(1), make_row(2)])], dataset_file, as_of=day)
    assert (manifest.rows_in, manifest.rows_out) == (2, 2)
    import_files(workspace, [write_csv([make_row(3)], name="more.csv")], dataset_file, as_of=day)

    told = lineage(workspace, RAW, day.isoformat())

    assert (told.rows, told.steps) == (3, ("import 2026-03-02",))
    assert [node.name.partition("#")[0] for node in told.leaves()] == ["more.csv", "tickets.csv"]


def test_the_cfpb_export_is_recognised_by_its_header() -> None:
    dataset = load_dataset(ready_dataset("cfpb"))
    path = Path("complaints.csv")

    with pytest.raises(SourceError, match="search API"):
        check_header(["complaint_what_happened", "date_received", "product"], path, dataset)
    with pytest.raises(SourceError, match="no column of the official export"):
        check_header(["a", "b"], path, dataset)
    with pytest.raises(
        SourceError, match=r"lacks the column 'Consumer complaint narrative'.*and lacks .*'Date sent to company'"
    ):
        check_header(
            [
                "Date received",
                "Product",
                "Issue",
                "Company",
                "State",
                "ZIP code",
                "Tags",
                "Submitted via",
                "Complaint ID",
            ],
            path,
            dataset,
        )


def test_every_ready_dataset_loads_and_others_are_named() -> None:
    assert ready_datasets() == ["banking77", "bitext", "cfpb", "zendesk"]
    for name in ready_datasets():
        assert load_dataset(ready_dataset(name)).name == name
    with pytest.raises(DatasetError, match="banking77, bitext, cfpb, zendesk"):
        ready_dataset("../x")
