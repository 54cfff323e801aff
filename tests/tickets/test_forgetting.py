"""A person's tickets in the database: found by the customer's hash, removed from every table, others' rows left."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from tests.logged import log_suggestions, suggested
from tickets import audit, database, feedback_log, label_answers, monitor_log, theme_log
from tickets import webhook_deliveries as deliveries
from tickets.forgetting import Held, forget_rows, held_rows, tickets_of, without_tickets
from tickets.label_queue import LabelRequest, enqueue
from tickets.records import Feedback, Suggestion, Ticket

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
PERSON, OTHER = "a" * 32, "b" * 32
THEIRS = frozenset({"T1", "zd-17", "Ü 3"})


def ticket(name: str, customer: str) -> Ticket:
    return Ticket(ticket_id=name, created_at=AT, body=f"Where is {name}?", customer_key=customer)


def suggestion(name: str, *similar: str) -> Suggestion:
    return suggested(name, at=AT, similar=similar)[1]


@pytest.fixture
def told(engine: sa.Engine) -> sa.Engine:
    """One person with three tickets, another with two, in every table that knows of tickets."""
    own = [(ticket(name, PERSON), suggestion(name)) for name in sorted(THEIRS)]
    others = [(ticket("T2", OTHER), suggestion("T2", "T1", "T3")), (ticket("17", OTHER), suggestion("17"))]
    log_suggestions(engine, own + others)
    for name in ("T1", "T2"):
        said = Feedback(feedback_id=f"f-{name}", suggestion_id=f"s-{name}", ticket_id=name, action="accepted", at=AT)
        assert feedback_log.record_feedback(engine, said)
        row = {"suggestion_id": f"s-{name}", "model_version": "n", "at": AT, "abstained": False, "agreed": True}
        with engine.begin() as connection:
            connection.execute(sa.insert(database.challenger_answers).values(**row))
    asked = [
        LabelRequest(item_id=f"i-{one.ticket_id}", ticket=one, share="random", priority=1.0, suggestion=made)
        for one, made in (own[0], others[0])
    ]
    enqueue(engine, asked, at=AT)
    for item in asked:
        label_answers.answer(engine, item.item_id, contact_type="Late", labeler="ann", at=AT)
    # What the helpdesk calls 17 is zd-17 here; another helpdesk's 17 is somebody else's.
    assert deliveries.take(engine, "zendesk", "d1", "17", ticket("zd-17", PERSON), now=AT)
    deliveries.note(engine, "zendesk", "d2", "feedback", ticket_id="17", now=AT)
    assert deliveries.take(engine, "zammad", "d3", "17", ticket("17", OTHER), now=AT)
    deliveries.note(engine, "zammad", "d4", "feedback", ticket_id="T1", now=AT)
    _monitor(engine)
    return engine


def _monitor(engine: sa.Engine) -> None:
    run = monitor_log.MonitorRun(
        run_id="r",
        as_of="2026-03-02",
        started_at=AT,
        seconds=1,
        model_version="m",
        status="alarm",
        windows={},
        summary={},
    )
    seen = monitor_log.DetectorResult(
        detector="d", statistic=1, limit=0, p_value=0, status="drifted", details={"examples": ["T1", "T2"]}
    )
    alarm = monitor_log.Alarm(
        alarm_id="a", run_id="r", detector="d", severity="warning", message="", raised_at=AT, details=dict(seen.details)
    )
    monitor_log.record_run(engine, run, [seen], [alarm])
    theme = theme_log.Theme(
        theme_id="t",
        name="Scooters",
        words=["T1"],  # a word that happens to be an id stays
        tickets=3,
        share=0.1,
        days={},
        examples=[{"ticket_id": "T1", "text": "mine"}, {"ticket_id": "T2", "text": "theirs"}],
        ticket_ids=["T1", "T2", "Ü 3"],
        nearest={},
        centroid=[],
        model_version="m",
        first_seen=AT,
        last_seen=AT,
        run_id="r",
    )
    theme_log.record(engine, [theme])


def everything(engine: sa.Engine) -> dict[str, str]:
    """All that stands in the database, as text by table."""
    with engine.connect() as connection:
        return {
            table.name: json.dumps(
                [dict(row._mapping) for row in connection.execute(sa.select(table))], default=str, ensure_ascii=False
            )
            for table in database.metadata.sorted_tables
        }


def test_tickets_are_found_by_the_hash_of_the_customer_also_those_that_wait(told: sa.Engine) -> None:
    assert tickets_of(told, PERSON) == THEIRS
    assert tickets_of(told, OTHER) == {"T2", "17"}
    assert tickets_of(told, "c" * 32) == frozenset()


def test_what_is_held_is_told_and_nothing_changes(told: sa.Engine) -> None:
    before = everything(told)
    held = {(one.table, one.shortened): one.rows for one in held_rows(told, THEIRS)}
    assert held == {
        ("challenger_answers", False): 1,
        ("feedback", False): 1,
        ("label_queue", False): 1,
        ("labels", False): 1,
        ("suggestions", False): 3,
        ("webhook_deliveries", False): 3,
        ("alarms", True): 1,
        ("detector_results", True): 1,
        ("label_queue", True): 1,
        ("suggestions", True): 1,
        ("themes", True): 1,
    }
    assert everything(told) == before


def test_a_person_leaves_every_table_and_others_stay(told: sa.Engine) -> None:
    held = held_rows(told, THEIRS)

    done = forget_rows(told, THEIRS, at=AT, actor="ann@machine")

    assert done == [replace(one, gone=True) for one in held]
    assert held_rows(told, THEIRS) == []
    assert tickets_of(told, PERSON) == frozenset()
    left = everything(told)
    for name in THEIRS:
        assert not any(f'"{name}"' in text for table, text in left.items() if table != "themes")
    assert PERSON not in "".join(left.values())
    (theme,) = theme_log.open_themes(told)
    assert (theme.ticket_ids, theme.words) == (["T2"], ["T1"])
    assert theme.examples == [{"ticket_id": "T2", "text": "theirs"}]
    kept = {row["ticket_id"]: row["suggestion"] for row in json.loads(left["suggestions"])}
    assert kept.keys() == {"T2", "17"}
    assert [one["ticket_id"] for one in kept["T2"]["similar"]] == ["T3"]
    assert [row["delivery_id"] for row in json.loads(left["webhook_deliveries"])] == ["d3"]
    assert len(json.loads(left["feedback"])) == len(json.loads(left["labels"])) == 1


def test_the_audit_log_tells_how_many_rows_went_and_not_whose(told: sa.Engine) -> None:
    forget_rows(told, THEIRS, at=AT, actor="ann@machine")
    (entry,) = audit.entries(told, since=AT - timedelta(days=1))
    assert (entry.actor, entry.action, entry.target) == ("ann@machine", "person forgotten", None)
    assert entry.details["database: suggestions"] == 3
    assert entry.details["database: themes, shortened"] == 1
    assert all(isinstance(rows, int) for rows in entry.details.values())


def test_a_ticket_that_nobody_knows_changes_nothing_and_is_no_event(told: sa.Engine) -> None:
    before = everything(told)
    assert held_rows(told, {"T"}) == forget_rows(told, {"T"}, at=AT, actor="ann") == []
    assert everything(told) == before


def test_every_table_that_names_tickets_is_looked_at(told: sa.Engine) -> None:
    known = {table.name for table in database.metadata.sorted_tables if "ticket_id" in table.columns}
    assert known <= {one.table for one in held_rows(told, THEIRS) if not one.shortened}


def test_only_lists_of_ids_and_objects_that_name_a_ticket_are_shortened() -> None:
    value = {"words": ["T1"], "examples": ["T1", "T2"], "similar": [{"ticket_id": "T1"}, {"of": [{"ticket_id": "T1"}]}]}
    assert without_tickets(value, {"T1"}) == {"words": ["T1"], "examples": ["T2"], "similar": [{"of": []}]}
    assert Held(place="lake", table="tickets", rows=1).gone is False
