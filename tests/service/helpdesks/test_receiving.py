"""What the webhooks take, refuse and pass over."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.waiting import soon

if TYPE_CHECKING:
    from tests.service.helpdesks.conftest import Connect, Connected, Send

KINDS = ("zendesk", "zammad", "chatwoot", "freshdesk")
Payload = Callable[..., dict[str, Any]]


def problem(answer: Any, status: int, code: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["code"] == code


def test_forged_and_unsigned_deliveries_are_refused_and_counted(quick: Connected, send: Send, payload: Payload) -> None:
    for kind in KINDS:
        content = payload(f"{kind}_new_ticket")
        problem(send(quick, kind, content, secret="another secret"), 401, "webhook-forged")
        problem(quick.client.post(f"/webhooks/{kind}", json=content), 401, "webhook-forged")
        assert quick.count(kind, "forged") == 2
    assert quick.deliveries() == []


def test_an_address_that_forges_too_often_is_not_listened_to_for_a_while(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload
) -> None:
    with connect(lite, failures=3) as service:
        content = payload("freshdesk_new_ticket")
        forged = [send(service, "freshdesk", content, secret=f"guess {number}") for number in range(5)]
        assert [answer.status_code for answer in forged] == [401, 401, 401, 429, 429]
        assert int(forged[-1].headers["retry-after"]) > 0
        assert send(service, "freshdesk", content).status_code == 429  # nor does it learn which guess was right


def test_a_changed_byte_breaks_the_signature(
    quick: Connected, signed: Callable[..., dict[str, str]], payload: Payload
) -> None:
    for kind in ("zendesk", "zammad", "chatwoot"):
        raw = json.dumps(payload(f"{kind}_new_ticket")).encode()
        headers = signed(kind, raw)
        problem(quick.client.post(f"/webhooks/{kind}", content=raw + b" ", headers=headers), 401, "webhook-forged")


def test_a_helpdesk_that_hangs_up_in_the_middle_is_no_fault_of_ours(quick: Connected) -> None:
    def requests() -> list[Any]:
        return [line for line in told if line["event"] in ("request", "unexpected error")]

    with capture_logs() as told:
        with socket.create_connection(("127.0.0.1", int(quick.address.rpartition(":")[2]))) as connection:
            connection.sendall(b"POST /webhooks/zammad HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nnot all")
        assert soon(lambda: bool(requests()))
    (line,) = requests()
    assert (line["event"], line["route"], line["status"]) == ("request", "/webhooks/{helpdesk}", 400)


@pytest.mark.parametrize("age", [301, -330, 10**9])
def test_a_signature_of_another_time_is_refused(quick: Connected, send: Send, payload: Payload, age: float) -> None:
    for kind in ("zendesk", "chatwoot"):
        problem(send(quick, kind, payload(f"{kind}_new_ticket"), age=age), 401, "webhook-stale")
        assert quick.count(kind, "stale") == 1
    assert send(quick, "zendesk", payload("zendesk_new_ticket"), age=240).status_code == 202


def test_an_odd_time_is_refused_though_its_signature_agrees(quick: Connected) -> None:
    secret = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="
    for written in ("", "yesterday", "2026-03-02T09:30:00"):
        digest = hmac.new(secret.encode(), written.encode() + b"{}", hashlib.sha256).digest()
        headers = {
            "X-Zendesk-Webhook-Signature": base64.b64encode(digest).decode(),
            "X-Zendesk-Webhook-Signature-Timestamp": written,
        }
        problem(quick.client.post("/webhooks/zendesk", content=b"{}", headers=headers), 401, "webhook-stale")


def test_a_helpdesk_that_is_not_connected_is_not_there(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload
) -> None:
    with connect(lite, each={"webhook_secret": None}) as service:
        for kind in KINDS:
            problem(send(service, kind, payload(f"{kind}_new_ticket")), 404, "helpdesk-not-connected")
        problem(service.client.post("/webhooks/elsewhere", json={}), 404, "helpdesk-not-connected")


def test_an_empty_secret_proves_nothing(connect: Connect, lite: sa.Engine, send: Send, payload: Payload) -> None:
    with connect(lite, each={"webhook_secret": SecretStr("")}) as service:
        problem(send(service, "freshdesk", payload("freshdesk_new_ticket"), secret=""), 401, "webhook-forged")
        problem(send(service, "zammad", payload("zammad_new_ticket"), secret=""), 401, "webhook-forged")


def test_a_chatwoot_that_does_not_sign_is_known_by_its_address(
    connect: Connect, lite: sa.Engine, payload: Payload
) -> None:
    content = payload("chatwoot_new_ticket")
    with connect(lite, each={"webhook_secret": None, "url_token": SecretStr("t0ken")}) as service:
        problem(service.client.post("/webhooks/chatwoot", json=content), 401, "webhook-forged")
        problem(service.client.post("/webhooks/chatwoot?token=other", json=content), 401, "webhook-forged")
        assert service.client.post("/webhooks/chatwoot?token=t0ken", json=content).status_code == 202
        assert service.client.post("/webhooks/chatwoot?token=t0ken", json=content).json() == {"status": "repeated"}


def test_with_both_a_token_and_a_secret_both_must_agree(
    connect: Connect, lite: sa.Engine, send: Send, payload: Payload
) -> None:
    with connect(lite, each={"url_token": SecretStr("t0ken")}) as service:
        problem(send(service, "chatwoot", payload("chatwoot_new_ticket")), 401, "webhook-forged")
        answer = service.client.post("/webhooks/chatwoot?token=t0ken", json=payload("chatwoot_new_ticket"))
        problem(answer, 401, "webhook-forged")


OTHER_EVENTS = (
    ("zendesk", "zendesk_new_ticket", {"type": "zen:event-type:ticket.comment_added"}),
    ("zendesk", "zendesk_new_ticket", {"type": "zen:event-type:user.created"}),
    ("zendesk", "zendesk_field_changed", {"event.custom_field": {"id": "999", "title": "Other", "type": "TEXT"}}),
    ("zammad", "zammad_new_ticket", {"article.sender": "Agent"}),
    ("zammad", "zammad_new_ticket", {"article.internal": True}),
    ("zammad", "zammad_new_ticket", {"ticket.article_count": 4}),
    ("chatwoot", "chatwoot_new_ticket", {"event": "conversation_created"}),
    ("chatwoot", "chatwoot_new_ticket", {"message_type": "outgoing"}),
    ("chatwoot", "chatwoot_new_ticket", {"private": True}),
    ("chatwoot", "chatwoot_new_ticket", {"conversation.first_reply_created_at": 1772444000}),
    ("freshdesk", "freshdesk_new_ticket", {"freshdesk_webhook.triggered_event": "{note_type:public}"}),
)


@pytest.mark.parametrize("event", OTHER_EVENTS, ids=lambda event: f"{event[0]}-{next(iter(event[2]))}")
def test_other_events_are_passed_over(
    quick: Connected, send: Send, payload: Payload, event: tuple[str, str, dict[str, Any]]
) -> None:
    kind, name, changes = event
    answer = send(quick, kind, payload(name, **changes))
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")
    assert answer.json()["reason"]
    assert quick.deliveries() == []
    assert quick.count(kind, "ignored") == 1


def test_unknown_and_odd_fields_do_no_harm(quick: Connected, send: Send, payload: Payload) -> None:
    odd: dict[str, dict[str, Any]] = {
        "zendesk": {"detail.via": None, "detail.created_at": "soon", "detail.subject": 7, "detail.priority": [1]},
        "zammad": {"ticket.customer_id": None, "ticket.created_at": 1e30, "ticket.group": "gone", "article.type": {}},
        "chatwoot": {"sender": None, "created_at": -5, "conversation.additional_attributes": [], "inbox": 1},
        "freshdesk": {"freshdesk_webhook.ticket_source": {}, "freshdesk_webhook.ticket_tags": None},
    }
    for kind in KINDS:
        content = payload(f"{kind}_new_ticket", **odd[kind], news={"of": ["tomorrow", {"deep": None}]})
        assert send(quick, kind, content).status_code == 202, kind


UNREADABLE: tuple[tuple[str, Any, str], ...] = (
    ("zendesk", b"no json", "the body is no valid JSON."),
    ("zendesk", b"[1]", "the body is no JSON object."),
    ("zendesk", {"type": "zen:event-type:ticket.created"}, "detail is missing or no object."),
    ("zendesk", {"detail": {}}, "type is missing: subscribe the webhook to Zendesk events."),
    ("zammad", {"article": {}}, "ticket is missing or no object."),
    ("chatwoot", {"id": 1}, "event is missing."),
    (
        "freshdesk",
        {"freshdesk_webhook": {"ticket_id": "../users/1", "ticket_description": "x"}},
        "ticket_id is missing or no id.",
    ),
    (
        "freshdesk",
        {"freshdesk_webhook": {"triggered_event": "{ticket_action:created}", "ticket_id": 5}},
        "ticket_description is missing or empty.",
    ),
)


@pytest.mark.parametrize(("kind", "content", "reason"), UNREADABLE)
def test_an_unreadable_payload_is_told_and_kept_as_failed(
    quick: Connected, send: Send, kind: str, content: Any, reason: str
) -> None:
    answer = send(quick, kind, content)
    problem(answer, 422, "webhook-unreadable")
    assert answer.json()["detail"] == reason
    (row,) = quick.deliveries()
    assert (row.status, row.reason, row.ticket) == ("failed", reason, None)


def test_no_ticket_text_reaches_logs_or_errors(quick: Connected, send: Send, payload: Payload) -> None:
    words = "xylophone-4711"
    with capture_logs() as logged:
        answers = [
            send(
                quick,
                "zendesk",
                payload("zendesk_new_ticket", **{"detail.description": words, "detail.id": {}}),
            ),
            send(quick, "zammad", payload("zammad_new_ticket", **{"article.body": words, "ticket.id": words + "/"})),
            send(quick, "freshdesk", f'{{"ticket_description": "{words}'.encode()),
            send(quick, "chatwoot", payload("chatwoot_new_ticket", content=words), secret="wrong"),
        ]
    assert [answer.status_code for answer in answers] == [422, 422, 422, 401]
    told = json.dumps([answer.text for answer in answers]) + repr(logged) + repr(quick.deliveries())
    assert "xylophone" not in told
    assert logged


def test_a_hostile_size_is_refused_before_it_is_read(quick: Connected, send: Send, payload: Payload) -> None:
    huge = payload("zendesk_new_ticket", **{"detail.description": "a" * 5_000_000})
    problem(send(quick, "zendesk", huge), 413, "too-large")
    long = payload("zendesk_new_ticket", **{"detail.description": "refund my ride " * 50_000})
    assert send(quick, "zendesk", long).status_code == 202
    quick.until("written back")
    assert len(quick.suggested()[0].ticket["body"]) <= 200_000
