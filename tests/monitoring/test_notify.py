"""Alerts: each thing told once a channel, one message a night, failures noted and tried again, no ticket text."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from monitoring.notify import Message, SendError, tell_news
from monitoring.senders import Encryption, Mail, MailServer, Webhook, mail_server
from tests.monitoring.receivers import MailSink, WebhookServer, up, write_certificate
from tickets.alert_log import AlertStatus, newest_alerts, record_attempt
from tickets.errors import InputError
from tickets.monitor_log import Alarm, EventKind, MonitorRun, record_event, record_run

NIGHT = datetime(2026, 3, 9, 3, tzinfo=UTC)
QUOTED = "my scooter burns"


@pytest.fixture
def hook() -> Iterator[WebhookServer]:
    server = WebhookServer()
    with up(server):
        yield server


@pytest.fixture
def mail_sink(tmp_path: Path) -> Iterator[MailSink]:
    server = MailSink(write_certificate(tmp_path / "cert.pem"))
    with up(server):
        yield server


def mail_to(
    sink: MailSink,
    tmp_path: Path,
    *,
    password: str = "pa:ss",
    trusted: bool = True,
    encryption: Encryption = "starttls",
) -> Mail:
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem")) if trusted else None
    server = MailServer(host="127.0.0.1", port=sink.port, encryption=encryption, user="ann", password=password)
    return Mail(server=server, sender="triage@example.org", readers=["a@example.org", "b@example.org"], context=context)


def alarm(number: int = 1, *, severity: str = "critical", at: datetime = NIGHT, detector: str = "volume") -> Alarm:
    return Alarm(
        alarm_id=f"a{number}",
        run_id="2026-03-09-m1",
        detector=detector,
        severity=severity,  # type: ignore[arg-type]
        message=f"More of {QUOTED}.",
        raised_at=at,
        details={"headline": "Fewer tickets come than usual", "words": [QUOTED], "examples": ["t-17"]},
    )


def record_night(engine: sa.Engine, *alarms: Alarm) -> None:
    run = MonitorRun(
        run_id="2026-03-09-m1",
        as_of="2026-03-09",
        started_at=NIGHT,
        seconds=1.0,
        model_version="m1",
        status="alarm",
        windows={},
        summary={},
    )
    record_run(engine, run, [], alarms)


def test_a_night_is_told_in_one_message_and_only_once(engine: sa.Engine, hook: WebhookServer) -> None:
    record_night(engine, alarm(1, severity="warning", detector="text.length"), alarm(2))
    details = {"reasons": ["250 new labels; 200 are worth a training."]}
    record_event(engine, "retrain decided", at=NIGHT, model_version="m1", details=details)
    record_event(engine, "trained", at=NIGHT, model_version="m2", details={})
    record_event(engine, "rolled back", at=NIGHT, model_version="m0", details={"from": "m1"})
    ways = [Webhook(hook.url)]
    assert tell_news(engine, ways, now=NIGHT, link="https://triage/dashboard?a=1&b=2") == {"webhook": "4 told"}
    record_night(engine, alarm(1, severity="warning", detector="text.length"), alarm(2))  # the night is run again
    assert tell_news(engine, ways, now=NIGHT + timedelta(hours=1)) == {"webhook": "nothing new"}
    (posted,) = hook.posted
    assert posted["blocks"][0]["text"]["text"] == "Triage: 2 alarms and 2 events of the models, 2 urgent"
    told = posted["blocks"][1]["text"]["text"].splitlines()
    assert told[0] == "• URGENT: Fewer tickets come than usual (volume, 2026-03-09)."
    assert told[1] == "• URGENT: An earlier model is served again: m0 instead of m1 (2026-03-09)."
    assert told[3].startswith("• It was decided to train a new model, to meet m1 (2026-03-09). 250 new labels")
    assert posted["blocks"][2]["text"]["text"] == "<https://triage/dashboard?a=1&amp;b=2|Open the dashboard>"
    assert "m2" not in str(posted)


@pytest.mark.parametrize(
    ("kind", "words"), [("promoted", "is served now: it won."), ("rejected", "is left out: it won.")]
)
def test_a_training_that_is_over_is_told_with_what_came_of_it(
    engine: sa.Engine, hook: WebhookServer, kind: EventKind, words: str
) -> None:
    record_event(engine, "retrain decided", at=NIGHT, model_version="m1", details={"reasons": ["250 new labels."]})
    came = {"champion": "m1", "reasons": ["it won."]}
    record_event(engine, kind, at=NIGHT + timedelta(hours=1), model_version="m2", details=came)
    assert tell_news(engine, [Webhook(hook.url)], now=NIGHT + timedelta(hours=1)) == {"webhook": "1 told"}
    told = "A new model was trained, to meet m1 (2026-03-09). 250 new labels."
    assert hook.posted[0]["blocks"][1]["text"]["text"] == f"• {told} It is m2 and {words}"


def test_a_decision_that_nothing_comes_of_is_told_once_a_week_until_something_does(
    engine: sa.Engine, hook: WebhookServer
) -> None:
    def decide(night: int) -> str:
        at = NIGHT + timedelta(days=night)
        record_event(engine, "retrain decided", at=at, model_version="m1", details={"reasons": ["it is old."]})
        return tell_news(engine, [Webhook(hook.url)], now=at)["webhook"]

    assert [decide(night) for night in range(8)] == ["1 told", *["nothing new"] * 6, "1 told"]
    at = NIGHT + timedelta(days=8)
    record_event(engine, "retrain decided", at=at, model_version="m1", details={"reasons": ["it is old."]})
    lost = {"champion": "m1", "reasons": ["it lost."]}
    record_event(engine, "rejected", at=at + timedelta(hours=1), model_version="m2", details=lost)
    told = tell_news(engine, [Webhook(hook.url)], now=at + timedelta(hours=1))
    assert told == {"webhook": "1 told"}
    assert str(hook.posted[-1]).count("It is m2 and is left out: it lost.") == 2  # as notification and as text


def test_a_decision_told_while_its_training_failed_is_told_once_more_with_what_came_of_it(
    engine: sa.Engine, hook: WebhookServer
) -> None:
    def tell(later: int) -> str:
        return tell_news(engine, [Webhook(hook.url)], now=NIGHT + timedelta(hours=later))["webhook"]

    record_event(engine, "retrain decided", at=NIGHT, model_version="m1", details={"reasons": ["it is old."]})
    assert [tell(1), tell(2)] == ["1 told", "nothing new"]
    won = {"champion": "m1", "reasons": ["it won."]}
    record_event(engine, "promoted", at=NIGHT + timedelta(hours=3), model_version="m2", details=won)
    assert [tell(3), tell(4)] == ["1 told", "nothing new"]
    assert "It is m2 and is served now: it won." in str(hook.posted[-1])


def test_no_word_of_a_ticket_is_told(engine: sa.Engine, hook: WebhookServer) -> None:
    quoting = Alarm(**{**_facts(alarm()), "details": {"headline": f"Customers write {QUOTED}"}})
    record_night(engine, quoting, alarm(2, detector="theirs.own"))
    tell_news(engine, [Webhook(hook.url)], now=NIGHT)
    (posted,) = hook.posted
    assert QUOTED not in str(posted)
    assert "t-17" not in str(posted)
    assert "More tickets come than usual (volume" in str(posted)
    assert "theirs.own changed" in str(posted)


def test_what_failed_is_noted_and_told_the_next_night_with_what_is_new(
    engine: sa.Engine, hook: WebhookServer, mail_sink: MailSink, tmp_path: Path
) -> None:
    record_night(engine, alarm(1))
    ways = [Webhook(hook.url), mail_to(mail_sink, tmp_path)]
    hook.status = 503
    told = tell_news(engine, ways, now=NIGHT)
    assert told == {"webhook": "not sent: the webhook answered 503", "e-mail": "1 told"}
    assert {(one.channel, one.status, one.attempts) for one in newest_alerts(engine)} == {
        ("webhook", "failed", 1),
        ("e-mail", "sent", 1),
    }
    hook.status, tomorrow = 200, NIGHT + timedelta(days=1)
    record_night(engine, alarm(1), alarm(2, at=tomorrow))
    assert tell_news(engine, ways, now=tomorrow) == {"webhook": "2 told", "e-mail": "1 told"}
    assert {(one.subject, one.channel, one.status, one.attempts, one.reason) for one in newest_alerts(engine)} == {
        ("alarm:a1", "webhook", "sent", 2, None),
        ("alarm:a2", "webhook", "sent", 1, None),
        ("alarm:a1", "e-mail", "sent", 1, None),
        ("alarm:a2", "e-mail", "sent", 1, None),
    }
    assert len(mail_sink.mails) == 2


def test_what_is_older_than_a_week_is_news_no_more(engine: sa.Engine, hook: WebhookServer) -> None:
    record_night(engine, alarm(1))
    assert tell_news(engine, [Webhook(hook.url)], now=NIGHT + timedelta(days=8)) == {"webhook": "nothing new"}
    assert hook.posted == []


def test_mail_goes_out_encrypted_and_signed_in(mail_sink: MailSink, tmp_path: Path) -> None:
    message = Message("Triage: 1 alarm", ("Fewer tickets come than usual.",), "https://triage/dashboard")
    mail_to(mail_sink, tmp_path).send(message)
    (mail,) = mail_sink.mails
    assert (mail["subject"], mail["to"]) == ("Triage: 1 alarm", "a@example.org, b@example.org")
    assert mail_sink.readers == ["a@example.org", "b@example.org"]
    assert mail.get_content().splitlines() == ["Fewer tickets come than usual.", "", "https://triage/dashboard"]


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ({"password": "wrong"}, "refused user or password"),
        ({"password": "wröng"}, "only ASCII can be sent"),
        ({"trusted": False}, "certificate is not trusted"),
        ({"encryption": "tls"}, "no TLS could be agreed on .*smtp:// with STARTTLS"),  # the sink begins in the clear
    ],
)
def test_mail_that_fails_says_why_without_the_password(
    mail_sink: MailSink, tmp_path: Path, way: dict[str, object], reason: str
) -> None:
    with pytest.raises(SendError, match=reason) as caught:
        mail_to(mail_sink, tmp_path, **way).send(Message("t", ("l",)))  # type: ignore[arg-type]
    assert "wr" not in str(caught.value)
    assert mail_sink.mails == []


def test_a_host_that_cannot_be_one_is_no_traceback() -> None:
    nowhere = Mail(
        server=MailServer(host="mail..example.org", port=25), sender="t@example.org", readers=["a@example.org"]
    )
    with pytest.raises(SendError, match="does not answer"):
        nowhere.send(Message("t", ("l",)))


def test_nothing_goes_in_the_clear_where_starttls_is_not_offered(tmp_path: Path) -> None:
    sink = MailSink(write_certificate(tmp_path / "cert.pem"), offers_tls=False)
    with up(sink), pytest.raises(SendError, match="offers no STARTTLS"):
        mail_to(sink, tmp_path).send(Message("t", ("l",)))
    assert sink.mails == []


def test_a_receiver_that_is_away_is_told_apart_without_its_address() -> None:
    with pytest.raises(SendError, match=r"does not answer \(ConnectError\)") as caught:
        Webhook("http://127.0.0.1:9/services/secret").send(Message("t", ("l",)))
    assert "secret" not in str(caught.value)
    server = MailServer(host="127.0.0.1", port=9)
    with pytest.raises(SendError, match=r"does not answer \(ConnectionRefusedError\)"):
        Mail(server=server, sender="a@example.org", readers=["a@example.org"]).send(Message("t", ("l",)))


def test_addresses_of_mail_servers_are_read() -> None:
    read = mail_server("smtp://ann:pa%3Ass@mail.example.org")
    assert (read.host, read.port, read.encryption, read.user, read.password) == (
        "mail.example.org",
        587,
        "starttls",
        "ann",
        "pa:ss",
    )
    assert (mail_server("smtps://h").port, mail_server("smtps://h").encryption) == (465, "tls")
    assert mail_server("smtp://localhost:2525?starttls=no").encryption == "none"
    for wrong in ("mail.example.org", "https://h", "smtp://h:secret"):
        with pytest.raises(InputError, match="no address of a mail server") as caught:
            mail_server(wrong)
        assert "secret" not in str(caught.value)


def _facts(given: Alarm) -> dict[str, object]:
    return {name: getattr(given, name) for name in Alarm.__dataclass_fields__}


def test_mail_that_reached_some_readers_is_told_once_with_what_it_missed(
    engine: sa.Engine, mail_sink: MailSink, tmp_path: Path
) -> None:
    mail_sink.unknown = "b@example.org"
    record_night(engine, alarm(1))
    ways = [mail_to(mail_sink, tmp_path)]
    missed = "the mail server refused 1 of 2 readers"
    assert tell_news(engine, ways, now=NIGHT) == {"e-mail": f"1 told, but {missed}"}
    assert tell_news(engine, ways, now=NIGHT + timedelta(days=1)) == {"e-mail": "nothing new"}
    (kept,) = newest_alerts(engine)
    assert (kept.status, kept.reason) == ("sent", missed)
    assert len(mail_sink.mails) == 1


def test_two_processes_that_tell_at_once_note_each_subject_once(engine: sa.Engine) -> None:
    subjects = [f"alarm:a{number}" for number in range(20)]
    barrier = threading.Barrier(4)

    def tell(failed: bool) -> None:
        barrier.wait()
        status: AlertStatus = "failed" if failed else "sent"
        record_attempt(engine, subjects, "webhook", at=NIGHT, status=status, reason="gone" if failed else None)

    with ThreadPoolExecutor(4) as both:
        list(both.map(tell, (True, False, True, False)))
    kept = newest_alerts(engine)
    assert len(kept) == len(subjects)
    assert {one.status for one in kept} == {"sent"}  # what one of them sent stays sent
