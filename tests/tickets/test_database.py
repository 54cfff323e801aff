"""The operational database on SQLite and PostgreSQL: schema, feedback kept once, the label queue, the monitor log."""

import multiprocessing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from tests.logged import log_suggestions
from tickets import feedback_log, label_queue, monitor_log
from tickets.database import challenger_answers, feedback, metadata, open_database, probe_database, suggestions, upgrade
from tickets.errors import InputError, MachineError
from tickets.records import Feedback, RankedContactType, Suggestion, Ticket

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def ticket(number: int) -> Ticket:
    return Ticket(ticket_id=f"t{number}", created_at=NOON, body="Where is my refund?", attributes={"city": "Oslo"})


def suggestion(number: int, *, at: datetime = NOON) -> Suggestion:
    ranked = RankedContactType(contact_type="Payments", path="Payments", probability=0.9, band="high")
    return Suggestion(
        suggestion_id=f"s{number}-{at:%H%M%S}",
        ticket_id=f"t{number}",
        model_version="v1",
        created_at=at,
        contact_types=(ranked,),
        templates=(),
    )


def accepted(number: int, *, feedback_id: str = "f1") -> Feedback:
    return Feedback(
        feedback_id=feedback_id,
        suggestion_id=f"s{number}-120000",
        ticket_id=f"t{number}",
        action="accepted",
        contact_type="Payments",
        at=NOON + timedelta(minutes=1),
    )


def test_the_migrations_end_at_the_declared_tables(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_upgrading_twice_changes_nothing(engine: sa.Engine) -> None:
    log_suggestions(engine, [(ticket(1), suggestion(1))])
    upgrade(engine)
    assert feedback_log.find_suggestion(engine, "s1-120000") == (ticket(1), suggestion(1))


def test_a_database_that_cannot_be_opened_is_named_without_its_password() -> None:
    with pytest.raises(MachineError) as caught:
        open_database("postgresql://someone:secret@127.0.0.1:1/none?connect_timeout=2")
    assert "127.0.0.1:1/none" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_suggestion_comes_back_as_it_was_logged(engine: sa.Engine) -> None:
    log_suggestions(engine, [(ticket(1), suggestion(1))])
    assert feedback_log.find_suggestion(engine, "s1-120000") == (ticket(1), suggestion(1))
    assert feedback_log.find_suggestion(engine, "unknown") is None


def test_feedback_sent_twice_is_kept_once(engine: sa.Engine) -> None:
    log_suggestions(engine, [(ticket(1), suggestion(1))])
    assert feedback_log.record_feedback(engine, accepted(1)) is True
    assert feedback_log.record_feedback(engine, accepted(1)) is False
    kept = list(feedback_log.feedback_between(engine, NOON, NOON + timedelta(hours=1)))
    assert [row["feedback_id"] for row in kept] == ["f1"]


def test_feedback_needs_a_suggestion(engine: sa.Engine) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        feedback_log.record_feedback(engine, accepted(7))


def test_old_suggestions_are_forgotten_with_what_was_said_of_them(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback_log, "_AT_ONCE", 2)
    old = [(ticket(number), suggestion(number, at=NOON - timedelta(days=1))) for number in range(5)]
    log_suggestions(engine, [*old, (ticket(9), suggestion(9))])
    judged, judged_since = (made.suggestion_id for _, made in old[:2])
    said = Feedback(feedback_id="f1", suggestion_id=judged, ticket_id="t0", action="accepted", at=NOON)
    feedback_log.record_feedback(engine, replace(said, at=NOON - timedelta(hours=3)))
    feedback_log.record_feedback(engine, replace(said, feedback_id="f2", suggestion_id=judged_since, ticket_id="t1"))
    answer = {"suggestion_id": judged, "model_version": "v2", "at": NOON, "abstained": False, "agreed": True}
    with engine.begin() as connection:
        connection.execute(sa.insert(challenger_answers).values(answer))

    assert feedback_log.count_older(engine, before=NOON) == 4
    assert feedback_log.prune(engine, before=NOON) == 4
    assert feedback_log.prune(engine, before=NOON) == 0
    with engine.connect() as connection:
        assert set(connection.scalars(sa.select(suggestions.c.ticket_id))) == {"t1", "t9"}
        assert set(connection.scalars(sa.select(feedback.c.feedback_id))) == {"f2"}
        assert connection.scalars(sa.select(challenger_answers)).all() == []


def test_times_without_a_zone_are_refused(engine: sa.Engine) -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises((ValueError, sa.exc.StatementError), match="without a zone"):
        monitor_log.record_event(engine, "trained", at=naive, model_version="v1", details={})


def request_label(number: int, priority: float) -> label_queue.LabelRequest:
    return label_queue.LabelRequest(
        ticket=ticket(number), share="unsure", priority=priority, suggestion=suggestion(number)
    )


def test_a_ticket_is_queued_once_claimed_by_one_and_labelled_once(engine: sa.Engine) -> None:
    assert label_queue.enqueue(engine, [request_label(1, 0.2), request_label(2, 0.9)], at=NOON) == 2
    assert label_queue.enqueue(engine, [request_label(2, 0.9)], at=NOON) == 0
    (first,) = label_queue.claim(engine, "ann", at=NOON)
    (second,) = label_queue.claim(engine, "bob", at=NOON)
    assert (first.ticket.ticket_id, second.ticket.ticket_id) == ("t2", "t1")
    label_queue.answer(engine, first.item_id, contact_type="Payments", labeler="ann", at=NOON)
    with pytest.raises(InputError, match="done already"):
        label_queue.answer(engine, first.item_id, contact_type="Payments", labeler="ann", at=NOON)
    label_queue.skip(engine, second.item_id, labeler="bob", at=NOON)
    assert label_queue.counts(engine) == {"done": 1, "skipped": 1}
    kept = list(label_queue.labels_between(engine, NOON, NOON + timedelta(seconds=1)))
    assert [(row["ticket_id"], row["contact_type"], row["share"]) for row in kept] == [("t2", "Payments", "unsure")]


def test_a_claim_lapses(engine: sa.Engine) -> None:
    label_queue.enqueue(engine, [request_label(1, 0.5)], at=NOON)
    label_queue.claim(engine, "ann", at=NOON)
    assert label_queue.claim(engine, "bob", at=NOON + timedelta(minutes=1)) == []
    assert len(label_queue.claim(engine, "bob", at=NOON + label_queue.CLAIM_LASTS + timedelta(minutes=1))) == 1


def test_a_rerun_of_a_night_replaces_its_record(engine: sa.Engine) -> None:
    run = monitor_log.MonitorRun(
        run_id="2026-03-02-v1",
        as_of="2026-03-02",
        started_at=NOON,
        seconds=2.0,
        model_version="v1",
        status="alarm",
        windows={"current": {"tickets": 500}},
        summary={"acceptance": 0.8},
    )
    drift = monitor_log.DetectorResult(detector="mmd", statistic=0.3, limit=0.1, p_value=0.005, status="drifted")
    alarm = monitor_log.Alarm(
        alarm_id="a1", run_id=run.run_id, detector="mmd", severity="warning", message="Texts moved.", raised_at=NOON
    )
    for _ in range(2):
        monitor_log.record_run(engine, run, [drift], [alarm])
    assert monitor_log.recent_runs(engine) == [run]
    assert monitor_log.results_of(engine, run.run_id) == [drift]
    assert monitor_log.recent_alarms(engine, only_open=True) == [alarm]
    assert monitor_log.close_alarms(engine, at=NOON) == 1
    assert monitor_log.recent_alarms(engine, only_open=True) == []


def test_no_open_alarm_is_left_out(engine: sa.Engine) -> None:
    run = monitor_log.MonitorRun(
        **{"run_id": "r", "as_of": "2026-03-02", "started_at": NOON, "seconds": 2.0},
        **{"model_version": "v1", "status": "alarm", "windows": {}, "summary": {}},
    )
    facts: dict[str, Any] = {"run_id": "r", "detector": "mmd", "severity": "warning", "message": "Texts moved."}
    raised = [
        monitor_log.Alarm(alarm_id=f"a{number:02}", raised_at=NOON + timedelta(days=number), **facts)
        for number in range(70)
    ]
    monitor_log.record_run(engine, run, [], raised)
    assert monitor_log.recent_alarms(engine, only_open=True) == raised[::-1]


def open_when_told(url: str, barrier: Barrier) -> None:
    barrier.wait(60)
    open_database(url).dispose()


def test_processes_that_start_at_once_all_find_the_tables(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, url = context.Barrier(4), f"sqlite:///{tmp_path / 'new.db'}"
    started = [context.Process(target=open_when_told, args=(url, barrier)) for _ in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0] * 4


def test_probing_a_database_changes_nothing(tmp_path: Path) -> None:
    found = probe_database(f"sqlite:///{tmp_path / 'triage.db'}")
    assert (found.there, found.revision) == (False, None)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MachineError, match="cannot open"):
        probe_database("postgresql://nobody:secret@127.0.0.1:1/none")


@pytest.mark.parametrize("url", ["postgresql://ann:p@ss:word@host/triage", "postgresql://host:port/triage", "://", "x"])
def test_an_address_that_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    for ask in (open_database, probe_database):
        with pytest.raises(MachineError, match="no address of a database") as caught:
            ask(url)
        assert "word" not in str(caught.value).removesuffix(caught.value.hint)
        assert caught.value.__cause__ is None


def test_probing_tells_how_new_the_schema_is(engine: sa.Engine) -> None:
    found = probe_database(engine.url.render_as_string(hide_password=False))
    assert (found.kind, found.there) == (engine.dialect.name, True)
    assert found.revision == found.newest
