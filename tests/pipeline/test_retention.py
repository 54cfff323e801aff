"""Retention: what is old goes, what a table still needs stays and says so."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.upkeep.retention import Leaving, RetentionPolicy, retain
from tickets.manifests import Manifest, Output, write_manifest
from tickets.tables import BACKLOG, FEEDBACK, QUARANTINE, RAW, SUGGESTIONS, TICKETS, Table
from tickets.workspace import Workspace

NOW = date(2026, 3, 31)
OLD, OLDER, NEW = "2026-01-15", "2026-01-01", "2026-03-30"
EVERYTHING = RetentionPolicy(raw=30, quarantine=30, answers=30, backlog=30, manifests=30, reports=30, models=30)


def day(workspace: Workspace, table: Table, value: str, name: str = "part-0000.parquet") -> Path:
    folder = workspace.table_path(table) / f"{table.partition}={value}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"12345")
    return folder


def named(leaving: list[Leaving]) -> list[str]:
    return [item.name for item in leaving]


def test_nothing_is_removed_unless_it_is_asked_for(workspace: Workspace) -> None:
    folders = [day(workspace, BACKLOG, value) for value in (OLDER, OLD, NEW)]

    leaving = retain(workspace, EVERYTHING, as_of=NOW)

    assert named(leaving) == [f"lake/backlog/as_of={OLDER}", f"lake/backlog/as_of={OLD}"]
    assert (leaving[0].kind, leaving[0].day, leaving[0].bytes, leaving[0].gone) == ("backlog", OLDER, 5, False)
    assert all(folder.is_dir() for folder in folders)

    done = retain(workspace, EVERYTHING, as_of=NOW, apply=True)

    assert [item.gone for item in done] == [True, True]
    assert workspace.partitions(BACKLOG) == [NEW]
    assert retain(workspace, EVERYTHING, as_of=NOW) == []
    assert not list(workspace.aside_root.iterdir())


def test_the_newest_of_each_stays_whatever_its_age(workspace: Workspace) -> None:
    for table in (RAW, QUARANTINE, SUGGESTIONS, BACKLOG):
        day(workspace, table, OLD)
    write_manifest(workspace, Manifest(step="clean", as_of=OLD))
    workspace.reports.mkdir()
    (workspace.reports / f"{OLD}-m1.json").write_text("{}")
    assert retain(workspace, EVERYTHING, as_of=NOW) == []


def test_what_a_table_is_made_from_stays_and_says_so(workspace: Workspace) -> None:
    for value in (OLD, NEW):
        for table in (RAW, TICKETS, FEEDBACK, SUGGESTIONS, QUARANTINE):
            day(workspace, table, value)
    day(workspace, RAW, OLD, "service-0000.parquet")

    done = {item.kind: item for item in retain(workspace, EVERYTHING, as_of=NOW, apply=True)}

    assert done["quarantine"].gone
    assert f"tickets/arrived={OLD} is cleaned from it" in done["raw"].needed_by
    assert f"the service's tickets in raw/arrived={OLD}" in done["suggestions"].needed_by
    assert done["feedback"].needed_by == "outcomes are read from it"
    assert not any(done[kind].gone for kind in ("raw", "suggestions", "feedback"))
    assert workspace.partitions(RAW) == [OLD, NEW]

    retain(workspace, EVERYTHING, as_of=NOW, apply=True, needed_too=True)

    assert [workspace.partitions(table) for table in (RAW, FEEDBACK, SUGGESTIONS)] == [[NEW]] * 3
    assert workspace.partitions(TICKETS) == [OLD, NEW]  # the next run takes them out


def test_suggestions_stay_while_feedback_is_about_them(workspace: Workspace) -> None:
    for value, name in ((OLDER, "s1"), (OLD, "s2"), (NEW, "s3")):
        named_rows(workspace, SUGGESTIONS, value, name)
    named_rows(workspace, FEEDBACK, NEW, "s2")

    done = {item.day: item for item in retain(workspace, EVERYTHING, as_of=NOW, apply=True)}

    assert (done[OLDER].gone, done[OLD].gone) == (True, False)
    assert "refused without it" in done[OLD].needed_by
    assert workspace.partitions(SUGGESTIONS) == [OLD, NEW]


def named_rows(workspace: Workspace, table: Table, value: str, suggestion_id: str) -> None:
    columns = {field.name: pa.nulls(1, field.type) for field in table.schema}
    rows = pa.table(columns | {"suggestion_id": [suggestion_id]})
    pq.write_table(rows, day(workspace, table, value) / "part-0000.parquet")


def test_what_was_imported_is_remembered(workspace: Workspace) -> None:
    for as_of in (OLDER, NEW):
        write_manifest(workspace, Manifest(step="import", as_of=as_of, inputs={"export/tickets-00000001.jsonl#1": "1"}))

    (item,) = retain(workspace, EVERYTHING, as_of=NOW, apply=True)

    assert not item.gone
    assert "what was read already" in item.needed_by


def test_raw_rows_of_tickets_that_are_gone_need_not_stay(workspace: Workspace) -> None:
    for value in (OLD, NEW):
        day(workspace, RAW, value)
    assert [item.needed_by for item in retain(workspace, EVERYTHING, as_of=NOW)] == [""]


def test_by_default_source_rows_and_answers_are_kept_for_ever(workspace: Workspace) -> None:
    for value in ("2001-01-01", NEW):
        for table in (RAW, QUARANTINE, SUGGESTIONS, FEEDBACK, BACKLOG):
            day(workspace, table, value)
    assert named(retain(workspace, RetentionPolicy(), as_of=NOW)) == ["lake/backlog/as_of=2001-01-01"]


def test_a_manifest_stays_while_it_tells_where_a_partition_came_from(workspace: Workspace) -> None:
    day(workspace, TICKETS, OLD)
    for as_of, name in ((OLDER, f"tickets/arrived={OLDER}"), (OLD, f"tickets/arrived={OLD}"), (NEW, "outcomes")):
        outputs = {name: Output(rows=1, content="c")}
        write_manifest(workspace, Manifest(step="clean", as_of=as_of, outputs=outputs))

    done = retain(workspace, EVERYTHING, as_of=NOW, apply=True)

    assert [(item.name, item.gone) for item in done] == [
        (f"manifests/clean/{OLDER}.json", True),
        (f"manifests/clean/{OLD}.json", False),
    ]
    assert f"tickets/arrived={OLD}" in done[1].needed_by


def test_reports_go_by_the_day_they_are_about(workspace: Workspace) -> None:
    workspace.reports.mkdir()
    for value in (OLD, NEW):
        for ending in ("json", "snapshot.json", "html"):
            (workspace.reports / f"{value}-m1.{ending}").write_text("{}")
    (workspace.reports / "notes.txt").write_text("mine")

    retain(workspace, EVERYTHING, as_of=NOW, apply=True)

    assert sorted(path.name for path in workspace.reports.iterdir()) == [
        *(f"{NEW}-m1.{ending}" for ending in ("html", "json", "snapshot.json")),
        "notes.txt",
    ]


@pytest.mark.parametrize("kept", [None, {"m-old-champion"}])
def test_models_go_only_when_it_is_known_which_must_stay(workspace: Workspace, kept: set[str] | None) -> None:
    for folder in (workspace.models, workspace.releases):
        for version, created in (("m-old", OLD), ("m-old-champion", OLD), ("m-new", NEW)):
            (folder / version).mkdir(parents=True)
            (folder / version / "release.json").write_text(json.dumps({"created_at": f"{created}T10:00:00+00:00"}))
    (workspace.models / "unfinished").mkdir()

    retain(workspace, EVERYTHING, as_of=NOW, kept_models=kept, apply=True)

    sealed = ["m-new", "m-old", "m-old-champion"] if kept is None else ["m-new", "m-old-champion"]
    assert sorted(path.name for path in workspace.models.iterdir()) == [*sealed, "unfinished"]
    assert sorted(path.name for path in workspace.releases.iterdir()) == sealed


def test_what_a_killed_run_left_behind_is_told(workspace: Workspace) -> None:
    left = workspace.aside_root / "clean-0123456789ab"
    left.mkdir()
    (left / "part.parquet").write_bytes(b"123")

    (item,) = retain(workspace, EVERYTHING, as_of=NOW)

    assert (item.kind, item.bytes) == ("left behind by a killed run", 3)
    with workspace.lock("retain"):
        assert retain(workspace, EVERYTHING, as_of=NOW, apply=True) == []
