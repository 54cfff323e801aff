"""The nightly batch, on a real Spark: every open ticket gets what the service would say."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.release import current_release, promote
from models.score_backlog import score, scorer
from models.suggest import Suggester
from tickets.errors import ReleaseError
from tickets.manifests import read_manifest
from tickets.records import Ticket, attributes_to_text, suggestion_from_json, to_json
from tickets.tables import BACKLOG, OUTCOMES, TICKETS
from tickets.workspace import Workspace

NIGHT = date(2026, 3, 2)
pytestmark = pytest.mark.slow  # starts Spark and its Python workers


def write_tickets(workspace: Workspace, day: str, bodies: dict[str, str]) -> None:
    rows = [
        {
            "ticket_id": ticket_id, "created_at": datetime(2026, 3, 1, tzinfo=UTC), "channel": "mail", "subject": "",
            "body": body, "language": "en", "attributes": attributes_to_text({"product": "card"}),
        }
        for ticket_id, body in bodies.items()
    ]  # fmt: skip
    folder = workspace.table_path(TICKETS) / f"arrived={day}"
    folder.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=TICKETS.schema), folder / "part-0.parquet")


@pytest.fixture
def open_tickets(trained, workspace: Workspace) -> Workspace:
    """Four tickets, one resolved, one that arrived twice, one that arrived after the night."""
    shutil.copytree(trained.model.folder, workspace.models / trained.model.version)
    promote(workspace, trained.model.version)
    write_tickets(workspace, "2026-03-01", {"a": "refund money back", "b": "lost phone", "done": "charged twice"})
    write_tickets(workspace, "2026-03-02", {"b": "password locked account"})
    write_tickets(workspace, "2026-03-03", {"later": "wrong route"})
    outcome = [{"ticket_id": "done", "contact_type": "double", "source": "agent"}]
    workspace.table_path(OUTCOMES).mkdir(parents=True)
    pq.write_table(
        pa.Table.from_pylist(outcome, schema=OUTCOMES.schema), workspace.table_path(OUTCOMES) / "part-0.parquet"
    )
    return workspace


def test_open_tickets_are_scored_once_with_the_current_release(open_tickets, spark):
    lines: list[str] = []
    manifest = score(open_tickets, spark, as_of=NIGHT, report=lines.append)
    rows = {row["ticket_id"]: row for row in open_tickets.read(BACKLOG).to_pylist()}
    assert set(rows) == {"a", "b"}
    assert rows["a"]["contact_type"] == "refund"
    assert rows["b"]["contact_type"] == "account"
    assert rows["a"]["as_of"] == "2026-03-02"
    assert manifest.counts == {"backlog": 2}
    assert manifest.outputs["backlog/as_of=2026-03-02"].rows == 2
    assert manifest.inputs == {"release": current_release(open_tickets).version}
    assert read_manifest(open_tickets, "score", "2026-03-02") == manifest
    assert "2 open tickets" in lines[0]


def test_the_batch_says_what_the_service_says(open_tickets, spark):
    score(open_tickets, spark, as_of=NIGHT, report=lambda _line: None)
    row = open_tickets.read(BACKLOG).filter(pa.compute.field("ticket_id") == "a").to_pylist()[0]
    batch = suggestion_from_json(json.loads(row["suggestion"]))
    ticket = Ticket(
        ticket_id="a", created_at=datetime(2026, 3, 1, tzinfo=UTC), channel="mail", body="refund money back",
        language="en", attributes={"product": "card"},
    )  # fmt: skip
    (online,) = Suggester.load(current_release(open_tickets)).suggest([ticket])
    assert [c.contact_type for c in batch.contact_types] == [c.contact_type for c in online.contact_types]
    assert batch.contact_types[0].probability == pytest.approx(online.contact_types[0].probability, abs=0.02)
    assert batch.templates[0].template_id == online.templates[0].template_id


def test_the_whole_suggestion_is_kept(open_tickets, spark):
    score(open_tickets, spark, as_of=NIGHT, report=lambda _line: None)
    for row in open_tickets.read(BACKLOG).to_pylist():
        suggestion = suggestion_from_json(json.loads(row["suggestion"]))
        assert json.loads(row["suggestion"]) == to_json(suggestion)
        assert suggestion.created_at == datetime(2026, 3, 2, tzinfo=UTC)
        assert (suggestion.ticket_id, suggestion.model_version) == (row["ticket_id"], row["model_version"])
        assert len(suggestion.contact_types) == len(suggestion.templates) == len(suggestion.similar) == 3
        assert suggestion.words


def test_tickets_are_scored_as_the_lake_has_them(open_tickets, spark):
    """Cleaning them a second time would refuse what only markup is left of."""
    shutil.rmtree(open_tickets.table_path(TICKETS))
    write_tickets(open_tickets, "2026-03-01", {"odd": "<p></p>"})
    assert score(open_tickets, spark, as_of=NIGHT, report=lambda _line: None).counts == {"backlog": 1}


def test_all_cores_share_a_backlog(open_tickets, spark):
    write_tickets(open_tickets, "2026-02-28", {f"more-{number}": "refund money back" for number in range(60)})
    score(open_tickets, spark, as_of=NIGHT, report=lambda _line: None)
    parts = sorted((open_tickets.table_path(BACKLOG) / "as_of=2026-03-02").glob("*.parquet"))
    rows = [pq.read_metadata(part).num_rows for part in parts]
    assert sum(rows) == 62
    assert len(rows) >= 2
    assert min(rows) > 62 / len(rows) / 2  # shared out by a hash of the id


def test_a_task_loads_the_release_once(trained, tmp_path):
    folder = shutil.copytree(trained.model.folder, tmp_path / "release")
    rows = [
        {"ticket_id": name, "created_at": datetime(2026, 3, 1, tzinfo=UTC), "channel": "mail", "subject": "",
         "body": "refund money", "language": "en", "attributes": "{}"}
        for name in ("a", "b")
    ]  # fmt: skip
    batches = [pa.RecordBatch.from_pylist([row], schema=TICKETS.schema) for row in rows]
    scored = scorer(folder, NIGHT)(iter(batches))
    assert next(scored)["ticket_id"].to_pylist() == ["a"]
    shutil.rmtree(folder)
    assert next(scored)["ticket_id"].to_pylist() == ["b"]


def test_no_open_ticket_is_no_error(open_tickets, spark):
    shutil.rmtree(open_tickets.table_path(TICKETS))
    write_tickets(open_tickets, "2026-03-01", {"done": "charged twice"})
    assert score(open_tickets, spark, as_of=NIGHT, report=lambda _line: None).counts == {"backlog": 0}
    assert open_tickets.read(BACKLOG).num_rows == 0


def test_scoring_the_same_night_again_replaces_it_by_the_same_bytes(open_tickets, spark):
    found = []
    for _ in range(2):
        score(open_tickets, spark, as_of=NIGHT, report=lambda _line: None)
        parts = (open_tickets.table_path(BACKLOG) / "as_of=2026-03-02").glob("*.parquet")
        found.append({part.name: part.read_bytes() for part in parts})
    assert open_tickets.read(BACKLOG).num_rows == 2
    assert found[0] == found[1]
    ids = [json.loads(row["suggestion"])["suggestion_id"] for row in open_tickets.read(BACKLOG).to_pylist()]
    assert len(set(ids)) == 2


def test_without_a_release_nothing_is_scored(workspace, spark):
    with pytest.raises(ReleaseError, match="no model has been promoted"):
        score(workspace, spark, as_of=NIGHT, report=lambda _line: None)
