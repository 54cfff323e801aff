"""Labels of the past that are doubted: wrong ones are asked about first, once, with what the model says."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from models import release as names
from models.neighbours import write_neighbours
from models.release import Release
from monitoring.night import run_night
from monitoring.policy import Limits, Policy
from monitoring.suspects import suspect_requests
from tests.monitoring.conftest import TREE
from tickets.catalogue import write_tree
from tickets.contact_types import tree_to_text
from tickets.label_queue import answer, claim
from tickets.records import Ticket, attributes_to_text
from tickets.tables import OUTCOMES, TICKETS
from tickets.workspace import Workspace

WRONG = {f"t-5-{number}" for number in range(0, 120, 20)}


@pytest.fixture
def doubtful(
    workspace: Workspace,
    release: Release,
    reader_of: Callable[[Release], Any],
    draw: Callable[..., list[tuple[Ticket, str]]],
    write_examples: Callable[..., None],
) -> Release:
    """A release that learned from 120 tickets, six of them with another label than their own."""
    drawn = draw(120, day=date(2026, 2, 2), days=10, seed=5)
    order = [node.id for node in TREE.nodes]
    labels = [order[(order.index(topic) + (ticket.ticket_id in WRONG)) % len(order)] for ticket, topic in drawn]
    rows = [
        {
            **{"ticket_id": ticket.ticket_id, "created_at": ticket.created_at, "text": ticket.body},
            **{"language": "en", "channel": ticket.channel, "statistics": "{}"},
            **{"attributes": attributes_to_text(ticket.attributes), "contact_type": label, "template_id": None},
            "outcome_source": "agent",
        }
        for (ticket, _), label in zip(drawn, labels, strict=True)
    ]
    write_examples(workspace, {"train": rows})
    table = [{**row, "subject": "", "body": row["text"], "split": None} for row in rows]
    publish(workspace, TICKETS, table, day="2026-03-01")
    write_tree(workspace, TREE)
    release.path(names.TREE).write_text(tree_to_text(TREE), encoding="utf-8")
    vectors = reader_of(release).detail_cleaned([ticket for ticket, _ in drawn]).embeddings
    write_neighbours(
        release.folder,
        vectors,
        ticket_ids=[ticket.ticket_id for ticket, _ in drawn],
        texts=[ticket.body for ticket, _ in drawn],
        contact_types=labels,
    )
    save_file({"neighbours": vectors}, str(release.folder / names.VECTORS))
    return release


def publish(workspace: Workspace, table: Any, rows: list[dict[str, Any]], *, day: str | None = None) -> None:
    with workspace.aside(table.name) as folder:
        inside: Path = folder / f"arrived={day}" if day else folder
        inside.mkdir(exist_ok=True)
        known = [{name: row.get(name) for name in table.schema.names} for row in rows]
        pq.write_table(pa.Table.from_pylist(known, schema=table.schema), inside / "part.parquet")
        workspace.publish(folder, table)


def test_wrong_labels_are_asked_about_first_with_what_the_model_says(workspace: Workspace, doubtful: Release) -> None:
    requests = suspect_requests(workspace, doubtful, count=5, reviewed=set())
    assert len(requests) == 5
    assert len({request.ticket.ticket_id for request in requests} & WRONG) >= 4
    first = requests[0]
    assert (first.share, first.blind, first.priority) == ("suspect", False, 1.0)
    assert first.doubt is not None
    assert first.doubt["likelier"] != first.known_type
    assert first.doubt["likelier_probability"] > first.doubt["given_probability"]
    assert first.doubt["source"] == "agent"
    assert first.ticket.attributes["city"] in {"Lisbon", "Porto", "Faro"}
    json.dumps(dict(first.doubt))  # what the queue keeps

    more = suspect_requests(workspace, doubtful, count=5, reviewed={request.ticket.ticket_id for request in requests})
    assert {request.ticket.ticket_id for request in more}.isdisjoint(request.ticket.ticket_id for request in requests)


def test_a_label_that_was_mended_since_is_doubted_no_more(workspace: Workspace, doubtful: Release) -> None:
    (first,) = suspect_requests(workspace, doubtful, count=1, reviewed=set())
    rows = workspace.read(OUTCOMES).to_pylist()
    for row in rows:
        if row["ticket_id"] == first.ticket.ticket_id:
            row["contact_type"] = first.doubt["likelier"]  # type: ignore[index]
    publish(workspace, OUTCOMES, rows)
    (other,) = suspect_requests(workspace, doubtful, count=1, reviewed=set())
    assert other.ticket.ticket_id != first.ticket.ticket_id


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_night_asks_about_some_within_its_budget_and_never_about_the_same_again(
    world: Any, doubtful: Release
) -> None:
    world.arrive(300, day=date(2026, 3, 2), days=7, seed=3)
    policy = Policy(permutations=99, label_budget=20, evidently=False, limits=Limits(replays=0))
    asked = []
    for day in (7, 8):
        run_night(world.workspace, world.engine, as_of=date(2026, 3, day), policy=policy, suggester=world.reader)
        claimed = claim(world.engine, "ada", at=datetime.now(UTC), count=99)
        assert len(claimed) == 20
        asked += [item.ticket.ticket_id for item in claimed if item.share == "suspect"]
        for item in claimed:
            given = str(item.doubt["likelier"]) if item.doubt else "refund"
            answer(world.engine, item.item_id, contact_type=given, labeler="ada", at=datetime.now(UTC))
    assert len(asked) == len(set(asked)) == 4
    assert len(set(asked) & WRONG) >= 3


def test_without_history_there_are_none(workspace: Workspace, release: Release) -> None:
    assert suspect_requests(workspace, release, count=5, reviewed=set()) == []
    assert suspect_requests(workspace, release, count=0, reviewed=set()) == []
