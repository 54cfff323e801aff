"""`triage pipeline ...` and `triage quarantine ...`: what they print for people, and as JSON for machines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from pipeline.extract import extract
from pipeline.importing import import_files
from tests.logged import log_suggestions, suggested
from tickets import audit, feedback_log
from tickets import webhook_deliveries as deliveries
from tickets.database import feedback, open_database, suggestions
from tickets.errors import InputError
from tickets.manifests import Manifest, Output, write_manifest
from tickets.records import Feedback
from tickets.tables import BACKLOG, QUARANTINE, RAW, SIMILARITIES, SPLITS, TICKETS, Table
from tickets.workspace import Workspace
from triage.commands.lake import pipeline_app, quarantine_app
from triage.settings import read_settings

DAY = "2026-03-02"
DATASET = """
name = "d"
[ticket]
ticket_id = "id"
body = "text"
created_at = "opened"
[outcome]
contact_type = "reason"
template_id = "macro"
reply = "answer"
"""
Run = Callable[..., str]


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """`run(app, "status", ...)`: what the command prints about the workspace; it must succeed."""

    def invoke(app: typer.Typer, *arguments: str) -> str:
        found = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*arguments, "--workspace", str(workspace.root)])
        assert found.exit_code == 0, (found.output, found.exception)
        return found.stdout

    return invoke


def store(workspace: Workspace, table: Table, rows: list[dict[str, Any]], value: str, name: str) -> None:
    folder = workspace.table_path(table) / f"{table.partition}={value}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / name)


def test_status_says_the_verdict_first(workspace: Workspace, run: Run) -> None:
    manifest = Manifest(step="clean", as_of=DAY, rows_in=200, seconds=2.0, counts={"raw": 200, "quarantine": 5})
    write_manifest(workspace, manifest)

    said = run(pipeline_app, "status", "--as-of", DAY).splitlines()

    assert said[0].startswith("Not run yet: import, featurise")
    assert any("clean" in line and "2.50%" in line and "100" in line and "fresh" in line for line in said)
    told = json.loads(run(pipeline_app, "status", "--as-of", DAY, "--json"))
    assert told["verdict"] == said[0]
    assert {step["step"]: step["rows_per_second"] for step in told["steps"]}["clean"] == 100


def test_compact_merges_and_tells(workspace: Workspace, run: Run) -> None:
    for number in range(3):
        rows = [{"source": "s", "row": number, "fields": "{}"}]
        store(workspace, RAW, rows, DAY, f"000001-0123456789abcdef-012345-{number:04d}.parquet")
    assert f"compact: raw/arrived={DAY}: 3 files -> 1" in run(pipeline_app, "compact")
    assert json.loads(run(pipeline_app, "compact", "--json")) == []
    assert "No partition has small files" in run(pipeline_app, "compact")


def test_retain_shows_first_and_removes_when_told(workspace: Workspace, run: Run) -> None:
    for value in ("2020-01-01", DAY):
        store(workspace, BACKLOG, [], value, "part-0000.parquet")
    shown = run(pipeline_app, "retain", "--as-of", DAY)
    assert "lake/backlog/as_of=2020-01-01" in shown
    assert "--apply" in shown
    assert len(workspace.partitions(BACKLOG)) == 2
    (gone,) = json.loads(run(pipeline_app, "retain", "--as-of", DAY, "--apply", "--json"))
    assert gone["gone"] is True
    assert workspace.partitions(BACKLOG) == [DAY]
    assert "Nothing is older" in run(pipeline_app, "retain", "--as-of", DAY)
    store(workspace, BACKLOG, [], "2020-01-02", "part-0000.parquet")
    assert "retain: lake/backlog/as_of=2020-01-02 is gone" in run(pipeline_app, "retain", "--as-of", DAY, "--apply")


def test_retain_forgets_done_deliveries_and_old_events(
    workspace: Workspace, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    engine = open_database(workspace.default_database_url)
    for days in (3, 29, 31, 60):
        deliveries.note(engine, "zammad", f"{days} days", "feedback", now=now - timedelta(days=days))
    for days in (700, 731, 900):
        audit.record(engine, at=now - timedelta(days=days), actor="ana", action="signed in")
    shown = run(pipeline_app, "retain")
    assert "webhook_deliveries, 2 rows" in shown
    assert "audit_log, 2 rows" in shown
    monkeypatch.setenv("TRIAGE_FRESHDESK__MAX_AGE_SECONDS", str(20 * 86_400))  # such a signature is taken for 40 days
    gone = json.loads(run(pipeline_app, "retain", "--apply", "--json"))
    assert [(row["table"], row["rows"], row["gone"]) for row in gone] == [
        ("webhook_deliveries", 1, True),
        ("audit_log", 2, True),
    ]
    assert [(row.action, row.details) for row in audit.entries(engine)] == [
        ("signed in", {}),
        ("old rows removed", {"webhook_deliveries": 1, "audit_log": 2}),
    ]
    monkeypatch.setenv("TRIAGE_RETENTION__DELIVERIES", "0")
    monkeypatch.setenv("TRIAGE_RETENTION__AUDIT", "0")
    assert "Nothing is older" in run(pipeline_app, "retain", "--as-of", "2999-01-01")
    engine.dispose()


def test_retain_forgets_suggestions_that_a_night_has_brought_into_the_lake(
    workspace: Workspace, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, noon = open_database(workspace.default_database_url), datetime(2026, 3, 2, 12, tzinfo=UTC)
    for days in (0, 59, 60, 61, 90):
        at = noon - timedelta(days=days)
        log_suggestions(engine, [suggested(f"{days}", at=at)])
    for name, said_at in (("61", noon), ("90", noon - timedelta(days=80))):
        told = Feedback(
            feedback_id=f"f-{name}",
            suggestion_id=f"s-{name}",
            ticket_id=name,
            action="accepted",
            at=said_at,
        )
        feedback_log.record_feedback(engine, told)

    assert "Nothing is older" in run(pipeline_app, "retain", "--as-of", DAY)
    monkeypatch.setenv("TRIAGE_RETENTION__SUGGESTIONS", "60")
    assert "Nothing is older" in run(pipeline_app, "retain", "--as-of", DAY, "--apply")  # the lake has none of them
    extract(workspace, engine, as_of=date(2026, 3, 2))
    assert "suggestions, 1 rows" in run(pipeline_app, "retain", "--as-of", DAY)
    (gone,) = json.loads(run(pipeline_app, "retain", "--as-of", DAY, "--apply", "--json"))

    assert (gone["table"], gone["rows"], gone["gone"]) == ("suggestions", 1, True)  # 61 was judged since
    with engine.connect() as connection:
        assert set(connection.scalars(sa.select(suggestions.c.suggestion_id))) == {"s-0", "s-59", "s-60", "s-61"}
        assert set(connection.scalars(sa.select(feedback.c.feedback_id))) == {"f-61"}
    engine.dispose()
    again = extract(workspace, open_database(workspace.default_database_url), as_of=date(2026, 3, 2))
    assert again.counts["suggestions"] == 5  # what the lake holds it never gives up


def test_suggestions_are_kept_for_as_long_as_nights_look_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIAGE_RETENTION__SUGGESTIONS", "59")
    with pytest.raises(InputError, match="TRIAGE_RETENTION__SUGGESTIONS"):
        read_settings()


def test_lineage_draws_the_tree(workspace: Workspace, run: Run) -> None:
    name = f"tickets/arrived={DAY}"
    outputs = {name: Output(rows=7, content="c")}
    write_manifest(workspace, Manifest(step="clean", as_of=DAY, inputs={f"raw/arrived={DAY}": "x"}, outputs=outputs))
    said = run(pipeline_app, "lineage", TICKETS.name, DAY)
    assert f"{name} (clean {DAY}, 7 rows)" in said
    assert f"raw/arrived={DAY} has changed since" in said
    assert json.loads(run(pipeline_app, "lineage", TICKETS.name, DAY, "--json"))["rows"] == 7
    for value in ("2026-03-01", DAY):
        store(workspace, TICKETS, [], value, "part-0000.parquet")
    assert json.loads(run(pipeline_app, "lineage", TICKETS.name, "--json"))["name"] == name


def test_quarantine_list_counts_and_tells_rows_whole(workspace: Workspace, run: Run) -> None:
    assert "Nothing is refused" in run(quarantine_app, "list")
    detail = "'opened' holds '[red]soon'"
    row = {"source": "a.csv#1", "row": 3, "fields": '{"opened":"[red]soon"}', "step": "clean"}
    store(workspace, QUARANTINE, [{**row, "reason": "broken date", "detail": detail}], DAY, "clean-0000.parquet")

    said = run(quarantine_app, "list", "--reason", "broken date")

    assert "broken date" in said
    assert detail in said
    (line,) = run(quarantine_app, "list", "--json").splitlines()
    told = json.loads(line)
    assert told["fields"] == {"opened": "[red]soon"}
    assert told["id"] in said
    assert "Nothing is refused" in run(quarantine_app, "list", "--day", "2026-03-01")


@pytest.mark.slow
def test_features_topics_and_a_row_mended_by_hand_through_the_commands(
    workspace: Workspace, run: Run, tmp_path: Path
) -> None:
    dataset = tmp_path / "dataset.toml"
    dataset.write_text(DATASET)
    export = tmp_path / "a.csv"
    kinds = (
        "Where is my parcel?,Parcels::Lost,lost,We look for it.",
        "I want my money,Refund,refund,It is on its way.",
    )
    rows = [f"T{number},2026-02-0{number},{kinds[number % 2]}" for number in range(1, 9)]
    export.write_text("\n".join(["id,opened,text,reason,macro,answer", *rows, "T9,soon,Hello again,,,"]) + "\n")
    import_files(workspace, [export], dataset, as_of=date(2026, 3, 2))
    with_spark("triage.cli", "app", "features", "--topics", "--as-of", DAY, "--workspace", workspace.root)
    assert workspace.read(SIMILARITIES).num_rows == 16  # eight tickets, two templates
    split = workspace.read(SPLITS)
    corrected = tmp_path / "mended.jsonl"
    corrected.write_text(run(quarantine_app, "list", "--json").replace('"soon"', '"2026-02-09"'))

    replay = ("replay", "--corrected", corrected, "--as-of", DAY, "--json", "--workspace", workspace.root)
    done = json.loads(with_spark("triage.commands.lake", "quarantine_app", *replay))

    assert (done["chosen"], done["left"], done["corrected"]["written"]) == (1, 1, 1)
    assert datetime(2026, 2, 9, tzinfo=UTC) in workspace.read(TICKETS)["created_at"].to_pylist()
    assert workspace.read(SPLITS).equals(split)  # that is for `triage features`, which knows the days to cut at
    checked = with_spark("triage.commands.lake", "pipeline_app", "check", "--workspace", workspace.root)
    assert "Every table keeps its contract." in checked


def with_spark(module: str, app: str, *arguments: str | Path) -> str:
    """What a command prints that starts and stops a Spark of its own, so in a process of its own."""
    command = [sys.executable, "-c", f"from {module} import {app} as app; app()", *map(str, arguments)]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert found.returncode == 0, found.stderr[-2000:]
    return found.stdout
