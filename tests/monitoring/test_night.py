"""A night from end to end on both databases: quiet, drifting, empty, repeated."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from models.release import promote
from monitoring.current import period_of, read_period
from monitoring.night import NightReport, run_night
from monitoring.performance import editing, read_judged, read_labelled
from monitoring.policy import Limits, Policy
from monitoring.reports import prune_pages, write_page
from tests.monitoring.conftest import TREE
from tickets import label_queue, monitor_log
from tickets.errors import InputError, ReleaseError
from tickets.feedback_log import feedback_with_suggestions, record_feedback
from tickets.label_queue import LabelRequest
from tickets.records import Feedback
from tickets.workspace import Workspace

FIRST = date(2026, 3, 2)
NIGHT = FIRST + timedelta(days=13)  # the end of the second week
POLICY = Policy(
    permutations=999, label_budget=20, evidently=False, limits=Limits(replays=0), validation_days=1, gate_days=1
)


def test_a_quiet_fortnight_is_quiet(world: Any) -> None:
    world.arrive(800, day=FIRST, days=14, seed=1)
    night = run_night(world.workspace, world.engine, as_of=NIGHT, policy=POLICY, suggester=world.reader)
    assert night.run.status == "quiet"
    assert not night.decision.retrain
    assert night.run.windows["current"]["tickets"] == 400
    assert night.run.summary["acceptance"] == pytest.approx(0.9, abs=0.06)
    assert night.run.summary["estimated_accuracy"] == pytest.approx(night.run.summary["reference_accuracy"], abs=0.05)
    (kept,) = monitor_log.recent_runs(world.engine)
    assert kept.run_id == f"{NIGHT}-{world.reader.release.version}"
    assert len(monitor_log.results_of(world.engine, kept.run_id)) == 19


def test_a_night_writes_an_evidently_report(world: Any) -> None:
    world.arrive(400, day=FIRST, days=7, seed=2)
    night = run_night(
        world.workspace,
        world.engine,
        as_of=FIRST + timedelta(days=6),
        policy=replace(POLICY, evidently=True),
        suggester=world.reader,
    )
    assert night.run.report == f"reports/{night.run.run_id}.json"
    metrics = json.loads((world.workspace.root / night.run.report).read_text())["metrics"]
    (seen,) = [result for result in night.results if result.detector == "attributes"]
    assert set(seen.details["evidently"]) == {"amount", "city"}
    assert seen.details["evidently"]["city"]["drifted"] is False
    named = " ".join(metric["metric_name"] for metric in metrics)
    for column in ("attribute: city", "attribute: amount", "text: words", "prediction: contact type"):
        assert f"column={column}" in named
    page = world.workspace.reports / f"{night.run.run_id}.html"
    assert "<html" in page.read_text()[:2000]
    prune_pages(world.workspace, keep=0)
    assert not page.exists()
    assert write_page(world.workspace, night.run.run_id).exists()
    with pytest.raises(InputError):
        write_page(world.workspace, "no such run")


def test_a_new_topic_raises_alarms_on_the_second_night_asks_for_labels_and_retrains(world: Any) -> None:
    world.arrive(800, day=FIRST, days=14, seed=3)
    drift_from = FIRST + timedelta(days=14)
    world.arrive(600, day=drift_from, days=8, seed=4, new_topic=0.3, accepted=0.5)
    nights = [
        run_night(
            world.workspace,
            world.engine,
            as_of=drift_from + timedelta(days=day),
            policy=POLICY,
            suggester=world.reader,
            now=datetime(2026, 4, day, tzinfo=UTC),
        )
        for day in (6, 7)
    ]
    assert nights[0].run.summary["drifted"]
    assert nights[0].raised == []
    detectors = {alarm.detector for alarm in nights[1].raised}
    assert {"embeddings.domain", "text.unseen_words", "confidence.probability", "feedback.acceptance"} <= detectors
    assert nights[1].run.status == "alarm"
    assert nights[1].decision.retrain
    assert "scooter" in str(nights[1].results)
    explained = {alarm.detector: alarm.details for alarm in nights[1].raised}
    assert "scooter" in explained["confidence.out_of_scope"]["words"]
    assert explained["confidence.out_of_scope"]["recommends"][0].startswith("Look at the new themes")
    assert len(explained["feedback.acceptance"]["examples"]) == 5
    assert {alarm.severity for alarm in nights[1].raised} == {"critical"}  # agents feel it
    assert "lie outside" in nights[1].run.summary["estimated_accuracy_unknown"]
    assert nights[1].run.summary["estimated_accuracy"] is None
    assert nights[0].queued == nights[1].queued == 20
    shares = [request.share for request in label_queue.claim(world.engine, "ada", at=datetime.now(UTC), count=99)]
    assert (shares.count("unsure"), shares.count("diverse"), shares.count("random")) == (20, 10, 10)
    assert [event.kind for event in monitor_log.model_timeline(world.engine)].count("retrain decided") == 1


def test_the_same_night_twice_changes_nothing(world: Any) -> None:
    world.arrive(600, day=FIRST, days=9, seed=5, new_topic=0.4)
    for day in (6, 7):
        night = run_night(
            world.workspace, world.engine, as_of=FIRST + timedelta(days=day), policy=POLICY, suggester=world.reader
        )
    again = run_night(
        world.workspace, world.engine, as_of=FIRST + timedelta(days=7), policy=POLICY, suggester=world.reader
    )
    assert again.raised
    assert [alarm.alarm_id for alarm in again.raised] == [alarm.alarm_id for alarm in night.raised]
    assert again.results == night.results
    assert again.queued == 0
    assert again.run.summary == night.run.summary
    assert len(monitor_log.recent_runs(world.engine)) == 2
    assert len(monitor_log.recent_alarms(world.engine)) == len(night.raised)
    assert label_queue.counts(world.engine) == {"open": 40}


def test_a_night_that_later_ones_followed_is_only_looked_at_again(world: Any) -> None:
    world.arrive(400, day=FIRST, days=9, seed=1)
    world.arrive(400, day=FIRST + timedelta(days=9), days=8, seed=5, new_topic=0.4, accepted=0.5)

    def look(day: int, at: datetime) -> Any:
        return run_night(
            world.workspace,
            world.engine,
            as_of=FIRST + timedelta(days=day),
            policy=POLICY,
            suggester=world.reader,
            now=at,
        )

    quiet, *_ = [look(day, datetime(2026, 4, day, tzinfo=UTC)) for day in (5, 6, 7, 15, 16)]
    alarms = monitor_log.recent_alarms(world.engine)
    assert alarms
    timeline, queue = monitor_log.model_timeline(world.engine), label_queue.counts(world.engine)
    for day in (7, 15, 16):
        again = look(day, datetime(2026, 5, 1, tzinfo=UTC))
    earlier = look(4, datetime(2026, 5, 1, tzinfo=UTC))
    assert quiet.run.status == "quiet"
    assert (earlier.queued, earlier.raised, earlier.decision.retrain) == (0, [], False)
    assert [alarm.alarm_id for alarm in monitor_log.recent_alarms(world.engine, only_open=True)] == [
        alarm.alarm_id for alarm in alarms
    ]
    assert again.run.status == "alarm"
    assert monitor_log.model_timeline(world.engine) == timeline
    assert label_queue.counts(world.engine) == queue


@pytest.mark.slow
def test_the_random_labels_of_many_nights_are_as_sure_as_all_tickets(world: Any) -> None:
    """Nights overlap: if the random share took what earlier nights left of older tickets, it would be too sure."""
    world.arrive(900, day=FIRST, days=9, seed=9, new_topic=0.3)
    policy = replace(POLICY, label_budget=40, unsure_share=0.5, diverse_share=0.0)
    for day in range(9):
        midnight = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(days=day + 1)
        run_night(
            world.workspace,
            world.engine,
            as_of=FIRST + timedelta(days=day),
            policy=policy,
            suggester=world.reader,
            now=midnight,
        )
    asked = label_queue.claim(world.engine, "ada", at=datetime.now(UTC), count=999)
    strange = ["scooter" in request.ticket.body or "exploded" in request.ticket.body for request in asked]
    random = [odd for odd, request in zip(strange, asked, strict=True) if request.share == "random"]
    assert len(random) >= 180
    assert sum(random) / len(random) == pytest.approx(0.29, abs=0.07)


def test_what_came_after_a_night_that_was_begun_early_is_drawn_by_the_next_also_when_it_is_done_again(
    world: Any,
) -> None:
    world.arrive(400, day=FIRST, days=2, seed=9)
    early = datetime(FIRST.year, FIRST.month, FIRST.day, 15, tzinfo=UTC)
    policy = replace(POLICY, label_budget=40, unsure_share=0.0, diverse_share=0.0)
    for day, now in ((0, early), (0, early + timedelta(hours=11)), (1, early + timedelta(days=1, hours=11))):
        queued = label_queue.queued_tickets(world.engine).keys()
        as_of = FIRST + timedelta(days=day)
        run_night(world.workspace, world.engine, as_of=as_of, policy=policy, suggester=world.reader, now=now)
    asked = label_queue.claim(world.engine, "ada", at=datetime.now(UTC), count=999)
    drawn = [one.ticket for one in asked if one.share == "random" and one.ticket.ticket_id not in queued]
    midnight = early + timedelta(hours=9)
    assert any(early <= ticket.created_at < midnight for ticket in drawn)
    assert all(ticket.created_at >= early for ticket in drawn)


def test_labels_tell_of_the_model_and_the_days_of_their_tickets(world: Any) -> None:
    world.arrive(400, day=FIRST, days=14, seed=5)
    tonight = period_of(FIRST + timedelta(days=6), 7)[1]
    run_night(
        world.workspace,
        world.engine,
        as_of=FIRST + timedelta(days=6),
        policy=POLICY,
        suggester=world.reader,
        now=tonight,
    )
    later = tonight + timedelta(days=6)
    for request in label_queue.claim(world.engine, "ada", at=later, count=99):
        label_queue.answer(world.engine, request.item_id, contact_type="refund", labeler="ada", at=later)
    first, second = (period_of(FIRST + timedelta(days=day), 7) for day in (6, 13))
    assert len(read_labelled(world.engine, *first, today=TREE)) == 20
    assert read_labelled(world.engine, *second, today=TREE) == []


def test_holidays_raise_no_alarm(world: Any) -> None:
    """Two quiet days in a week: fewer tickets than on such weekdays, and another mix of weekdays."""
    world.arrive(840, day=FIRST, days=14, seed=11)
    week = FIRST + timedelta(days=14)
    for day in range(7):
        world.arrive(8 if day in (3, 4) else 60, day=week + timedelta(days=day), days=1, seed=20 + day)
    for day in (4, 5, 6):
        as_of = week + timedelta(days=day)
        night = run_night(world.workspace, world.engine, as_of=as_of, policy=POLICY, suggester=world.reader)
        assert night.raised == []
        assert night.run.status == "quiet"


def test_a_clock_change_raises_no_alarm(world: Any) -> None:
    """People who write around midnight (UTC) write an hour earlier from the last Sunday of March on."""
    before, change = date(2026, 3, 15), date(2026, 3, 29)
    world.arrive(840, day=before, days=14, seed=12, hour=20)
    world.arrive(420, day=change, days=7, seed=13, hour=19)
    for day in (0, 1, 2):
        as_of = change + timedelta(days=day)
        night = run_night(world.workspace, world.engine, as_of=as_of, policy=POLICY, suggester=world.reader)
        assert night.raised == []


def test_many_tickets_a_day_are_looked_at_by_the_day(world: Any) -> None:
    world.arrive(1600, day=FIRST, days=8, seed=14)
    as_of = FIRST + timedelta(days=7)
    policy = replace(POLICY, permutations=199, window_tickets=300)
    night = run_night(world.workspace, world.engine, as_of=as_of, policy=policy, suggester=world.reader)
    assert night.run.windows["current"]["tickets"] == 400
    assert night.run.windows["current"]["from"].startswith(str(as_of - timedelta(days=1)))
    assert "no replays" in night.run.summary["limits"]


def test_labels_of_a_week_are_told_also_where_a_day_brings_tickets_enough(world: Any) -> None:
    """A night's labels are answered after it: those of tickets of a window of one day would never be there."""
    world.arrive(1400, day=FIRST, days=14, seed=16)
    answered = NIGHT - timedelta(days=1)
    period = read_period(world.engine, *period_of(answered, 13), size=260, seed=0)
    asked = [
        LabelRequest(ticket=one.ticket, suggestion=one.suggestion, share="random", priority=1.0)
        for one in period.logged
    ]
    at = datetime.combine(answered, datetime.max.time(), tzinfo=UTC)
    label_queue.enqueue(world.engine, asked, at=at, run_id="earlier")
    for request in label_queue.claim(world.engine, "ada", at=at, count=999):
        label_queue.answer(world.engine, request.item_id, contact_type="refund", labeler="ada", at=at)
    policy = replace(POLICY, permutations=99, window_tickets=50, label_budget=0)
    night = run_night(world.workspace, world.engine, as_of=NIGHT, policy=policy, suggester=world.reader)
    assert night.run.windows["current"]["tickets"] == 100
    week = [one for one in period.logged if one.ticket.created_at.date() > NIGHT - timedelta(days=7)]
    assert night.run.summary["hits_at_3_labels_tickets"] == night.run.summary["accuracy_labels_tickets"] == len(week)
    (hits,) = [result for result in night.results if result.detector == "feedback.hits_at_3"]
    assert hits.status == "ok"


def test_labels_of_days_that_training_holds_out_are_nothing_to_learn_from(world: Any) -> None:
    world.arrive(800, day=FIRST, days=14, seed=3)
    drift_from = FIRST + timedelta(days=14)
    world.arrive(600, day=drift_from, days=8, seed=4, new_topic=0.3, accepted=0.5)
    policy = replace(POLICY, validation_days=7, gate_days=7)
    for day in (6, 7):
        as_of = drift_from + timedelta(days=day)
        night = run_night(world.workspace, world.engine, as_of=as_of, policy=policy, suggester=world.reader)
    start = datetime(2026, 3, 2, tzinfo=UTC)
    held_out_from = start + timedelta(days=8)  # of the night of March 23, the 14 days up to it are held out
    given = feedback_with_suggestions(world.engine, start, datetime(2026, 4, 1, tzinfo=UTC))
    opened = [datetime.fromisoformat(row["ticket"]["created_at"]) for row in given if row["action"] == "corrected"]
    learned = sum(at < held_out_from for at in opened)
    assert len(opened) > policy.labels_to_learn_from > learned > 0
    assert not night.decision.retrain
    assert f"only {learned} of 50 new labels to learn from" in night.decision.reasons[0]


@pytest.mark.slow
def test_a_quiet_night_with_limits_from_replays_keeps_them_for_the_next(world: Any) -> None:
    world.arrive(900, day=FIRST, days=15, seed=15)
    policy = replace(POLICY, permutations=199, limits=Limits(replays=5))
    nights = [
        run_night(
            world.workspace, world.engine, as_of=NIGHT + timedelta(days=day), policy=policy, suggester=world.reader
        )
        for day in (0, 1)
    ]
    assert [night.run.status for night in nights] == ["quiet", "quiet"]
    assert nights[0].run.summary["limits"] == nights[1].run.summary["limits"] == "5 replays of 28 quiet days"
    shown = {result.detector: result for result in nights[1].results}
    assert shown["attributes"].limit == max(0.08, shown["attributes"].details["quiet_limit"])
    assert shown["feedback.acceptance"].details["quiet_limit"] is None


@pytest.mark.parametrize("tickets", [0, 1, 10])
def test_a_window_of_almost_nothing_is_unknown(world: Any, tickets: int) -> None:
    world.arrive(tickets, day=FIRST, days=1, seed=6)
    night = run_night(world.workspace, world.engine, as_of=FIRST, policy=POLICY, suggester=world.reader)
    assert night.run.status == "unknown"
    assert {result.status for result in night.results} == {"unknown"}
    assert night.queued == label_queue.counts(world.engine).get("open", 0) <= tickets
    assert night.run.summary["tickets"] == tickets


def test_a_new_champion_makes_the_alarms_about_the_old_one_moot(world: Any, make: Any, reader_of: Any) -> None:
    world.arrive(600, day=FIRST, days=9, seed=5, new_topic=0.4)
    for day in (6, 7):
        run_night(
            world.workspace, world.engine, as_of=FIRST + timedelta(days=day), policy=POLICY, suggester=world.reader
        )
    assert monitor_log.recent_alarms(world.engine, only_open=True)
    challenger = make(world.workspace, "20260310-000000-fedcba")
    promote(world.workspace, challenger.version)
    night = run_night(
        world.workspace, world.engine, as_of=FIRST + timedelta(days=8), policy=POLICY, suggester=reader_of(challenger)
    )
    assert night.run.model_version == challenger.version
    assert monitor_log.recent_alarms(world.engine, only_open=True) == []


@pytest.mark.parametrize("failed", ["rejected", "rolled back"])
def test_after_a_challenger_that_failed_the_next_one_waits_for_new_labels(world: Any, failed: str) -> None:
    world.arrive(800, day=FIRST, days=14, seed=3)
    drift_from = FIRST + timedelta(days=14)
    world.arrive(600, day=drift_from, days=8, seed=4, new_topic=0.3, accepted=0.5)

    def night(day: int) -> NightReport:
        as_of = drift_from + timedelta(days=day)
        return run_night(world.workspace, world.engine, as_of=as_of, policy=POLICY, suggester=world.reader)

    night(5)
    assert night(6).decision.retrain
    beaten = datetime.combine(drift_from + timedelta(days=8), datetime.min.time(), tzinfo=UTC)
    champion = world.reader.release.version
    if failed == "rejected":
        details = {"champion": champion}
        monitor_log.record_event(world.engine, "rejected", at=beaten, model_version="challenger", details=details)
    else:
        details = {"from": "challenger"}
        monitor_log.record_event(world.engine, "rolled back", at=beaten, model_version=champion, details=details)
    assert not night(7).decision.retrain


def test_feedback_is_read_with_how_sure_the_model_was_and_how_much_was_rewritten(world: Any) -> None:
    world.arrive(10, day=FIRST, days=1, seed=8)
    given = Feedback(
        feedback_id="edited",
        suggestion_id="s-t-8-1",
        ticket_id="t-8-1",
        action="accepted",
        at=datetime(2026, 3, 2, 20, tzinfo=UTC),
        template_id="hello",
        edit_distance=0.25,
    )
    record_feedback(world.engine, given)
    judged = read_judged(world.engine, *period_of(FIRST, 1), today=TREE)
    assert {item.band for item in judged} == {"medium"}
    assert editing(judged) == [0.25]


def test_a_sample_of_a_period_is_the_same_each_time_and_counts_all_tickets(world: Any) -> None:
    world.arrive(300, day=FIRST, days=7, seed=8)
    start, end = period_of(FIRST + timedelta(days=6), 7)
    first, second = (read_period(world.engine, start, end, size=50, seed=1) for _ in range(2))
    other = read_period(world.engine, start, end, size=50, seed=2)
    assert first.tickets == 300
    assert len(first.logged) == 50
    assert first == second != other


def test_without_a_promoted_model_there_is_nothing_to_monitor(workspace: Workspace, engine: object) -> None:
    with pytest.raises(ReleaseError, match="no model has been promoted"):
        run_night(workspace, engine, as_of=FIRST)  # type: ignore[arg-type]
