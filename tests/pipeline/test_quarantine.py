"""Refused rows: listed whole, tried again after a fix, mended by hand; nothing is lost and twice is once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.cleaning import clean
from pipeline.corrections import Place, correct, out_of_force, raw_id, read_in_force
from pipeline.importing import import_files
from pipeline.lake import parts_of
from pipeline.outcomes import label
from pipeline.units import units_of
from pipeline.upkeep.quarantine import Chosen, Replayed, count_reasons, forget, read_corrected, refused, replay
from tickets.errors import InputError
from tickets.lineage import lineage
from tickets.manifests import MADE_FROM, read_manifest
from tickets.records import Ticket, to_json
from tickets.tables import QUARANTINE, RAW, SERVICE, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 3, 2)
AT = datetime(2026, 3, 1, tzinfo=UTC)
MakeRow = Callable[..., dict[str, str]]
WriteCsv = Callable[..., Path]


@pytest.fixture
def refusing(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> Workspace:
    """Two rows with a broken date, one without text, two that are sound; the first three are in quarantine."""
    rows = [make_row(1, opened="soon"), make_row(2), make_row(3, text=""), make_row(4, opened="later"), make_row(5)]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)
    clean(workspace, as_of=DAY, spark=spark)
    return workspace


def versions(workspace: Workspace, day: str, *, source: str, row: int) -> list[dict[str, Any]]:
    """A raw row and what was put in its place, each with its `id` and what it `corrects`."""
    found = []
    for path in parts_of(workspace, RAW, day):
        for one in pq.read_table(path).to_pylist():
            if (one["source"], one["row"]) == (source, row):
                corrects = one.get("corrects")
                found.append({**one, "corrects": corrects, "id": raw_id(source, row, one["fields"], corrects)})
    return sorted(found, key=lambda one: one["corrects"] is not None)


def again(workspace: Workspace, spark: SparkSession, corrected: Path | None = None, **chosen: Any) -> Replayed:
    return replay(
        workspace,
        as_of=DAY,
        chosen=Chosen(**chosen),
        corrected=corrected,
        rerun=lambda: clean(workspace, as_of=DAY, spark=spark),
    )


def mended(workspace: Workspace, path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], **chosen: Any) -> Path:
    """The chosen rows as `triage quarantine list --json` prints them, their fields changed."""
    lines = [{**row, "fields": change(row["fields"])} for row in refused(workspace, Chosen(**chosen))]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def ids(workspace: Workspace) -> list[str]:
    return sorted(workspace.read(TICKETS)["ticket_id"].to_pylist())


def test_refused_rows_are_counted_and_told_whole(refusing: Workspace) -> None:
    day = DAY.isoformat()
    assert count_reasons(refusing, Chosen()) == [
        {"step": "clean", "reason": "broken date", "rows": 2, "first": day, "last": day},
        {"step": "clean", "reason": "empty body", "rows": 1, "first": day, "last": day},
    ]
    first, second = refused(refusing, Chosen(reason="broken date", step="clean", day=day))
    assert first["fields"]["opened"] == "soon"
    assert first["fields"]["text"].startswith("My parcel")
    assert first["id"] != second["id"]
    assert [row["row"] for row in refused(refusing, Chosen(ids=frozenset({second["id"]})))] == [4]
    assert count_reasons(refusing, Chosen(ids=frozenset({second["id"]})))[0]["rows"] == 1
    assert list(refused(refusing, Chosen(day="2026-03-01"))) == []
    assert count_reasons(refusing, Chosen(step="label")) == []


def test_after_a_fix_in_dataset_toml_rows_leave_the_quarantine(refusing: Workspace, spark: SparkSession) -> None:
    described = refusing.catalogue / "dataset.toml"
    text = described.read_text(encoding="utf-8")
    described.write_text(text.replace('body = "text"', 'body = "title"'), encoding="utf-8")

    done = again(refusing, spark, reason="empty body")

    assert (done.chosen, done.left, done.days) == (1, 1, (DAY.isoformat(),))
    assert ids(refusing) == ["T0002", "T0003", "T0005"]
    assert [entry["reason"] for entry in count_reasons(refusing, Chosen())] == ["broken date"]
    assert again(refusing, spark, reason="empty body") == Replayed(chosen=0, left=0, days=())


def test_without_a_fix_the_same_rows_are_refused_again(refusing: Workspace, spark: SparkSession) -> None:
    before = refusing.read(QUARANTINE)
    done = again(refusing, spark)
    assert (done.chosen, done.left) == (3, 0)
    assert refusing.read(QUARANTINE).equals(before)


def test_days_to_be_made_anew_are_made_anew_up_to_their_outcomes(refusing: Workspace, spark: SparkSession) -> None:
    label(refusing, as_of=DAY, spark=spark)
    forget(refusing, [DAY.isoformat()])
    assert not list(refusing.lake.rglob(MADE_FROM))

    clean(refusing, as_of=DAY, spark=spark)

    assert label(refusing, as_of=DAY, spark=spark).rows_in == 2


def test_mended_rows_leave_the_quarantine_and_what_they_correct_is_kept(
    refusing: Workspace, spark: SparkSession, tmp_path: Path
) -> None:
    raw = refusing.read(RAW).to_pylist()
    path = mended(refusing, tmp_path / "m.jsonl", lambda row: {**row, "opened": "2026-02-01"}, reason="broken date")

    done = again(refusing, spark, path)

    assert done.corrected is not None
    assert (done.chosen, done.left, done.corrected.written) == (2, 2, 2)
    assert ids(refusing) == ["T0001", "T0002", "T0004", "T0005"]
    assert [row["row"] for row in refused(refusing, Chosen())] == [3]
    kept = refusing.read(RAW).to_pylist()
    assert len(kept) == 7
    assert all(row in kept for row in raw)
    cleaned = read_manifest(refusing, "clean", DAY.isoformat())
    assert cleaned is not None
    assert [cleaned.counts[name] for name in ("raw", "tickets", "quarantine")] == [5, 4, 1]

    original, correction = versions(refusing, DAY.isoformat(), source=raw[0]["source"], row=1)
    assert json.loads(original["fields"])["opened"] == "soon"
    assert json.loads(correction["fields"])["opened"] == "2026-02-01"
    assert correction["corrects"] == original["id"]
    told = lineage(refusing, RAW, DAY.isoformat())
    assert any(node.name.startswith("m.jsonl#") for node in told.leaves())


def test_a_mended_text_may_hold_any_separator_that_is_no_end_of_line(refusing: Workspace, tmp_path: Path) -> None:
    odd = "One\u2028two\x85three\x0bfour"
    (row,) = refused(refusing, Chosen(reason="empty body"))
    path = tmp_path / "m.jsonl"
    path.write_text(json.dumps({**row, "fields": {**row["fields"], "text": odd}}, ensure_ascii=False), encoding="utf-8")
    assert [line["fields"]["text"] for line in read_corrected(path).values()] == [odd]


def test_replaying_the_same_rows_twice_changes_nothing(
    refusing: Workspace, spark: SparkSession, tmp_path: Path
) -> None:
    path = mended(refusing, tmp_path / "m.jsonl", lambda row: {**row, "opened": "2026-02-01"}, reason="broken date")
    again(refusing, spark, path)
    before = {path: path.read_bytes() for path in refusing.root.rglob("*") if path.is_file()}

    done = again(refusing, spark, path)

    assert done.corrected is not None
    assert (done.corrected.written, done.corrected.unchanged, done.days) == (0, 2, ())
    assert {path: path.read_bytes() for path in refusing.root.rglob("*") if path.is_file()} == before


def test_a_row_mended_wrongly_can_be_mended_again_and_put_back(
    refusing: Workspace, spark: SparkSession, tmp_path: Path
) -> None:
    for text, left in (("&nbsp;", 0), ("At last.", 1)):
        path = mended(refusing, tmp_path / "m.jsonl", lambda row, text=text: {**row, "text": text}, reason="empty body")  # type: ignore[misc]
        assert again(refusing, spark, path).left == left
    assert "T0003" in ids(refusing)

    # Back to what it was: a third version, which is in force though it equals the first.
    path.write_text(path.read_text(encoding="utf-8").replace("At last.", ""), encoding="utf-8")
    again(refusing, spark, path)

    assert "T0003" not in ids(refusing)
    assert [row["reason"] for row in refused(refusing, Chosen(reason="empty body"))] == ["empty body"]
    cleaned = read_manifest(refusing, "clean", DAY.isoformat())
    assert cleaned is not None
    assert cleaned.counts["raw"] == cleaned.counts["tickets"] + cleaned.counts["quarantine"] == 5


def test_rows_imported_anew_win_over_corrections_of_rows_that_are_gone(
    refusing: Workspace, spark: SparkSession, tmp_path: Path
) -> None:
    path = mended(refusing, tmp_path / "m.jsonl", lambda row: {**row, "text": "By hand."}, reason="empty body")
    again(refusing, spark, path)
    day = DAY.isoformat()
    (imported,) = [path for path in parts_of(refusing, RAW, day) if not path.name.startswith("corrected-")]
    rows = pq.read_table(imported)
    changed = pc_replace(rows, "fields", 2, rows["fields"][1].as_py().replace("T0002", "T0003"))
    pq.write_table(changed, imported)

    assert out_of_force(refusing, [day]) == {correction_id(refusing, day)}
    (unit,) = units_of(day, parts_of(refusing, RAW, day))
    in_force = [row for _, rows in read_in_force(unit, out_of_force(refusing, [day])) for row in rows.to_pylist()]
    assert len(in_force) == 5
    assert not any("By hand." in row["fields"] for row in in_force)


def pc_replace(rows: pa.Table, column: str, place: int, value: str) -> pa.Table:
    values = rows[column].to_pylist()
    values[place] = value
    return rows.set_column(rows.schema.get_field_index(column), rows.schema.field(column), [values])


def correction_id(workspace: Workspace, day: str) -> str:
    (path,) = [path for path in parts_of(workspace, RAW, day) if path.name.startswith("corrected-")]
    (row,) = pq.ParquetFile(path).read().to_pylist()
    return raw_id(row["source"], row["row"], row["fields"], row["corrects"])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda line: "{", "line 1 is not valid JSON"),
        (lambda line: json.dumps({**line, "row": 2}), "id of line 1 does not belong"),
        (lambda line: json.dumps({**line, "fields": "text"}), "line 1 is no refused row"),
        (
            lambda line: json.dumps(line) + "\n" + json.dumps({**line, "fields": {}}),
            "line 2 corrects a row that another",
        ),
    ],
)
def test_a_file_of_corrections_that_cannot_be_right_changes_nothing(
    refusing: Workspace, spark: SparkSession, tmp_path: Path, spoil: Callable[[dict[str, Any]], str], says: str
) -> None:
    line = next(refused(refusing, Chosen()))
    path = tmp_path / "m.jsonl"
    path.write_text(spoil(line), encoding="utf-8")
    before = refusing.read(RAW)

    with pytest.raises(InputError, match=says):
        again(refusing, spark, path)

    assert refusing.read(RAW).equals(before)


def test_rows_of_the_service_must_stay_tickets(workspace: Workspace) -> None:
    ticket = to_json(Ticket(ticket_id="T1", created_at=AT, body=""))
    store(workspace, f"{SERVICE}-0000.parquet", [(SERVICE, 1, json.dumps(ticket))])
    place = Place(arrived=DAY.isoformat(), source=SERVICE, row=1)

    for wrong in ({**ticket, "body": 5}, {"id": 1}, {**ticket, "created_at": "soon"}):
        with pytest.raises(InputError, match="no ticket as the service takes it"):
            correct(workspace, {place: wrong})
    assert correct(workspace, {place: {**ticket, "body": "Hello"}}).written == 1


def test_what_is_no_source_row_cannot_be_corrected(workspace: Workspace) -> None:
    store(workspace, "000001-0123456789abcdef-012345-0000.parquet", [("a.csv#1", 1, "{}")])
    with pytest.raises(InputError, match="row 0 of 'feedback:f1' is not among the raw rows") as caught:
        correct(workspace, {Place(arrived=DAY.isoformat(), source="feedback:f1", row=0): {"a": 1}})
    assert "new label" in caught.value.hint


def store(workspace: Workspace, name: str, rows: list[tuple[str, int, str]]) -> None:
    folder = workspace.table_path(RAW) / f"arrived={DAY}"
    folder.mkdir(parents=True, exist_ok=True)
    given_rows = [{"source": source, "row": row, "fields": fields} for source, row, fields in rows]
    pq.write_table(pa.Table.from_pylist(given_rows, schema=RAW.schema), folder / name)


values = st.dictionaries(st.sampled_from("ab"), st.one_of(st.text(max_size=3), st.floats(), st.none()), max_size=2)
corrections = st.lists(st.dictionaries(st.integers(1, 3), values, min_size=1), max_size=5)


@settings(max_examples=25, deadline=None)
@given(rounds=corrections)
def test_whatever_is_corrected_each_row_is_in_force_once_and_twice_is_once(
    rounds: list[dict[int, dict[str, Any]]],
) -> None:
    day = DAY.isoformat()
    with TemporaryDirectory() as root:
        workspace = Workspace.create(Path(root))
        store(workspace, "000001-0123456789abcdef-012345-0000.parquet", [("s", row, '{"a":"x"}') for row in (1, 2, 3)])
        expected: dict[int, dict[str, Any]] = {row: {"a": "x"} for row in (1, 2, 3)}
        stored = 3
        for correction in rounds:
            expected |= correction
            mended = {Place(arrived=day, source="s", row=row): fields for row, fields in correction.items()}
            stored += correct(workspace, mended).written
            repeated = correct(workspace, mended)

            assert (repeated.written, repeated.unchanged, repeated.days) == (0, len(correction), ())
            (unit,) = units_of(day, parts_of(workspace, RAW, day))
            found = [row for _, rows in read_in_force(unit, out_of_force(workspace, [day])) for row in rows.to_pylist()]
            told = {row["row"]: row["fields"] for row in found}
            assert len(found) == 3
            assert {row: _same(json.loads(fields)) for row, fields in told.items()} == {
                row: _same(fields) for row, fields in expected.items()
            }
            assert workspace.read(RAW).num_rows == stored


def _same(fields: dict[str, Any]) -> str:
    """NaN equals NaN, and half a character what it is kept as."""
    return json.dumps(fields, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace").decode()
