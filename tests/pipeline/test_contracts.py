"""Every promise of every table can be broken, is noticed, and says what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.contract_checks import check_lake, check_written, with_reasons
from pipeline.contracts import CONTRACTS
from pipeline.lake import spark_schema
from pipeline.refusals import Refusals, check_ticket, refuse_too_many
from pipeline.text.clean import Refused
from tickets.catalogue import write_templates, write_tree
from tickets.contact_types import ContactTypeTree
from tickets.dataset import dataset_from_toml
from tickets.errors import ContractError, DatasetError
from tickets.records import ReplyTemplate, Ticket
from tickets.tables import FEATURES, FEEDBACK, OUTCOMES, SPLITS, SUGGESTIONS, TABLES, TICKETS, Table
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DAY = "2026-03-02"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 3, 4, tzinfo=UTC)
ANCIENT = datetime(1969, 12, 31, tzinfo=UTC)
TICKET = {"ticket_id": "T1", "created_at": AT, "channel": "email", "language": "en", "attributes": '{"vip":true}'}
SOUND: dict[str, dict[str, Any]] = {
    "raw": {"source": "a.csv#1", "row": 1, "fields": "{}", "split": None, "problem": None},
    "quarantine": {"source": "a.csv#1", "row": 1, "fields": "{}", "step": "clean", "reason": "r", "detail": "d"},
    "tickets": {**TICKET, "subject": "", "body": "Hello", "customer_key": None, "split": None},
    "imported_outcomes": {
        **{"ticket_id": "T1", "source": "a.csv#1", "row": 1, "created_at": AT, "contact_type": "A", "told_by": None},
        **{"template_id": None, "resolved_at": AT, "handle_seconds": 0.0, "labeler": None, "reply": None},
    },
    "features": {**TICKET, "text": "Hello", "statistics": "{}"},
    "signatures": {"node": 1, "buckets": [1], "signature": b"x"},
    "near_duplicates": {"node": 1, "first": 2},
    "outcomes": {
        **{"ticket_id": "T1", "contact_type": "A", "template_id": "m1", "resolved_at": AT, "handle_seconds": 1.0},
        **{"source": "import", "labeler": None},
    },
    "splits": {"ticket_id": "T1", "arrived": DAY, "split": "train", "cluster": "T1"},
    "pairs": {"ticket_id": "T1", "template_id": "m1", "relevant": True, "negative": None},
    "topics": {"ticket_id": "T1", "topics": [0.5]},
    "term_weights": {"word": "late", "idf": 2.0, "topics": [0.5]},
    "template_profiles": {
        **{"template_id": "m1", "past_tickets": 0, "words": [1], "weights": [0.5]},
        **{"past_words": [1], "past_weights": [0.5]},
    },
    "similarities": {
        **{"ticket_id": "T1", "template_id": "m1", "words": 0.5, "topics": -0.5, "past_words": 1.0, "past_topics": 0.0},
    },
    "suggestions": {
        **{"suggestion_id": "S1", "ticket_id": "T1", "created_at": AT, "model_version": "m", "contact_type": "A"},
        **{"probability": 0.5, "abstained": False, "ticket": "{}", "suggestion": "{}"},
    },
    "feedback": {
        **{"feedback_id": "F1", "suggestion_id": "S1", "ticket_id": "T1", "action": "accepted", "at": AT},
        **{"contact_type": "A", "template_id": None, "edit_distance": 0.0, "handle_seconds": 5.0, "agent": "ann"},
    },
    "labels": {
        **{"label_id": "L1", "ticket_id": "T1", "contact_type": "A", "template_id": None, "labeler": "bea"},
        **{"at": AT, "share": "random"},
    },
    "backlog": {
        **{"ticket_id": "T1", "model_version": "m", "contact_type": None, "probability": None, "abstained": True},
        **{"suggestion": "{}"},
    },
}
NAN = float("nan")
LONG = "x" * 201
BROKEN: dict[tuple[str, str], list[Any]] = {  # (column, rule) -> values that break it, in every table that has it
    ("ticket_id", "ticket_id empty or too long"): ["", " ", LONG],
    ("cluster", "cluster empty or too long"): [""],
    ("suggestion_id", "suggestion_id empty or too long"): [""],
    ("feedback_id", "feedback_id empty or too long"): ["", LONG],
    ("label_id", "label_id empty or too long"): [" "],
    ("model_version", "model_version empty or too long"): [""],
    ("source", "source empty or too long"): [""],
    ("source", "source not known"): ["robot"],
    ("step", "step empty or too long"): [""],
    ("reason", "reason empty or too long"): [""],
    ("detail", "detail empty or too long"): [""],
    ("row", "row out of range"): [-1],
    ("fields", "fields no JSON object"): ["[]", "null", '{"cut'],
    ("split", "split not known"): ["tset"],
    ("created_at", "created_at out of range"): [ANCIENT, LATER],
    ("at", "at out of range"): [ANCIENT, LATER],
    ("resolved_at", "resolved_at out of range"): [ANCIENT],
    ("language", "language no code"): ["English", "e", "日本"],
    ("channel", "channel too long"): [LONG],
    ("subject", "subject too long"): ["x" * 501],
    ("body", "body empty or too long"): ["", "x" * 100_001],
    ("text", "text empty or too long"): [""],
    ("attributes", "attributes no JSON object"): ["", "[]"],
    ("statistics", "statistics no JSON object"): ["1"],
    ("told_by", "told_by no JSON object"): ['{"a":', "[]"],
    ("contact_type", "contact_type empty or too long"): [""],
    ("handle_seconds", "handle_seconds out of range"): [-1.0, NAN, float("inf")],
    ("probability", "probability out of range"): [-0.1, 1.1, NAN],
    ("edit_distance", "edit_distance out of range"): [1.5, -0.5],
    ("action", "action not known"): ["shrugged"],
    ("share", "share not known"): ["lucky"],
    ("labeler", "labeler empty or too long"): [""],
    ("arrived", "arrived no day"): ["2026-3-2", "today"],
    ("negative", "negative not known"): ["mean"],
    ("relevant", "relevant and negative"): [False],
    ("negative", "relevant and negative"): ["random"],
    ("buckets", "buckets empty"): [[]],
    ("signature", "signature empty"): [b""],
    ("first", "linked to itself"): [1],
    ("topics", "topics empty"): [[]],
    ("topics", "topics not finite"): [[NAN], [float("inf")], [None]],
    ("words", "words out of range"): [-0.1, 1.1],
    ("past_words", "past_words out of range"): [NAN],
    ("topics", "topics out of range"): [-1.1, 1.1],
    ("past_topics", "past_topics out of range"): [2.0],
    ("word", "word empty or too long"): [""],
    ("idf", "idf out of range"): [-1.0, NAN],
    ("past_tickets", "past_tickets out of range"): [-1],
    ("weights", "weights not one a word"): [[]],
    ("past_weights", "past_weights not one a word"): [[0.5, 0.5]],
    ("ticket", "ticket no JSON object"): ["x"],
    ("suggestion", "suggestion no JSON object"): ["{"],
}


def breaking(table: Table) -> Iterator[tuple[str, dict[str, Any]]]:
    """(the rule's name, a row that breaks that rule first) for every rule of the table."""
    sound, rules = SOUND[table.name], {rule.name for rule in CONTRACTS[table.name].all_rules}
    for (column, name), values in BROKEN.items():
        if name in rules and column in sound:
            for value in values:
                yield name, {**sound, column: value}
    for column in table.schema:
        if not column.nullable:
            yield f"{column.name} missing", {**sound, column.name: None}


def test_every_table_has_a_contract() -> None:
    written_for_good = {table.name for table in TABLES}
    assert set(CONTRACTS) == written_for_good == set(SOUND)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_each_rule_notices_the_rows_that_break_it_and_sound_rows_break_none(table: Table, spark: SparkSession) -> None:
    rules = CONTRACTS[table.name].all_rules
    cases = [("sound", SOUND[table.name]), *breaking(table)]
    assert {name for name, _ in cases[1:]} == {rule.name for rule in rules}

    broken = frame_of(spark, table, [row for _, row in cases])
    named = ", ".join(f'if({rule.broken}, "{rule.name}", null)' for rule in rules)
    told = broken.selectExpr(f"array({named}) as told").collect()

    assert set(told[0]["told"]) == {None}
    for (name, row), found in zip(cases[1:], told[1:], strict=True):
        assert name in found["told"], (name, row)


def frame_of(spark: SparkSession, table: Table, rows: list[dict[str, Any]]) -> DataFrame:
    """Rows as a frame of the table, in order, any column may be null; they arrived on DAY."""
    schema = spark_schema(pa.schema([field.with_nullable(True) for field in table.schema]))
    if table.partition:
        schema = schema.add(table.partition, "string")
    values = [
        tuple({**row, str(table.partition): DAY}.get(name, row.get(name)) for name in schema.names) for row in rows
    ]
    return spark.createDataFrame(values, schema).coalesce(1)


def test_feedback_on_a_suggestion_nobody_made_is_refused(workspace: Workspace, spark: SparkSession) -> None:
    write(workspace, SUGGESTIONS, [SOUND["suggestions"]])
    rows = [SOUND["feedback"], {**SOUND["feedback"], "feedback_id": "F2", "suggestion_id": "S9"}]
    rows.append({**SOUND["feedback"], "feedback_id": "F3", "action": "shrugged", "edit_distance": 7.0})
    frame = frame_of(spark, FEEDBACK, rows)

    found = {row["feedback_id"]: row for row in with_reasons(frame, workspace, FEEDBACK).collect()}

    assert found["F1"]["reason"] is None
    assert found["F2"]["reason"] == "suggestion_id unknown"
    assert found["F2"]["detail"] == ("'suggestion_id' holds S9; one of the table `suggestions` was expected.")
    assert found["F3"]["reason"] == "action not known"  # the first rule that it breaks
    assert set(found["F1"].asDict()) == {*frame.columns, "reason", "detail"}


@pytest.fixture
def catalogue(workspace: Workspace) -> Workspace:
    tree = ContactTypeTree(nodes=()).with_paths(["A", "Old"])
    nodes = tuple(replace(node, active=node.id != "Old") for node in tree.nodes)
    write_tree(workspace, replace(tree, nodes=nodes))
    write_templates(workspace, [ReplyTemplate(template_id="m1", title="", body="Hello")])
    return workspace


def write(workspace: Workspace, table: Table, rows: list[dict[str, Any]], folder: Path | None = None) -> Path:
    """Rows as a file of the table; under its place in the lake when no folder is given. Returns the table's folder."""
    root = folder or workspace.table_path(table)
    place = root / f"{table.partition}={DAY}" if table.partition else root
    place.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), place / "part-0000.parquet")
    return root


def test_what_keeps_its_contract_may_be_published(catalogue: Workspace, spark: SparkSession, tmp_path: Path) -> None:
    write(catalogue, TICKETS, [SOUND["tickets"]])
    for table in (FEATURES, OUTCOMES, SPLITS):
        folder = write(catalogue, table, [SOUND[table.name]], tmp_path / table.name)
        check_written(spark, catalogue, table, folder, [DAY] if table.partition else None)
    empty = tmp_path / "empty"
    empty.mkdir()
    check_written(spark, catalogue, OUTCOMES, empty)
    assert check_lake(spark, catalogue) == []


@pytest.mark.parametrize(
    ("table", "changes", "says"),
    [
        (FEATURES, [{"ticket_id": "T2", "text": ""}, {"ticket_id": "T1"}], r"1 row breaks the rule `text empty"),
        (FEATURES, [{}, {}], r"`ticket_id and arrived not unique` \(one row expected\): 'T1', '2026-03-02'"),
        (FEATURES, [{}], "has 1 rows; 2 were expected, as tickets has"),
        (OUTCOMES, [{}, {"ticket_id": "T2", "contact_type": "B"}], r"`contact_type unknown`.*'T2'"),
        (OUTCOMES, [{"contact_type": "Old"}], "`contact_type unknown`"),
        (OUTCOMES, [{"template_id": "m2"}], "`template_id unknown`"),
        (OUTCOMES, [{}, {}, {}], r"1 row breaks the rule `ticket_id not unique`"),
        (SPLITS, [{}, {"ticket_id": "T9"}], r"`ticket_id unknown` \(one of the table `tickets` expected\): 'T9'"),
    ],
)
def test_a_fault_is_never_published(
    catalogue: Workspace,
    spark: SparkSession,
    tmp_path: Path,
    *,
    table: Table,
    changes: list[dict[str, Any]],
    says: str,
) -> None:
    write(catalogue, TICKETS, [SOUND["tickets"], {**SOUND["tickets"], "ticket_id": "T2"}])
    folder = write(catalogue, table, [{**SOUND[table.name], **change} for change in changes], tmp_path / "aside")

    with pytest.raises(ContractError, match=says) as caught:
        check_written(spark, catalogue, table, folder, [DAY] if table.partition else None)

    assert "Nothing was published." in str(caught.value)
    assert caught.value.exit_code == 7


def test_a_fault_names_five_rows_at_most(catalogue: Workspace, spark: SparkSession, tmp_path: Path) -> None:
    rows = [{**SOUND["outcomes"], "ticket_id": f"T{number}", "handle_seconds": -1.0} for number in range(9)]
    with pytest.raises(ContractError, match=r"9 rows break .*: 'T0'; 'T1'; 'T2'; 'T3'; 'T4'\. Nothing"):
        check_written(spark, catalogue, OUTCOMES, write(catalogue, OUTCOMES, rows, tmp_path / "aside"))


def test_a_column_of_another_type_is_noticed(catalogue: Workspace, spark: SparkSession, tmp_path: Path) -> None:
    pq.write_table(pa.table({"ticket_id": ["T1"], "contact_type": [7]}), tmp_path / "part-0000.parquet")
    with pytest.raises(ContractError, match="`contact_type` of outcomes was written as int64; string was expected"):
        check_written(spark, catalogue, OUTCOMES, tmp_path)
    pq.write_table(pa.table({"ticket_id": ["T1"]}), tmp_path / "part-0000.parquet")
    with pytest.raises(ContractError, match="`contact_type` of outcomes was written as nothing"):
        check_written(spark, catalogue, OUTCOMES, tmp_path)


def test_the_whole_lake_can_be_looked_over(catalogue: Workspace, spark: SparkSession) -> None:
    write(catalogue, TICKETS, [SOUND["tickets"]])
    write(catalogue, FEATURES, [{**SOUND["features"], "language": "English"}])
    write(catalogue, OUTCOMES, [{**SOUND["outcomes"], "template_id": "m2", "handle_seconds": -1.0}])

    broken = check_lake(spark, catalogue)

    assert [line.split(": ")[0] for line in broken] == ["features", "outcomes", "outcomes"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"created_at": datetime(2026, 3, 3, 23, 59, tzinfo=UTC)}, None),
        ({"created_at": datetime(2026, 3, 4, tzinfo=UTC)}, "created in the future"),
        ({"created_at": ANCIENT}, "created before 1970"),
        ({"ticket_id": LONG}, "ticket id too long"),
        ({"attributes": {"age": 130.5}}, "attribute out of range"),
        ({"attributes": {"age": -1.0}}, "attribute out of range"),
        ({"attributes": {"age": 130.0}}, None),
        ({"attributes": {"age": None}}, None),
    ],
)
def test_a_ticket_that_cannot_be_right_is_refused(changed: dict[str, Any], reason: str | None) -> None:
    toml = {
        "ticket": {"body": "text", "created_at": "opened"},
        "attributes": {"numeric": ["age"]},
        "contract": {"ranges": {"age": [0, 130]}},
    }
    dataset = dataset_from_toml(toml, name="d")
    ticket = replace(Ticket(ticket_id="T1", created_at=AT, body="Hello"), **changed)
    if reason is None:
        check_ticket(ticket, DAY, dataset)
        return
    with pytest.raises(Refused) as caught:
        check_ticket(ticket, DAY, dataset)
    assert caught.value.reason == reason
    assert caught.value.detail


@pytest.mark.parametrize(
    ("contract", "says"),
    [
        ({"quarantine_at_most": 2}, "share from 0 to 1"),
        ({"quarantine_at_most": True}, "share from 0 to 1"),
        ({"quarantine": 0.1}, "unknown key 'quarantine'"),
        ({"ranges": {"age": [5, 1]}}, "range of 'age'"),
        ({"ranges": {"age": [1]}}, "range of 'age'"),
        ({"ranges": {"size": [0, 1]}}, "'size', which is no numeric attribute"),
        ("strict", "must be a table"),
    ],
)
def test_a_wrong_contract_in_dataset_toml_says_what_is_wrong(contract: Any, says: str) -> None:
    ticket = {"body": "text", "created_at": "opened"}
    with pytest.raises(DatasetError, match=says):
        dataset_from_toml({"ticket": ticket, "attributes": {"numeric": ["age"]}, "contract": contract}, name="d")


def test_too_many_refused_rows_stop_the_run_with_a_summary() -> None:
    refusals = Refusals(
        counts={"broken date": 150, "empty body": 30, "duplicate ticket id": 500},
        examples={"broken date": "'opened' holds 'soon'; 2026-01-31 was expected"},
    )
    refuse_too_many(refusals, total=2500, limit=0.1)  # 180 of the 2,000 that no later row replaced

    with pytest.raises(ContractError) as caught:
        refuse_too_many(refusals, total=2200, limit=0.1)

    said = str(caught.value)
    assert "180 of 1,700 rows were refused (10.6%), more than the 10.0%" in said
    assert said.index("150  broken date: 'opened' holds 'soon'") < said.index("30  empty body")
    assert "quarantine_at_most = 0.11" in said
    assert "Nothing was published" in said


def test_few_refused_rows_never_stop_a_run() -> None:
    refuse_too_many(Refusals(counts={"empty body": 99}), total=99, limit=0.1)
    with pytest.raises(ContractError):
        refuse_too_many(Refusals(counts={"empty body": 100}), total=100, limit=0.99)
    refuse_too_many(Refusals(counts={"empty body": 100}), total=100, limit=1.0)
