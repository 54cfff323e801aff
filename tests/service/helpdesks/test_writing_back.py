"""From a delivery to what stands in the helpdesk: once, patiently, and never where customers read."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.helpdesks.conftest import Connect, Connected, Desk, Send

ROOT = Path(__file__).resolve().parents[3]
TICKETS = {  # the payloads' ticket ids, and what they are about
    "zendesk": ("5158", "refund"),
    "zammad": ("81", "login"),
    "chatwoot": ("612", "delete"),
    "freshdesk": ("1042", "invoice"),
}
KINDS = tuple(TICKETS)
Payload = Callable[..., dict[str, Any]]


def test_a_new_ticket_gets_a_tag_a_field_and_a_private_note(connected: Connected, send: Send, payload: Payload) -> None:
    fields = {"zendesk": "360001", "freshdesk": "cf_contact_reason"}
    for number, kind in enumerate(KINDS, 1):
        ticket_id, contact_type = TICKETS[kind]
        answer = send(connected, kind, payload(f"{kind}_new_ticket"))
        assert (answer.status_code, answer.json()["status"]) == (202, "taken")
        connected.until(*["written back"] * number)
        held = connected.desk.ticket(ticket_id)
        assert held.tags == ["vip", f"triage_{contact_type}"]
        assert held.fields == {fields.get(kind, "contact_reason"): contact_type}
        ((note, private),) = held.notes
        assert private
        assert "for agents only" in note
        assert "(very likely)" in note or "(likely)" in note or "(a guess)" in note
        assert f"Reference {answer.json()['suggestion_id']}" in note
        assert connected.count(kind, "taken") == connected.count(kind, "written_back") == 1
    assert len(connected.suggested()) == 4
    assert [row.ticket for row in connected.deliveries()] == [None] * 4, "the ticket as it came is forgotten"


def test_a_ticket_of_a_holdout_is_left_alone(connect: Connect, lite: sa.Engine, send: Send, payload: Payload) -> None:
    with connect(lite, holdout=1.0) as service:
        send(service, "zammad", payload("zammad_new_ticket"))
        service.until("withheld")
        assert service.desk.asked == []


def test_an_unsure_model_says_so_and_tags_nothing(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload
) -> None:
    odd = payload("zammad_new_ticket", **{"article.body": "Greetings from the seaside, the gulls are loud today."})
    with connect(lite) as service:
        send(service, "zammad", odd)
        service.until("written back")
        assert service.suggested()[0].abstained
        held = service.desk.ticket("81")
        assert (held.tags, held.fields) == (["vip"], {})
        assert "Not sure enough to choose" in held.notes[0][0]


def test_the_model_reads_what_the_helpdesk_knows(quick: Connected, send: Send, payload: Payload) -> None:
    send(quick, "zammad", payload("zammad_new_ticket"))
    quick.until("written back")
    ticket = quick.suggested()[0].ticket
    assert (ticket["ticket_id"], ticket["subject"], ticket["channel"]) == ("81", "Cannot sign in", "email")
    assert ticket["created_at"].startswith("2026-03-02T09:30:00")
    assert "<b>" not in ticket["body"]
    assert "cannot sign in" in ticket["body"]
    assert ticket["attributes"] == {"group": "Service Desk"}
    assert ticket["customer_key"] not in (None, "8")


def test_a_delivery_is_taken_once_however_often_it_comes(connected: Connected, send: Send, payload: Payload) -> None:
    for number, kind in enumerate(KINDS, 1):
        ticket_id, _ = TICKETS[kind]
        send(connected, kind, payload(f"{kind}_new_ticket"), delivery="d-1")
        connected.until(*["written back"] * number)
        again = send(connected, kind, payload(f"{kind}_new_ticket"), delivery="d-1")
        assert (again.status_code, again.json()) == (200, {"status": "repeated"})
        assert len(connected.desk.ticket(ticket_id).notes) == 1
    assert len(connected.suggested()) == 4


def test_a_replay_under_another_delivery_id_does_nothing(quick: Connected, send: Send, payload: Payload) -> None:
    """The headers that name a delivery are not signed; a ticket is suggested for once all the same."""
    for number, kind in enumerate(KINDS, 1):
        ticket_id, _ = TICKETS[kind]
        send(quick, kind, payload(f"{kind}_new_ticket"), delivery="d-1")
        quick.until(*["written back"] * number)
        again = send(quick, kind, payload(f"{kind}_new_ticket"), delivery="d-2")
        assert (again.status_code, again.json()["status"]) == (200, again.json()["status"])
        assert again.json()["status"] in ("repeated", "ignored")
        assert len(quick.desk.ticket(ticket_id).notes) == 1
    assert quick.statuses() == ["written back"] * 4


def test_a_later_message_of_a_conversation_is_no_new_ticket(quick: Connected, send: Send, payload: Payload) -> None:
    send(quick, "chatwoot", payload("chatwoot_new_ticket"))
    quick.until("written back")
    later = payload("chatwoot_new_ticket", id=9002, content="Are you there?")
    assert send(quick, "chatwoot", later).json() == {"status": "ignored", "reason": "the ticket is known already"}


@pytest.mark.parametrize(("told", "least"), [(["1"], 1.0), (["0", "0"], 0.2 + 0.4)])
def test_it_waits_as_long_as_the_helpdesk_asks_and_longer_each_time(
    *, connect: Connect, lite: sa.Engine, send: Send, payload: Payload, desk: Desk, told: list[str], least: float
) -> None:
    desk.moods += [(429, {"retry-after": seconds}) for seconds in told]
    with connect(lite, first_wait=0.2) as service:
        began = time.monotonic()
        send(service, "zendesk", payload("zendesk_new_ticket"))
        service.until("written back")
        assert time.monotonic() - began >= least
    assert len(desk.ticket("5158").notes) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_between_note_and_tags_doubles_no_note(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload, kind: str
) -> None:
    """The note is written, then the helpdesk fails; the next try finds the note and goes on with the tags."""
    ticket_id, contact_type = TICKETS[kind]
    with connect(lite) as service:
        service.desk.breaks_after_a_note = True
        send(service, kind, payload(f"{kind}_new_ticket"))
        service.until("written back")
    assert not service.desk.breaks_after_a_note
    assert len(service.desk.ticket(ticket_id).notes) == 1
    assert service.desk.ticket(ticket_id).tags == ["vip", f"triage_{contact_type}"]


def test_tries_are_bounded_and_the_reason_is_kept(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload, desk: Desk
) -> None:
    desk.moods += [(500, {})] * 50
    with connect(lite) as service:
        send(service, "zammad", payload("zammad_new_ticket"))
        service.until("failed")
        (row,) = service.deliveries()
        assert row.attempts == 3
        assert row.reason == "3 tries, the last: 500 at GET /api/v1/ticket_articles/by_ticket/81"
        assert row.ticket is None
        assert service.count("zammad", "failed") == 1
        assert len(service.suggested()) == 1, "the suggestion is kept for the console"


def test_what_the_helpdesk_will_not_take_is_not_tried_again(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload, desk: Desk
) -> None:
    desk.moods += [(404, {})]
    with connect(lite) as service:
        send(service, "freshdesk", payload("freshdesk_new_ticket"))
        service.until("failed")
        assert service.deliveries()[0].reason == "404 at POST /api/v2/tickets/1042/notes"
        assert len(desk.asked) == 1


def test_a_helpdesk_that_is_away_is_tried_again(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload
) -> None:
    with connect(lite, each={"url": "http://127.0.0.1:9"}) as service:
        send(service, "chatwoot", payload("chatwoot_new_ticket"))
        service.until("failed")
        assert "ConnectError" in service.deliveries()[0].reason


def test_too_many_waiting_deliveries_are_sent_back(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload, desk: Desk
) -> None:
    desk.moods += [(503, {"retry-after": "60"})] * 9
    with connect(lite, max_waiting=1) as service:
        assert send(service, "zammad", payload("zammad_new_ticket")).status_code == 202
        answer = send(service, "zammad", payload("zammad_new_ticket", **{"ticket.id": 82}))
        assert (answer.status_code, answer.json()["code"]) == (503, "too-many-deliveries")
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("ways", [{"tags"}, {"field"}, {"note"}, set()])
def test_it_writes_back_what_is_configured_and_nothing_else(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload, ways: set[str]
) -> None:
    with connect(lite, each={"write_back": frozenset(ways)}) as service:
        for number, kind in enumerate(KINDS, 1):
            send(service, kind, payload(f"{kind}_new_ticket"))
            service.until(*["written back"] * number)
        held = list(service.desk.tickets.values())
        assert [len(one.notes) for one in held] == ([1] * 4 if "note" in ways else [0] * len(held))
        assert all((len(one.tags) == 2) == ("tags" in ways) for one in held)
        assert all(bool(one.fields) == ("field" in ways) for one in held)
        assert len(service.suggested()) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_request_it_can_make_is_hidden_from_customers(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload, kind: str
) -> None:
    """All ways of writing, with a retry: each request is one of these, and whatever holds a text says it is private."""
    allowed = {
        "zendesk": {
            ("PUT", "/api/v2/tickets/5158.json"),
            ("PUT", "/api/v2/tickets/5158/tags.json"),
            ("GET", "/api/v2/tickets/5158/comments.json"),
        },
        "zammad": {
            ("PUT", "/api/v1/tickets/81"),
            ("POST", "/api/v1/tags/add"),
            ("GET", "/api/v1/ticket_articles/by_ticket/81"),
        },
        "chatwoot": {
            ("POST", "/api/v1/accounts/3/conversations/612/messages"),
            ("GET", "/api/v1/accounts/3/conversations/612/messages"),
            ("GET", "/api/v1/accounts/3/conversations/612"),
            ("POST", "/api/v1/accounts/3/conversations/612/custom_attributes"),
            ("GET", "/api/v1/accounts/3/conversations/612/labels"),
            ("POST", "/api/v1/accounts/3/conversations/612/labels"),
        },
        "freshdesk": {
            ("POST", "/api/v2/tickets/1042/notes"),
            ("GET", "/api/v2/tickets/1042"),
            ("GET", "/api/v2/tickets/1042/conversations"),
            ("PUT", "/api/v2/tickets/1042"),
        },
    }
    with connect(lite) as service:
        service.desk.moods += [(503, {})]
        send(service, kind, payload(f"{kind}_new_ticket"))
        service.until("written back")
    assert {(method, path) for method, path, _ in service.desk.asked} <= allowed[kind]
    private = {
        "zendesk": lambda body: body["ticket"]["comment"]["public"] is False,
        "zammad": lambda body: body["article"]["internal"] is True,
        "chatwoot": lambda body: body["private"] is True,
        "freshdesk": lambda body: body["private"] is True,
    }[kind]
    written = [body for method, _, body in service.desk.asked if method != "GET"]
    speaking = [body for body in written if "for agents only" in json.dumps(body)]
    assert len(speaking) == 2  # the first met a busy helpdesk
    assert all(private(body) for body in speaking)
    silent = [body for body in written if body not in speaking]
    spoken_by = {"comment", "article", "content", "body", "private", "status", "state"}
    assert all(not spoken_by & {*body, *body.get("ticket", {})} for body in silent)


def test_secrets_and_tickets_stay_out_of_the_log(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload, desk: Desk
) -> None:
    desk.moods += [(500, {}), (401, {})]
    with capture_logs() as logged, connect(lite) as service:
        send(service, "zendesk", payload("zendesk_new_ticket"))
        service.until("failed")
    told = repr(logged)
    assert "webhook delivery put off" in told
    assert "token-of-an-agent" not in told
    assert "charged twice" not in told
    with connect(lite) as service:
        assert "token-of-an-agent" not in repr(service.desk) + repr(service.client)


_PROCESS = """
import sys
from pathlib import Path
from pydantic import SecretStr
from service.app import create_app, serve
from service.helpdesks.options import HelpdeskOptions, Helpdesks
from service.options import ServiceOptions
from tickets.database import open_database
from tickets.workspace import Workspace
workspace, database, url, port = sys.argv[1:]
one = HelpdeskOptions(webhook_secret=SecretStr("s"), url=url, token=SecretStr("token-of-an-agent"))
helpdesks = Helpdesks(zammad=one, lease=1.5, look_every=0.2, timeout=60)
app = create_app(Workspace.open(Path(workspace)), open_database(database), ServiceOptions(helpdesks=helpdesks))
serve(app, port=int(port))
"""


def test_a_delivery_outlives_the_process_that_took_it(
    connect: Connect, trained: Workspace, lite: sa.Engine, signed: Callable[..., dict[str, str]], desk: Desk
) -> None:
    """Killed between taking a ticket and writing back: the next process does it, once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    database = lite.url.render_as_string()
    desk.slow = 1.0  # the helpdesk is at the note when the process dies
    arguments = [sys.executable, "-c", _PROCESS, str(trained.root), database, desk.url, str(port)]
    process = subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        raw = (ROOT / "tests/service/helpdesks/payloads/zammad_new_ticket.json").read_bytes()
        for _ in range(300):
            try:
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/webhooks/zammad", content=raw, headers=signed("zammad", raw, secret="s")
                )
                break
            except httpx.TransportError:
                assert process.poll() is None
                time.sleep(0.1)
        assert answer.status_code == 202
        for _ in range(2000):
            if desk.asked:
                break
            time.sleep(0.01)
        assert desk.asked
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    desk.slow = 0.0
    with lite.connect() as connection:
        assert connection.execute(sa.text("SELECT status, attempts FROM webhook_deliveries")).all() == [("taken", 1)]
    with connect(lite) as service:
        service.until("written back")
        assert service.deliveries()[0].attempts == 2
        assert len(service.suggested()) == 1
    assert len(desk.ticket("81").notes) == 1
    assert desk.ticket("81").tags == ["vip", "triage_login"]


def test_two_processes_share_the_work_without_doubling_it(
    connect: Connect, engine: sa.Engine, send: Send, payload: Payload, desk: Desk
) -> None:
    with connect(engine) as first, connect(engine) as second:
        for number in range(12):
            service = (first, second)[number % 2]
            assert (
                send(service, "zammad", payload("zammad_new_ticket", **{"ticket.id": 200 + number})).status_code == 202
            )
        first.until(*["written back"] * 12)
    assert [len(desk.ticket(str(200 + number)).notes) for number in range(12)] == [1] * 12


def test_a_database_that_is_away_for_a_moment_loses_nothing(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload, desk: Desk
) -> None:
    """Away while a try is under way: it cannot be marked as done. The next one finds the note and only marks it."""
    desk.slow = 0.3
    with connect(lite, lease=2) as service:
        send(service, "zammad", payload("zammad_new_ticket"))
        while not desk.asked:
            time.sleep(0.01)
        with lite.begin() as connection:
            connection.execute(sa.text("ALTER TABLE webhook_deliveries RENAME TO away"))
        while len(desk.asked) < 2:
            time.sleep(0.01)
        time.sleep(0.6)
        assert service.client.get("/livez").status_code == 200
        with lite.begin() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO webhook_deliveries"))
        service.until("written back")
    assert len(desk.ticket("81").notes) == 1


def test_an_orderly_stop_ends_the_try_under_way(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload, desk: Desk
) -> None:
    desk.slow = 0.3
    with connect(lite) as service:
        send(service, "zammad", payload("zammad_new_ticket"))
        while not desk.asked:
            time.sleep(0.01)
    with lite.connect() as connection:
        assert connection.execute(sa.text("SELECT status FROM webhook_deliveries")).scalar() == "written back"
    assert len(desk.ticket("81").notes) == 1
