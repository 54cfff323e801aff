"""`triage forget`: shown first, removed when told, and what it leaves to people."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from pipeline.extract import extract
from pipeline.importing import import_files
from pipeline.text.redact import customer_hash
from tests.logged import log_suggestions, suggested
from tickets import audit
from tickets.database import open_database
from tickets.errors import InputError, LockedError
from tickets.tables import RAW, SUGGESTIONS
from tickets.workspace import Workspace
from triage import forgetting
from triage.cli import app
from triage.settings import Settings

DAY, NOON = date(2026, 3, 2), datetime(2026, 3, 2, 12, tzinfo=UTC)
ANN, EVE = "ann@example.com", "eve@example.com"
DATASET = """
name = "d"
format = "csv"
[ticket]
ticket_id = "id"
body = "text"
created_at = "opened"
customer_key = "mail"
"""


def triage(workspace: Workspace, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["forget", *arguments, "--workspace", str(workspace.root)])


def said(workspace: Workspace, *arguments: str) -> str:
    result = triage(workspace, *arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


@pytest.fixture
def desk(workspace: Workspace, tmp_path: Path) -> Workspace:
    """Three imported tickets, two that came through the service; Ann wrote T1 and N1."""
    (tmp_path / "dataset.toml").write_text(DATASET, encoding="utf-8")
    rows = [f"T1,2026-03-01,Where is my parcel?,{ANN}", f"T2,2026-03-01,My money,{EVE}", f"T3,2026-03-01,Hello,{EVE}"]
    (tmp_path / "a.csv").write_text("\n".join(["id,opened,text,mail", *rows]), encoding="utf-8")
    import_files(workspace, [tmp_path / "a.csv"], tmp_path / "dataset.toml", as_of=DAY)
    engine = open_database(workspace.default_database_url)
    for name, mail in (("N1", ANN), ("N2", EVE)):
        ticket, made = suggested(name, at=NOON)
        log_suggestions(engine, [(replace(ticket, customer_key=customer_hash(mail, salt="d")), made)])
    extract(workspace, engine, as_of=DAY)
    engine.dispose()
    return workspace


def remember(workspace: Workspace, version: str, *, excerpts: list[str], whole: list[str]) -> None:
    for name, ids in (("neighbours", excerpts), ("reference", whole)):
        (workspace.models / version).mkdir(exist_ok=True)
        pq.write_table(pa.table({"ticket_id": ids}), workspace.models / version / f"{name}.parquet")


def test_what_is_held_is_shown_and_goes_when_told(desk: Workspace) -> None:
    shown = said(desk, "--customer", f" {ANN.upper()} ")
    assert shown.startswith("2 tickets: N1, T1\n")
    assert "Nothing was changed: --apply removes the rows." in shown
    assert [line.split()[:3] for line in shown.splitlines()[1:-1]] == [
        ["database", "suggestions", "1"],
        ["lake", "suggestions", "1"],
        ["lake", "raw", "2"],
    ]
    assert desk.read(RAW).num_rows == 5

    done = triage(desk, "--customer", ANN, "--apply", "--json")
    gone = json.loads(done.stdout)

    assert "forget: 2 rows of raw" in done.stderr
    assert gone["applied"] is True
    assert [(held["place"], held["table"], held["rows"], held["gone"]) for held in gone["held"]] == [
        ("database", "suggestions", 1, True),
        ("lake", "suggestions", 1, True),
        ("lake", "raw", 2, True),
    ]
    assert sorted(json.loads(row)["mail"] for row in desk.read(RAW)["fields"].to_pylist() if "mail" in row) == [
        EVE,
        EVE,
    ]
    assert desk.read(SUGGESTIONS)["ticket_id"].to_pylist() == ["N2"]
    assert said(desk, "--customer", ANN, "--apply") == "Nothing is held of them here.\n"
    assert not (desk.root / "forgetting.json").exists()


def test_the_audit_log_tells_of_rows_and_not_of_the_person(desk: Workspace) -> None:
    said(desk, "--customer", ANN, "--apply")
    engine = open_database(desk.default_database_url)
    entries = audit.entries(engine)
    engine.dispose()
    assert [(entry.action, dict(entry.details)) for entry in entries] == [
        ("person forgotten", {"database: suggestions": 1}),
        ("person forgotten", {"lake: suggestions": 1, "lake: raw": 2}),
    ]
    told = json.dumps([str(entry) for entry in entries])
    assert not [word for word in (ANN, customer_hash(ANN, salt="d"), "T1", "N1") if word in told]


def test_tickets_go_by_their_ids_and_a_customer_beside_them(desk: Workspace) -> None:
    found = json.loads(said(desk, "--ticket", "T3", "--ticket", "N2", "--customer", ANN, "--apply", "--json"))
    assert found["tickets"] == ["N1", "N2", "T1", "T3"]
    assert [json.loads(row)["id"] for row in desk.read(RAW)["fields"].to_pylist()] == ["T2"]


def test_models_reports_and_the_suggestion_log_are_told_of_and_left(desk: Workspace) -> None:
    remember(desk, "20260301-a", excerpts=["T1", "T2"], whole=["N1"])
    remember(desk, "20260302-b", excerpts=["T2"], whole=["T3"])
    (desk.releases / "current").write_text("20260301-a\n", encoding="utf-8")
    desk.experiments.mkdir()
    (desk.experiments / "errors-a.json").write_text('{"ticket_id": "T1"}', encoding="utf-8")
    (desk.experiments / "errors-b.md").write_text("XT1, T12 and T-T1 are others", encoding="utf-8")
    pq.write_table(pa.table({"ticket_id": ["T1"]}), desk.experiments / "suspects-a.parquet")
    (desk.root / "spool").mkdir()
    for name, text in (("live.jsonl", "{}\n"), ("empty.jsonl", ""), ("refused.ndjson", '{"ticket_id":"N1"}\n')):
        (desk.root / "spool" / name).write_text(text, encoding="utf-8")
    before = left_to_people(desk)

    found = json.loads(said(desk, "--customer", ANN, "--apply", "--json"))
    again = said(desk, "--ticket", "T1", "--ticket", "N1")

    assert found["models"] == [{"version": "20260301-a", "excerpts": 1, "whole": 1, "served": True}]
    assert found["files"] == ["experiments/errors-a.json", "experiments/suspects-a.parquet", "spool/refused.ndjson"]
    assert found["waiting"] == ["spool/live.jsonl"]
    for told in ("20260301-a, which is served", "triage pipeline retain", "errors-a.json", "restart the service"):
        assert told in again
    assert left_to_people(desk) == before


def left_to_people(workspace: Workspace) -> dict[Path, bytes]:
    folders = (workspace.models, workspace.releases, workspace.experiments, workspace.root / "spool")
    return {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_a_person_whom_nobody_knows_is_no_error(desk: Workspace, workspace: Workspace) -> None:
    assert said(desk, "--customer", "nobody@example.com", "--apply") == "Nothing is held of them here.\n"
    engine = open_database(workspace.default_database_url)
    assert audit.entries(engine) == []
    engine.dispose()


def test_a_workspace_without_a_dataset_has_nobody_in_it(workspace: Workspace) -> None:
    assert said(workspace, "--customer", ANN) == "Nothing is held of them here.\n"


@pytest.mark.parametrize("named", [(), ("--customer", " "), ("--ticket", "")])
def test_somebody_has_to_be_named(desk: Workspace, named: tuple[str, ...]) -> None:
    result = triage(desk, *named)
    assert isinstance(result.exception, InputError)
    assert "--customer" in result.exception.hint


def test_a_run_that_was_killed_is_finished_by_the_next_whoever_it_is_for(desk: Workspace) -> None:
    class KilledError(Exception):
        pass

    def report(line: str) -> None:
        raise KilledError(line)

    with pytest.raises(KilledError):
        forgetting.forget(Settings(workspace=desk.root), customer=ANN, tickets=(), apply=True, report=report)
    assert desk.read(RAW).num_rows == 5

    done = said(desk, "--ticket", "T3", "--apply")

    assert "A run before this one was killed" in done
    assert "3 tickets: N1, T1, T3" in done
    assert [json.loads(row).get("id") for row in desk.read(RAW)["fields"].to_pylist()] == ["T2", None]
    assert said(desk, "--customer", ANN) == "Nothing is held of them here.\n"


def test_nobody_is_forgotten_while_another_run_holds_the_workspace(desk: Workspace) -> None:
    with desk.lock("nightly"):
        assert isinstance(triage(desk, "--customer", ANN, "--apply").exception, LockedError)
        assert said(desk, "--customer", ANN).startswith("2 tickets")
