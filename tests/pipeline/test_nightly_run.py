"""The whole pipeline on real Spark: nothing is lost, a rerun changes nothing, a killed step leaves what was there."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.__main__ import main
from pipeline.cleaning import clean, ticket_values
from pipeline.importing import import_files
from pipeline.nightly import run_pipeline
from pipeline.outcomes import label
from pipeline.rows import read_row
from pipeline.text.clean import clean_ticket
from tickets.catalogue import read_dataset, read_templates, read_tree
from tickets.errors import InputError, MissingStepError, SourceError
from tickets.examples import read_examples
from tickets.manifests import MADE_FROM, read_manifest
from tickets.tables import FEATURES, IMPORTED_OUTCOMES, OUTCOMES, PAIRS, QUARANTINE, RAW, SPLITS, TABLES, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 3, 2)
MakeRow = Callable[..., dict[str, str]]
WriteCsv = Callable[..., Path]


def test_bad_rows_are_quarantined_with_their_reason_and_none_is_lost(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    path = write_csv(
        [
            make_row(1),
            make_row(2, opened="soon"),
            make_row(3, text="   "),
            make_row(4, text="first version"),
            make_row(4, text="second version"),
            make_row(5, text="word " * 200_000),
            make_row(6, opened="2027-01-01"),
            make_row(7, id=""),
            make_row(8, amount="a lot", vip="perhaps"),
            make_row(9, reason=""),
        ]
    )
    with open(path, "ab") as file:
        file.write(b"T0010,2026-01-01,caf\xe9,text" + b"," * 8 + b"\r\nT0011,too,short\r\n")

    imported = import_files(workspace, [path], dataset_file, as_of=DAY)
    cleaned = clean(workspace, as_of=DAY, spark=spark)

    assert imported.counts == {"raw": 12, "unreadable": 2}
    assert (cleaned.counts["raw"], cleaned.counts["tickets"], cleaned.counts["quarantine"]) == (12, 5, 7)
    assert cleaned.counts["attribute values not understood"] == 2
    refused = workspace.read(QUARANTINE).to_pylist()
    assert Counter(found["reason"] for found in refused) == {
        **{"broken date": 1, "empty body": 1, "duplicate ticket id": 1, "created in the future": 1, "no ticket id": 1},
        **{"invalid UTF-8": 1, "wrong number of columns": 1},
    }
    assert all(found["detail"] and found["step"] == "clean" for found in refused)
    raw = {(found["source"], found["row"]): found["fields"] for found in workspace.read(RAW).to_pylist()}
    assert all(raw[found["source"], found["row"]] == found["fields"] for found in refused)
    bodies = {found["ticket_id"]: found["body"] for found in workspace.read(TICKETS).to_pylist()}
    assert bodies["T0004"] == "second version"
    assert 90_000 < len(bodies["T0005"]) <= 100_000


def test_spark_writes_the_very_bytes_of_the_pure_function(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    texts = [
        "<p>Hi John,</p>mail a@b.org",
        "Größe “naïve” 😀\nOn 1 Mar 2026 x wrote:\n> no",
        "tel 415-555-2671\n\nThanks,\nAnn",
    ]
    rows = [make_row(number, text=f"{texts[number % 3]} {number}", title="Re: <b>x</b>") for number in range(60)]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)

    clean(workspace, as_of=DAY, spark=spark)

    dataset = read_dataset(workspace)
    expected = []
    for raw in workspace.read(RAW).to_pylist():
        ticket, _, _ = read_row(raw["fields"], dataset, source=raw["source"], row=raw["row"])
        values = (*ticket_values(clean_ticket(ticket, dataset.languages)), None, DAY.isoformat())
        expected.append(dict(zip((*TICKETS.schema.names, "arrived"), values, strict=True)))
    assert _sorted(workspace.read(TICKETS).to_pylist()) == _sorted(expected)


@pytest.mark.slow
def test_a_rerun_gives_the_same_tables_and_new_days_are_added(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    said: list[str] = []
    import_files(workspace, [write_csv(make_row(number) for number in range(40))], dataset_file, as_of=DAY)
    first = run_pipeline(workspace, as_of=DAY, spark=spark, report=said.append)
    before = _contents(workspace)

    import_files(workspace, [write_csv(make_row(number) for number in range(40))], dataset_file, as_of=DAY)
    again = run_pipeline(workspace, as_of=DAY, spark=spark)

    assert [manifest.step for manifest in first] == ["clean", "featurise", "duplicates", "label", "split", "pairs"]
    assert _contents(workspace) == before
    assert again[0].counts == {**first[0].counts, "days": 0}
    assert any("40 rows -> 40 tickets, 0 quarantined" in line for line in said)
    assert workspace.read(FEATURES).num_rows == 40
    assert {template.template_id: template.body for template in read_templates(workspace)} == {
        **{"late": "We look into it.", "refund": "The money is on its way."},
    }
    for table in TABLES[: TABLES.index(PAIRS) + 1]:
        read = workspace.read(table).schema
        assert [read.field(field.name).type for field in table.schema] == [field.type for field in table.schema]

    tomorrow = DAY + timedelta(days=1)
    changed = write_csv([make_row(1, text="I wrote this later."), make_row(41)], name="new.csv")
    import_files(workspace, [changed], dataset_file, as_of=tomorrow)
    third = run_pipeline(workspace, as_of=tomorrow, spark=spark)

    assert [manifest.counts.get("days") for manifest in third] == [1, 1, 1, None, None, 2]
    features = {found["ticket_id"]: found for found in read_examples(workspace).to_pylist()}
    assert len(features) == 41
    assert features["T0001"]["text"].endswith("I wrote this later.")
    assert not list(workspace.aside_root.iterdir())


@pytest.mark.slow
def test_any_night_can_be_replayed_also_after_late_and_corrected_tickets(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    nights = [DAY + timedelta(days=number) for number in range(3)]
    told: dict[date, dict[str, list[Any]]] = {}
    marked: list[bytes] = []
    for night, rows in zip(
        nights,
        (
            [make_row(number) for number in range(30)],
            [make_row(number) for number in range(30, 36)] + [make_row(3, reason="Payment::Refund", macro="refund")],
            [make_row(50, opened="2025-12-24"), make_row(4, text="What I meant: it came broken.")],  # late; corrected
        ),
        strict=True,
    ):
        import_files(workspace, [write_csv(rows, name=f"{night}.csv")], dataset_file, as_of=night)
        run_pipeline(workspace, as_of=night, spark=spark)
        told[night] = _narrow(workspace)
        marked.append((workspace.table_path(PAIRS) / MADE_FROM).read_bytes())

    (workspace.table_path(PAIRS) / MADE_FROM).write_bytes(marked[0])  # as if each night after had died at its end
    assert len({json.dumps(tables, default=str) for tables in told.values()}) == 3
    for night in (nights[0], nights[2], nights[1], nights[2]):
        replayed = run_pipeline(workspace, as_of=night, spark=spark)
        assert _narrow(workspace) == told[night], night
        assert [manifest.counts["days"] for manifest in replayed[:3]] == [0, 0, 0]
    examples = {found["ticket_id"]: found for found in read_examples(workspace).to_pylist()}
    assert len(examples) == 37
    assert "it came broken" in examples["T0004"]["text"]
    assert examples["T0003"]["contact_type"] == "Payment::Refund"


def _narrow(workspace: Workspace) -> dict[str, list[Any]]:
    """What follows from all arrivals up to a night."""
    return {table.name: _sorted(workspace.read(table).to_pylist()) for table in (OUTCOMES, SPLITS, PAIRS)}


def test_pairs_hold_the_template_sent_and_others_that_were_not(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    rows = [make_row(number, macro=f"m{number % 6}", answer=f"Answer {number % 6}") for number in range(60)]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)
    run_pipeline(workspace, as_of=DAY, spark=spark)

    pairs = workspace.read(PAIRS).to_pylist()

    sent = {found["ticket_id"]: found["template_id"] for found in pairs if found["relevant"]}
    outcomes = {found["ticket_id"]: found for found in workspace.read(OUTCOMES).to_pylist()}
    assert sent == {ticket: outcomes[ticket]["template_id"] for ticket in sent}
    assert {found["negative"] for found in pairs if found["relevant"]} == {None}
    serving = {template.template_id: set(template.contact_types) for template in read_templates(workspace)}
    for found in pairs:
        if not found["relevant"]:
            assert found["template_id"] != sent[found["ticket_id"]]
            hard = outcomes[found["ticket_id"]]["contact_type"] in serving[found["template_id"]]
            assert found["negative"] == ("same contact type" if hard else "random")


def test_an_import_that_fails_changes_nothing(
    workspace: Workspace, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv, tmp_path: Path
) -> None:
    good = write_csv([make_row(1)])
    wrong = write_csv([make_row(2)], name="wrong.csv", columns=["id", "opened"])

    with pytest.raises(SourceError, match="lacks"):
        import_files(workspace, [good, wrong], dataset_file, as_of=DAY)

    assert workspace.partitions(RAW) == []
    assert not (workspace.catalogue / "dataset.toml").exists()
    import_files(workspace, [good], dataset_file, as_of=DAY)
    other = tmp_path / "other.toml"
    other.write_text(dataset_file.read_text(encoding="utf-8").replace("helpdesk", "shop"), encoding="utf-8")
    with pytest.raises(InputError, match="own workspace"):
        import_files(workspace, [good], other, as_of=DAY)


def test_a_step_that_dies_leaves_its_table_as_it_was(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    import_files(workspace, [write_csv(make_row(number) for number in range(10))], dataset_file, as_of=DAY)
    clean(workspace, as_of=DAY, spark=spark)
    before = workspace.read(TICKETS)
    present = set(workspace.table_path(RAW).rglob("*.parquet"))
    import_files(workspace, [write_csv([make_row(11)], name="more.csv")], dataset_file, as_of=DAY)
    (part,) = set(workspace.table_path(RAW).rglob("*.parquet")) - present
    sound = part.read_bytes()
    part.write_bytes(sound[: len(sound) // 2])

    with pytest.raises(Exception, match=r"(?i)parquet|footer|length"):
        clean(workspace, as_of=DAY, spark=spark)

    assert workspace.read(TICKETS).equals(before)
    assert not list(workspace.aside_root.iterdir())
    part.write_bytes(sound)
    clean(workspace, as_of=DAY, spark=spark)
    assert workspace.read(TICKETS).num_rows == 11


def test_a_day_that_died_half_published_is_done_again_though_what_changed_was_changed_back(
    workspace: Workspace,
    spark: SparkSession,
    dataset_file: Path,
    make_row: MakeRow,
    write_csv: WriteCsv,
) -> None:
    import_files(workspace, [write_csv([make_row(1)])], dataset_file, as_of=DAY)
    clean(workspace, as_of=DAY, spark=spark)
    before, described = _outcomes(workspace), workspace.catalogue / "dataset.toml"
    shutil.copytree(workspace.table_path(TICKETS), kept := dataset_file.parent / "kept")
    sound = described.read_text(encoding="utf-8")
    described.write_text(sound.replace('"reason"', '"macro"'), encoding="utf-8")
    clean(workspace, as_of=DAY, spark=spark)
    assert _outcomes(workspace) != before
    workspace.replace_folder(kept, workspace.table_path(TICKETS))  # killed before these were published
    described.write_text(sound, encoding="utf-8")

    clean(workspace, as_of=DAY, spark=spark)

    assert _outcomes(workspace) == before


def _outcomes(workspace: Workspace) -> list[Any]:
    return workspace.read(IMPORTED_OUTCOMES).to_pylist()


def test_a_file_that_is_corrected_on_the_same_day_wins_whatever_its_name_and_nothing_is_lost(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    names = ["tickets.csv", "tickets.csv", "a.csv", "tickets.csv", "b.csv", "a.csv", "tickets.csv"]
    for version, name in enumerate(names):
        imported = import_files(workspace, [write_csv(_version(make_row, version), name=name)], dataset_file, as_of=DAY)
    cleaned = clean(workspace, as_of=DAY, spark=spark)
    label(workspace, as_of=DAY, spark=spark)

    assert (imported.counts["raw"], len(imported.inputs)) == (14, 7)
    assert (cleaned.counts["raw"], cleaned.counts["tickets"], cleaned.counts["quarantine"]) == (14, 2, 12)
    assert _told(workspace) == ("This is version 6.", "R::6")
    import_files(workspace, [write_csv(_version(make_row, 4), name="b.csv")], dataset_file, as_of=DAY)
    clean(workspace, as_of=DAY, spark=spark)
    label(workspace, as_of=DAY, spark=spark)
    assert _told(workspace) == ("This is version 4.", "R::4")
    assert workspace.read(RAW).num_rows == 14


def _version(make_row: MakeRow, version: int) -> list[dict[str, str]]:
    return [make_row(1, text=f"This is version {version}.", reason=f"R::{version}"), make_row(2)]


def _told(workspace: Workspace) -> tuple[str, str]:
    """What the lake holds of the ticket T0001."""
    (body,) = (found["body"] for found in workspace.read(TICKETS).to_pylist() if found["ticket_id"] == "T0001")
    outcomes = {found["ticket_id"]: found["contact_type"] for found in workspace.read(OUTCOMES).to_pylist()}
    return body, outcomes["T0001"]


def test_rows_taken_out_of_raw_leave_the_lake(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    import_files(workspace, [write_csv([make_row(1), make_row(2, text="")])], dataset_file, as_of=DAY)
    tomorrow = DAY + timedelta(days=1)
    import_files(workspace, [write_csv([make_row(3)], name="more.csv")], dataset_file, as_of=tomorrow)
    clean(workspace, as_of=tomorrow, spark=spark)
    shutil.rmtree(workspace.table_path(RAW) / f"arrived={DAY}")

    cleaned = clean(workspace, as_of=tomorrow, spark=spark)

    assert (cleaned.counts["raw"], cleaned.counts["tickets"], cleaned.counts["days"]) == (1, 1, 0)
    assert [found["ticket_id"] for found in workspace.read(TICKETS).to_pylist()] == ["T0003"]
    assert workspace.partitions(QUARANTINE) == []


def test_files_of_one_name_keep_their_own_split_and_a_file_is_taken_once(
    workspace: Workspace, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    for number, split in enumerate(("train", "test")):
        (dataset_file.parent / split).mkdir()
        write_csv([make_row(number)], name=f"{split}/data.csv")
    listed = 'files = [{ path = "train/data.csv", split = "train" }, { path = "test/data.csv", split = "test" }]\n'
    dataset_file.write_text(listed + dataset_file.read_text(encoding="utf-8"), encoding="utf-8")

    import_files(workspace, [], dataset_file, as_of=DAY)

    found = {json.loads(row["fields"])["id"]: row["split"] for row in workspace.read(RAW).to_pylist()}
    assert found == {"T0000": "train", "T0001": "test"}
    with pytest.raises(InputError, match="one file"):
        import_files(workspace, [dataset_file.parent / "train/data.csv"] * 2, dataset_file, as_of=DAY)


def test_steps_say_which_step_is_missing(workspace: Workspace, spark: SparkSession, dataset_file: Path) -> None:
    with pytest.raises(MissingStepError, match="triage import"):
        run_pipeline(workspace, as_of=DAY, spark=spark)


def test_contact_types_are_read_through_the_current_tree(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    tree = {
        "version": 3,
        "nodes": [
            {"id": "d", "name": "Delivery"},
            {"id": "late", "name": "Late", "parent": "d"},
            {"id": "lost", "name": "Lost", "parent": "d"},
        ],
        "mapping": {"slow": ["late"], "gone": ["late", "lost"], "fax": []},
    }
    (dataset_file.parent / "tree.json").write_text(json.dumps(tree), encoding="utf-8")
    described = 'contact_types_file = "tree.json"\n' + dataset_file.read_text(encoding="utf-8")
    dataset_file.write_text(described, encoding="utf-8")
    reasons = ["Delivery::Late", "lost", "slow", "gone", "fax", "Delivery::Stolen"]
    rows = [make_row(number, reason=reason) for number, reason in enumerate(reasons)]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)
    clean(workspace, as_of=DAY, spark=spark)

    labelled = label(workspace, as_of=DAY, spark=spark)

    outcomes = {found["ticket_id"]: found["contact_type"] for found in workspace.read(OUTCOMES).to_pylist()}
    assert outcomes == {"T0000": "late", "T0001": "lost", "T0002": "late"}
    refused = {json.loads(found["fields"])["id"]: found["reason"] for found in workspace.read(QUARANTINE).to_pylist()}
    assert refused == {
        **{"T0003": "contact type was split", "T0004": "contact type retired", "T0005": "unknown contact type"},
    }
    assert labelled.counts["quarantine"] == 3
    assert read_tree(workspace).version == 3


def test_manifests_record_what_a_step_read(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: WriteCsv
) -> None:
    import_files(workspace, [write_csv([make_row(1), make_row(2)])], dataset_file, as_of=DAY)
    clean(workspace, as_of=DAY, spark=spark)

    imported, cleaned = (read_manifest(workspace, step, DAY.isoformat()) for step in ("import", "clean"))

    assert imported is not None
    assert cleaned is not None
    assert [(name.partition("#")[0], len(content)) for name, content in imported.inputs.items()] == [
        ("tickets.csv", 64)
    ]
    assert list(cleaned.inputs) == ["catalogue/dataset.toml", f"raw/arrived={DAY}"]
    assert {name: output.rows for name, output in cleaned.outputs.items()} == {
        **{f"tickets/arrived={DAY}": 2, f"imported_outcomes/arrived={DAY}": 2},
    }
    assert cleaned.seconds > 0


def _contents(workspace: Workspace) -> dict[str, list[Any]]:
    tables = (RAW, TICKETS, OUTCOMES, SPLITS, FEATURES, PAIRS)
    return {
        table.name: _sorted(workspace.read(table).to_pylist())
        for table in tables
        if workspace.table_path(table).is_dir()
    }


def _sorted(rows: list[Any]) -> list[Any]:
    return sorted(rows, key=lambda found: json.dumps(found, sort_keys=True, default=str))


def test_a_day_that_has_not_come_is_refused(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(workspace.root), "--as-of", "2962-03-01"])
    assert "2962-03-01 has not come yet" in capsys.readouterr().err
    assert not any(workspace.manifests.glob("*/*"))
