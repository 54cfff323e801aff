"""From the operational database to the lake and into outcomes, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from pipeline.cleaning import clean
from pipeline.extract import extract
from pipeline.importing import import_files
from pipeline.lake import parts_of
from pipeline.outcomes import label
from tests.logged import log_suggestions
from tickets.database import suggestions
from tickets.feedback_log import record_feedback, withdraw_feedback
from tickets.label_answers import UNDO_WITHIN, settle, undo
from tickets.label_queue import LabelRequest, answer, claim, enqueue
from tickets.records import Feedback, RankedContactType, Suggestion, Ticket
from tickets.tables import FEEDBACK, LABELS, OUTCOMES, RAW, SUGGESTIONS, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 3, 2)
MORNING = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def history(make_row: Callable[..., dict[str, str]], write_csv: Callable[..., Path]) -> Path:
    return write_csv([make_row(number) for number in range(1, 6)])


def test_feedback_and_labels_reach_the_outcomes_of_imported_and_new_tickets(
    workspace: Workspace, engine: sa.Engine, spark: SparkSession, dataset_file: Path, history: Path
) -> None:
    import_files(workspace, [history], dataset_file, as_of=DAY - timedelta(days=1))
    clean(workspace, as_of=DAY - timedelta(days=1), spark=spark)
    label(workspace, as_of=DAY - timedelta(days=1), spark=spark)
    tickets = [_ticket(name) for name in ("T0001", "T0002", "N1", "N2")]
    log_suggestions(engine, [(ticket, _suggestion(ticket)) for ticket in tickets])
    _feedback(engine, "T0001", "corrected", "Payment::Refund")
    _feedback(engine, "T0002", "ignored", "Delivery::Late")
    _feedback(engine, "N1", "accepted", "Delivery::Late")
    enqueue(engine, [LabelRequest(ticket=tickets[0], share="random", priority=1.0)], at=MORNING)
    (item,) = claim(engine, "ann", at=MORNING)
    answer(engine, item.item_id, contact_type="Delivery::Late", labeler="ann", at=MORNING)

    extracted = extract(workspace, engine, as_of=DAY)
    cleaned = clean(workspace, as_of=DAY, spark=spark)
    label(workspace, as_of=DAY, spark=spark)

    assert dict(extracted.counts) == {"suggestions": 4, "feedback": 3, "labels": 1, "tickets": 2}
    assert cleaned.counts["tickets"] == 5 + 2
    assert {found["ticket_id"] for found in workspace.read(TICKETS).to_pylist()} >= {"N1", "N2"}
    outcomes = {found["ticket_id"]: found for found in workspace.read(OUTCOMES).to_pylist()}
    assert (outcomes["T0001"]["contact_type"], outcomes["T0001"]["source"]) == ("Delivery::Late", "labeler")
    assert outcomes["T0001"]["labeler"] == "ann"
    assert outcomes["T0001"]["template_id"] == "late"  # imported, and on the same contact type
    assert (outcomes["T0002"]["contact_type"], outcomes["T0002"]["source"]) == ("Payment::Refund", "import")
    assert (outcomes["N1"]["contact_type"], outcomes["N1"]["source"]) == ("Delivery::Late", "agent")
    assert "N2" not in outcomes


def test_each_night_takes_what_no_other_has_and_a_rerun_changes_nothing(
    workspace: Workspace, engine: sa.Engine
) -> None:
    first, late, second = _ticket("N1"), _ticket("N2"), _ticket("N3")
    log_suggestions(engine, [(first, _suggestion(first))])
    extract(workspace, engine, as_of=DAY)
    before = workspace.read(RAW).to_pylist()
    again = extract(workspace, engine, as_of=DAY)
    assert workspace.read(RAW).to_pylist() == before
    assert {name: output.rows for name, output in again.outputs.items()} == {
        **{f"raw/arrived={DAY}": 1, f"suggestions/arrived={DAY}": 1},
    }

    # One is committed after the first night, with a time of that day; the other the next day.
    log_suggestions(engine, [(late, _suggestion(late, at=MORNING + timedelta(hours=12)))])
    log_suggestions(engine, [(second, _suggestion(second, at=MORNING + timedelta(days=1)))])
    extracted = extract(workspace, engine, as_of=DAY + timedelta(days=1))

    assert extracted.counts["suggestions"] == 2
    found = [(row["ticket_id"], row["arrived"]) for row in workspace.read(SUGGESTIONS).to_pylist()]
    assert sorted(found) == [("N1", "2026-03-02"), ("N2", "2026-03-03"), ("N3", "2026-03-03")]
    assert workspace.partitions(FEEDBACK) == []
    assert workspace.partitions(LABELS) == []


def test_the_lake_keeps_what_the_database_has_lost_and_an_older_date_takes_only_what_came_late(
    workspace: Workspace, engine: sa.Engine
) -> None:
    first, second, late = _ticket("N1"), _ticket("N2"), _ticket("N3")
    log_suggestions(engine, [(first, _suggestion(first, at=MORNING - timedelta(days=3)))])
    log_suggestions(engine, [(second, _suggestion(second))])
    extract(workspace, engine, as_of=DAY)
    log_suggestions(engine, [(late, _suggestion(late, at=MORNING - timedelta(days=1)))])
    with engine.begin() as connection:
        connection.execute(sa.delete(suggestions).where(suggestions.c.suggestion_id == "s-N1"))

    older = extract(workspace, engine, as_of=DAY - timedelta(days=1))
    again = extract(workspace, engine, as_of=DAY)

    assert (older.counts["suggestions"], again.counts["suggestions"]) == (1, 2)
    expected = [("N1", "2026-03-02"), ("N2", "2026-03-02"), ("N3", "2026-03-01")]
    found = [(row["ticket_id"], row["arrived"]) for row in workspace.read(SUGGESTIONS).to_pylist()]
    assert sorted(found) == expected
    raw = [(json.loads(row["fields"])["ticket_id"], row["arrived"]) for row in workspace.read(RAW).to_pylist()]
    assert sorted(raw) == expected


def test_a_file_that_has_left_the_lake_costs_no_other_one(workspace: Workspace, engine: sa.Engine) -> None:
    for name in ("N1", "N2", "N3"):
        log_suggestions(engine, [(_ticket(name), _suggestion(_ticket(name)))])
        extract(workspace, engine, as_of=DAY)
    parts_of(workspace, SUGGESTIONS, DAY.isoformat())[0].unlink()
    log_suggestions(engine, [(_ticket("N4"), _suggestion(_ticket("N4")))])

    extract(workspace, engine, as_of=DAY)

    # N1 is still in the database, so it comes again, with N4.
    assert sorted(workspace.read(SUGGESTIONS)["ticket_id"].to_pylist()) == ["N1", "N2", "N3", "N4"]


def test_the_lake_gets_the_label_that_counts_of_each_item_and_no_other(workspace: Workspace, engine: sa.Engine) -> None:
    asked = (("N1", "random", 2), ("N2", "unsure", 1), ("N3", "gold", 1), ("N4", "random", 2))
    requests = [
        LabelRequest(ticket=_ticket(name), share=share, priority=1.0, needed=needed, item_id=name)  # type: ignore[arg-type]
        for name, share, needed in asked
    ]
    enqueue(engine, requests, at=MORNING)
    for name, labeler, contact_type in (
        *(("N1", "ann", "Late"), ("N1", "bob", "Late"), ("N2", "ann", "Refund"), ("N3", "ann", "Late")),
        *(("N4", "ann", "Late"), ("N4", "bob", "Refund")),
    ):
        answer(engine, name, contact_type=contact_type, labeler=labeler, at=MORNING)
    undo(engine, "N2", labeler="ann", at=MORNING)
    answer(engine, "N2", contact_type="Late", labeler="ann", at=MORNING)
    extract(workspace, engine, as_of=DAY)
    extract(workspace, engine, as_of=DAY)
    settle(engine, "N4", contact_type="Late", labeler="eve", at=MORNING + timedelta(days=5))
    extract(workspace, engine, as_of=DAY + timedelta(days=5))
    found = sorted(
        (row["ticket_id"], row["contact_type"], row["arrived"]) for row in workspace.read(LABELS).to_pylist()
    )
    assert found == [("N1", "Late", "2026-03-02"), ("N2", "Late", "2026-03-02"), ("N4", "Late", "2026-03-07")]


def test_what_can_still_be_taken_back_waits_for_the_next_run(workspace: Workspace, engine: sa.Engine) -> None:
    """Also where the run is for the day that is not over yet, as `triage retrain` by hand."""
    said, kept = MORNING + timedelta(minutes=5), timedelta(minutes=11)
    for name in ("N1", "N2"):
        log_suggestions(engine, [(_ticket(name), _suggestion(_ticket(name)))])
        _feedback(engine, name, "accepted", "Late")  # five minutes past
        enqueue(engine, [LabelRequest(ticket=_ticket(name), share="random", priority=1.0, item_id=name)], at=MORNING)
        answer(engine, name, contact_type="Late", labeler="ann", at=said)
    early = extract(workspace, engine, as_of=DAY, now=said + timedelta(minutes=5))
    assert dict(early.counts) == {"suggestions": 2, "feedback": 0, "labels": 0, "tickets": 2}
    at = said + timedelta(minutes=9)
    undo(engine, "N1", labeler="ann", at=at)
    assert withdraw_feedback(engine, "f-N1", at=at, within=UNDO_WITHIN)
    assert dict(extract(workspace, engine, as_of=DAY, now=said + kept).counts) == {
        **early.counts,
        "feedback": 1,
        "labels": 1,
    }
    # What was said in the last minutes of a day is the next night's, when this one runs at once.
    midnight = datetime(2026, 3, 3, tzinfo=UTC)
    enqueue(engine, [LabelRequest(ticket=_ticket("N3"), share="random", priority=1.0, item_id="N3")], at=MORNING)
    answer(engine, "N3", contact_type="Late", labeler="ann", at=midnight - timedelta(minutes=1))
    assert extract(workspace, engine, as_of=DAY, now=midnight + timedelta(minutes=5)).counts["labels"] == 1
    late = extract(workspace, engine, as_of=DAY + timedelta(days=1), now=midnight + timedelta(days=1, hours=1))
    assert late.counts["labels"] == 1
    found = [(row["ticket_id"], row["arrived"]) for row in workspace.read(LABELS).to_pylist()]
    assert sorted(found) == [("N2", "2026-03-02"), ("N3", "2026-03-03")]
    assert workspace.read(FEEDBACK)["ticket_id"].to_pylist() == ["N2"]


def _ticket(name: str) -> Ticket:
    return Ticket(
        ticket_id=name, created_at=MORNING, body=f"Where is my parcel {name}?", attributes={"product": "parcel"}
    )


def _suggestion(ticket: Ticket, *, at: datetime = MORNING) -> Suggestion:
    ranked = RankedContactType(contact_type="Delivery::Late", path="Delivery::Late", probability=0.9, band="high")
    return Suggestion(
        suggestion_id=f"s-{ticket.ticket_id}",
        ticket_id=ticket.ticket_id,
        model_version="20260301-000000-abcdef",
        created_at=at,
        contact_types=(ranked,),
        templates=(),
    )


def _feedback(engine: sa.Engine, name: str, action: str, contact_type: str) -> None:
    given = Feedback(
        feedback_id=f"f-{name}",
        suggestion_id=f"s-{name}",
        ticket_id=name,
        action=action,  # type: ignore[arg-type]
        at=MORNING + timedelta(minutes=5),
        contact_type=contact_type,
        agent="bob",
    )
    assert record_feedback(engine, given)
