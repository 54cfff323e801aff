"""The dashboard over HTTP, with and without runs, and a night of the real model behind it."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from monitoring.night import run_night
from monitoring.policy import Policy
from service.dashboard.alarm_cards import alarm_groups, named
from service.dashboard.state import StatusLine, alerts_told, night_note, status_line
from tests.service.dashboard.nights import AT, result_of, run_of, shift_of
from tests.service.dashboard.traffic import suggest
from tickets import monitor_log
from tickets.alert_log import Alert, record_attempt
from tickets.label_queue import LabelRequest, enqueue
from tickets.last_night import lock_purpose
from tickets.monitor_log import Alarm
from tickets.night_record import NightRecord
from tickets.records import Ticket
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.conftest import Service

SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # where no database makes a difference


def alarm_of(run_id: str = "2026-03-09-m1") -> Alarm:
    return Alarm(
        alarm_id="a1",
        run_id=run_id,
        detector="predictions.types",
        severity="critical",
        message="The mix of predicted contact types changed.",
        raised_at=AT,
    )


def test_before_the_first_night_every_part_says_so(service: Service) -> None:
    answer = service.client.get("/dashboard")
    assert answer.status_code == 200
    for words in (
        "Not watched yet",
        "No night in this period",
        "Nothing was asked yet",
        "No figure yet",
        "Agents have judged nothing in this period",
        "No ticket came in this period",
        "No night has had enough tickets",
        "Too few to say which templates nobody uses",
        "No model was trained or put into service",
    ):
        assert words in answer.text


def test_a_quiet_run_says_all_is_well_when_its_model_is_served(service: Service) -> None:
    served = service.client.get("/v1/model").json()["version"]
    tonight = run_of(model_version=served, started_at=datetime.now(UTC))
    monitor_log.record_run(service.engine, tonight, [result_of(status="ok")], [])
    page = service.client.get("/dashboard").text
    assert "All is well" in page
    assert "81 %" in page
    assert "76 % to 85 %, 210 tickets" in page
    assert "2026-03-09" in page


def test_alarms_detectors_models_and_labels_are_shown_as_text(service: Service) -> None:
    monitor_log.record_run(service.engine, run_of(status="alarm"), [result_of()], [alarm_of()])
    monitor_log.record_event(service.engine, "promoted", at=AT, model_version="m1", details={"reasons": ["by hand"]})
    asked = Ticket(ticket_id="t1", created_at=AT, body="help")
    enqueue(service.engine, [LabelRequest(ticket=asked, share="random", priority=1.0)], at=AT)
    page = service.client.get("/dashboard").text
    assert "1 alarm is open" in page
    assert "The mix of predicted contact types changed." in page
    assert "<b>scooter" not in page
    assert "&lt;b&gt;scooter" in page
    assert "by hand" in page
    assert "<dt>to label</dt><dd>1</dd>" in page


def test_runs_stand_newest_first(service: Service) -> None:
    for day in ("2026-03-07", "2026-03-09", "2026-03-08"):
        monitor_log.record_run(service.engine, run_of(f"{day}-m1"), [], [])
    page = service.client.get("/dashboard").text
    rows = page[page.index('id="nights"') :]
    assert rows.index("2026-03-09") < rows.index("2026-03-08") < rows.index("2026-03-07")


@SQLITE
def test_an_alarm_says_what_it_is_about_and_what_to_do(service: Service) -> None:
    made = suggest(service.engine, 1, AT)
    details = {
        "contact_types": [{"path": "Payments::<i>Refund</i>", "before": 0.1}, "Account"],
        "words": [["scooter", 3.5], {"word": "helmet"}],
        "examples": [made.ticket_id, {"ticket_id": "T 9/&"}],
        "recommends": "Label the tickets that wait.",
    }
    monitor_log.record_run(service.engine, run_of(status="alarm"), [], [replace(alarm_of(), details=details)])
    failed: dict[str, Any] = {"status": "failed", "reason": "the webhook answered 404"}
    record_attempt(service.engine, ["alarm:a1"], "webhook", at=datetime.now(UTC), **failed)
    page = service.client.get("/dashboard").text
    assert "<dd>Payments › &lt;i&gt;Refund&lt;/i&gt;, Account</dd>" in page
    assert "<dd>scooter, helmet</dd>" in page
    assert "Label the tickets that wait." in page
    assert 'href="/dashboard/ticket?id=T%209/%26"' in page
    assert "An alert could not be sent by webhook: the webhook answered 404." in page
    example = service.client.get(f"/dashboard/ticket?id={made.ticket_id}", follow_redirects=False)
    assert (example.status_code, example.headers["location"]) == (303, "/console/suggestions/s-1")
    assert service.client.get("/dashboard/ticket?id=T%209").status_code == 404
    assert service.client.get("/dashboard/ticket?id=%00").status_code == 404


def test_names_are_found_in_whatever_explains_an_alarm() -> None:
    assert named(None) == named([]) == named([{}, [], ""]) == []
    assert named("once") == ["once"]
    assert named({"word": "w", "share": 0.5}) == ["w"]
    assert named(7) == ["7"]


@SQLITE
def test_an_attribute_that_vanished_is_told_before_any_table_is_opened(service: Service) -> None:
    missing = {"name": "(missing)", "reference": 0.02, "current": 1.0}
    details = {"vanished": ["plan"], "moved": [{"name": "plan", "effect": 0.9, "categories": [missing], "new": []}]}
    monitor_log.record_run(service.engine, run_of(), [result_of("attributes", details=details)], [])
    page = " ".join(service.client.get("/dashboard").text.split())
    assert "On the night of 2026-03-09 no ticket had plan any more: an attribute that tickets of before have." in page
    assert page.index("no ticket had plan") < page.index("<summary>All comparisons")
    assert "No ticket has plan any more. plan missing: 2 % before, 100 % now." in page
    monitor_log.record_run(service.engine, run_of(), [result_of("attributes", status="ok", details=details)], [])
    assert "no ticket had plan" not in service.client.get("/dashboard").text  # hardly any had it before


@SQLITE
def test_an_estimate_that_is_unknown_says_why(service: Service) -> None:
    unknown = run_of().summary | {"estimated_accuracy": None, "estimated_accuracy_unknown": "wording <b>moved</b>"}
    monitor_log.record_run(service.engine, run_of(summary=unknown), [], [])
    page = service.client.get("/dashboard").text
    assert "On the night of 2026-03-09 the estimate is unknown: wording &lt;b&gt;moved" in page
    assert "Unknown: wording" in page
    rows = csv.DictReader(io.StringIO(service.client.get("/dashboard/charts/quality.csv").text))
    assert [(row["figure"], row["share"], row["note"]) for row in rows if "estimated" in row["figure"]] == [
        ("right, estimated", "", "wording <b>moved</b>")
    ]


def test_one_run_and_its_csv(service: Service) -> None:
    blind = result_of(
        "volume", statistic=None, p_value=None, status="unknown", details={"why": "needs 14 earlier days"}
    )
    monitor_log.record_run(service.engine, run_of(), [result_of(), blind], [alarm_of()])
    page = service.client.get("/dashboard/runs/2026-03-09-m1").text
    assert "needs 14 earlier days." in page
    assert "No report was made" in page
    answer = service.client.get("/dashboard/runs/2026-03-09-m1.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["detector"], row["statistic"], row["status"]) for row in rows] == [
        ("predictions.types", "0.2", "drifted"),
        ("volume", "", "unknown"),
    ]


@pytest.mark.parametrize("path", ["nothing", "nothing.csv", "nothing/report", "%00", "..%2F..%2Ftriage.db"])
def test_an_unknown_run_is_not_found(service: Service, path: str) -> None:
    assert service.client.get(f"/dashboard/runs/{path}").status_code == 404


def test_a_report_outside_the_reports_is_never_served(service: Service) -> None:
    secret = service.workspace.root / "secret.html"
    secret.write_text("secret")
    monitor_log.record_run(service.engine, run_of(report="secret.json"), [], [])
    assert service.client.get("/dashboard/runs/2026-03-09-m1/report").status_code == 404


def test_a_damaged_report_leaves_the_page_standing(service: Service) -> None:
    service.workspace.reports.mkdir(exist_ok=True)
    (service.workspace.reports / "r.json").write_text("{broken")
    monitor_log.record_run(service.engine, run_of(report="reports/r.json"), [], [])
    assert service.client.get("/dashboard/runs/2026-03-09-m1").status_code == 200


@pytest.mark.slow
def test_a_night_of_the_real_model_shows_on_the_dashboard(service: Service) -> None:
    bodies = ("please refund my ride", "please send me the invoice", "I cannot sign in", "please close my account")
    tickets = [
        {"ticket_id": f"n-{number}", "body": f"Hi team, {bodies[number % 4]}. Order {number}.", "language": "en"}
        for number in range(80)
    ]
    for start in range(0, len(tickets), 20):
        answer = service.client.post("/v1/suggestions/batch", json={"tickets": tickets[start : start + 20]})
        assert answer.status_code == 200, answer.text
    service.settle()
    today = datetime.now(UTC).date()
    empty = run_night(service.workspace, service.engine, as_of=date(2020, 1, 1))
    assert (empty.run.status, empty.run.report, empty.queued) == ("unknown", None, 0)
    night = run_night(service.workspace, service.engine, as_of=today, policy=Policy(label_budget=8, permutations=199))
    assert night.run.summary["tickets"] == 80
    assert night.queued == 8
    assert {result.detector for result in night.results if result.status == "unknown"} >= {"volume"}
    page = service.client.get("/dashboard").text
    assert str(date.fromisoformat(night.run.as_of)) in page
    detail = service.client.get(f"/dashboard/runs/{night.run.run_id}").text
    assert "ValueDrift(column=text: words" in detail
    report = service.client.get(f"/dashboard/runs/{night.run.run_id}/report")
    assert report.status_code == 200
    assert "sandbox" in report.headers["content-security-policy"]
    assert len(report.content) == Path(service.workspace.reports / f"{night.run.run_id}.html").stat().st_size


def test_the_status_line_tells_a_new_model_from_a_watched_one() -> None:
    assert status_line([], [], serving=None, now=AT).words == "Nothing to watch yet"
    assert status_line([run_of()], [], serving="m2", now=AT).words == "New model, not watched yet"
    assert status_line([run_of(status="unknown")], [], serving="m1", now=AT).words == "Too little to tell"
    assert status_line([run_of()], [], serving="m1", now=AT).tone == "good"


def test_no_night_since_long_is_not_well_and_says_what_to_do() -> None:
    def told(hours: int, *alarms: Alarm) -> StatusLine:
        return status_line([run_of()], alarms, serving="m1", now=AT + timedelta(hours=hours))

    assert told(36).tone == "good"
    assert (told(37).tone, told(37).words) == ("unknown", "No night for 36 hours")
    assert told(9 * 24 + 1).words == "No night for 9 days"
    assert "Last looked at 2026-03-09" in told(37).sentence
    assert "`triage nightly`" in told(37).sentence
    assert (told(36, alarm_of()).tone, "No night" in told(36, alarm_of()).sentence) == ("bad", False)
    assert "Tickets that came since are not watched" in told(37, alarm_of()).sentence
    assert told(-1000).tone == "good"  # a replay's nights may lie ahead of the clock


@SQLITE
def test_a_night_that_stopped_is_named_with_its_step(service: Service) -> None:
    served = service.client.get("/v1/model").json()["version"]
    monitor_log.record_run(service.engine, run_of(model_version=served, started_at=datetime.now(UTC)), [], [])
    night = NightRecord.open(service.workspace, AT.date())
    night.begin("retrain")
    night.fail("retrain", OSError("away"), 1.0)
    page = service.client.get("/dashboard").text
    assert "The last night did not end" in page
    assert "in the step retrain: <code>triage nightly --as-of 2026-03-09</code> does the rest." in page
    night.finish()
    assert "All is well" in service.client.get("/dashboard").text


@SQLITE
def test_a_night_that_was_killed_is_told_from_one_at_work(service: Service) -> None:
    served = service.client.get("/v1/model").json()["version"]
    monitor_log.record_run(service.engine, run_of(model_version=served, started_at=datetime.now(UTC)), [], [])
    with service.workspace.lock(lock_purpose("2026-03-09")):
        NightRecord.open(service.workspace, AT.date()).begin("retrain")
        page = service.client.get("/dashboard").text
        assert "All is well" in page
        assert "The night of 2026-03-09 is at work." in page
    killed = "was killed in the step retrain: <code>triage nightly --as-of 2026-03-09</code> does the rest."
    with service.workspace.lock("features"):  # another run
        page = service.client.get("/dashboard").text
    assert "The last night did not end" in page
    assert killed in page
    with service.workspace.lock(lock_purpose("2026-03-07")):  # an earlier one, done again, hides nothing
        page = service.client.get("/dashboard").text
    assert f"{killed} The night of 2026-03-07 is at work." in page
    NightRecord.open(service.workspace, AT.date()).finish()
    with service.workspace.lock(lock_purpose("2026-03-07")):
        page = service.client.get("/dashboard").text
    assert "All is well" in page
    assert "The night of 2026-03-07 is at work." in page


def test_a_record_that_cannot_be_read_is_no_reason_to_call_all_well(workspace: Workspace) -> None:
    NightRecord.open(workspace, AT.date()).finish()
    assert not night_note(workspace).stopped
    for text in (
        "{",
        "[]",
        '{"as_of": "2026-03-10", "state": "done?", "steps": {}}',
        '{"state": "done", "steps": [1]}',
    ):
        (workspace.root / "nightly" / "2026-03-10.json").write_text(text, encoding="utf-8")
        note = night_note(workspace)
        assert note.stopped
        assert note.told == (
            "The record of the night of 2026-03-10 cannot be read: `triage nightly --as-of 2026-03-10 --again` does it "
            "from the start."
        )


def test_a_first_night_that_stopped_is_told_before_anything_is_watched(workspace: Workspace) -> None:
    night = NightRecord.open(workspace, AT.date())
    night.begin("import")
    night.fail("import", OSError("away"), 1.0)
    for serving, words in ((None, "Nothing to watch yet"), ("m1", "Not watched yet")):
        line = status_line([], [], serving=serving, now=AT, night=night_note(workspace))
        assert line.words == words
        assert "stopped in the step import" in line.sentence


@SQLITE
def test_a_night_of_months_ago_is_told_on_the_page_and_labels_say_the_same(service: Service) -> None:
    monitor_log.record_run(service.engine, run_of(), [], [])
    page = service.client.get("/dashboard").text
    assert "All is well" not in page
    assert "No night for" in page
    assert "<code>triage nightly</code> does the night" in page
    service.client.post("/person", data={"name": "Ann"})
    assert "is late" in service.client.get("/labels").text


def test_the_most_important_alarm_is_the_headline_and_the_others_stand_in_groups() -> None:
    types = replace(alarm_of(), details={"about": "tickets", "place": 2, "headline": "The mix changed"})
    felt = replace(
        types, detector="feedback.acceptance", details={"about": "agents", "place": 0, "headline": "Agents refuse"}
    )
    line = status_line([run_of()], [types, felt], serving="m1", now=AT)
    assert (line.tone, line.words) == ("bad", "Agents refuse")
    assert line.sentence.startswith("2 alarms are open, 2 of them critical, since 2026-03-09 04:00 UTC.")
    grouped = alarm_groups([types, felt, alarm_of()])
    assert [(title, [card.alarm for card in cards]) for title, cards in grouped] == [
        ("What agents do", [felt]),
        ("What customers write", [types]),
        ("Other changes", [alarm_of()]),
    ]
    assert status_line([run_of()], [alarm_of()], serving="m1", now=AT).words == alarm_of().message.rstrip(".")


@SQLITE
def test_what_grew_is_on_the_page_in_the_night_and_in_a_csv(service: Service) -> None:
    monitor_log.record_run(service.engine, run_of(), [shift_of()], [])
    page = service.client.get("/dashboard").text
    assert 'data-chart="spec-label_shift"' in page
    assert "Payments › Refund grew: 12 % before, 19 % now." in " ".join(page.split())
    rows = list(csv.DictReader(io.StringIO(service.client.get("/dashboard/charts/label_shift.csv").text)))
    assert [(row["moved"], row["before"], row["change_low"]) for row in rows] == [
        ("grew", "0.12", "0.05"),
        ("shrank", "0.2", "-0.12"),
    ]
    night = service.client.get("/dashboard/runs/2026-03-09-m1").text
    assert "Account › Login shrank: 20 % before, 10 % now." in " ".join(night.split())
    assert '<td class="number">0</td>' not in night  # a limit of 0 is none


@SQLITE
def test_contact_types_are_written_with_their_path_and_words_as_they_are(service: Service) -> None:
    moved = {"moved": [{"name": "refund", "reference": 0.1, "current": 0.2}], "new": ["login", "gone"]}
    results = [result_of(detector, details=moved) for detector in ("predictions.types", "text.words")]
    monitor_log.record_run(service.engine, run_of(), results, [])
    night = " ".join(service.client.get("/dashboard/runs/2026-03-09-m1").text.split())
    assert "Payments › Refund: 10 % before, 20 % now. new: Account › Login, gone." in night
    assert "<td>refund: 10 % before, 20 % now. new: login, gone." in night.replace("<td> ", "<td>")


def test_what_could_not_be_sent_is_told_as_long_as_it_matters() -> None:
    def told(days: int, *, status: str = "failed", reason: str | None = "it is away") -> str:
        facts: dict[str, Any] = {"subject": "alarm:a1", "channel": "webhook", "attempts": 1, "status": status}
        return alerts_told([Alert(**facts, at=AT - timedelta(days=days), reason=reason)], now=AT)

    assert told(1).endswith("it is away. The next night tries again.")
    assert told(8).endswith("it is away. That was given up.")
    assert told(29) == alerts_told([], now=AT) == ""
    assert told(1, status="sent", reason="it refused 1 of 2 readers").endswith("UTC, but it refused 1 of 2 readers.")
