"""What agents do in the helpdesk becomes feedback, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.service.helpdesks.conftest import Connected, Send

Payload = Callable[..., dict[str, Any]]


def suggest(quick: Connected, send: Send, kind: str, content: dict[str, Any]) -> None:
    assert send(quick, kind, content).status_code == 202
    quick.until("written back")


def test_another_value_of_the_field_in_zendesk_corrects(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "zendesk", payload("zendesk_new_ticket"))
    answer = send(quick, "zendesk", payload("zendesk_field_changed"))
    assert (answer.status_code, answer.json()) == (200, {"status": "feedback", "action": "corrected"})
    assert quick.feedback() == [("corrected", "invoice", "Zendesk user 8447388099999")]
    assert send(quick, "zendesk", payload("zendesk_field_changed")).json() == {"status": "repeated"}
    assert send(quick, "zendesk", payload("zendesk_field_changed", id="another")).json()["status"] == "ignored"
    assert len(quick.feedback()) == 1


def test_our_own_writing_of_the_field_is_no_consent(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "zendesk", payload("zendesk_new_ticket"))
    ours = payload("zendesk_field_changed", **{"event.current": {"value": "refund"}})
    assert send(quick, "zendesk", ours).json()["status"] == "ignored"
    assert quick.feedback() == []


def test_a_ticket_solved_as_suggested_accepts(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "zendesk", payload("zendesk_new_ticket"))
    answer = send(quick, "zendesk", payload("zendesk_status_changed"))
    assert answer.json() == {"status": "feedback", "action": "accepted"}
    assert quick.feedback() == [("accepted", "refund", "Zendesk user 8447388099999")]


def test_what_the_sidebar_was_told_is_not_told_twice(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "zendesk", payload("zendesk_new_ticket"))
    ticket = {"ticket_id": "5158", "body": "I was charged twice and want my money back."}
    made = quick.client.post("/v1/suggestions", json={"ticket": ticket}).json()
    given = {"suggestion_id": made["suggestion_id"], "action": "accepted", "contact_type": "refund", "agent": "Ana"}
    assert quick.client.post("/v1/feedback", json=given).status_code == 201
    assert send(quick, "zendesk", payload("zendesk_status_changed")).json()["status"] == "ignored"
    assert quick.feedback() == [("accepted", "refund", "Ana")]


def test_a_tag_beside_ours_corrects_in_zendesk(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "zendesk", payload("zendesk_new_ticket"))
    both = payload("zendesk_status_changed", **{"detail.tags": ["triage_refund", "triage_login", "vip"]})
    assert send(quick, "zendesk", both).json() == {"status": "feedback", "action": "corrected"}
    assert quick.feedback()[0][:2] == ("corrected", "login")


def test_tags_that_name_several_types_say_nothing(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "zendesk", payload("zendesk_new_ticket"))
    many = payload("zendesk_status_changed", **{"detail.tags": ["triage_delete", "triage_login"]})
    assert send(quick, "zendesk", many).json()["status"] == "ignored"


def test_who_changes_their_mind_is_heard_last(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "zendesk", payload("zendesk_new_ticket"))
    for number, value in enumerate(("invoice", "login", "invoice")):
        changed = payload("zendesk_field_changed", id=f"e-{number}", **{"event.current": {"value": value}})
        assert send(quick, "zendesk", changed).json()["status"] == "feedback"
    assert [row[1] for row in quick.feedback()] == ["invoice", "login", "invoice"]


def test_a_closed_ticket_in_zammad_is_judged_by_its_field(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "zammad", payload("zammad_new_ticket"))
    assert send(quick, "zammad", payload("zammad_closed")).json() == {"status": "feedback", "action": "accepted"}
    other = payload("zammad_closed", **{"ticket.contact_reason": "Account::Close account"})
    assert send(quick, "zammad", other).json() == {"status": "feedback", "action": "corrected"}
    assert quick.feedback() == [
        ("accepted", "login", "Zammad user 5"),
        ("corrected", "delete", "Zammad user 5"),
    ]
    # Recorded and sent again under another name, which no signature covers, it would turn the correction back.
    assert send(quick, "zammad", payload("zammad_closed"), delivery="another").json() == {"status": "repeated"}
    assert len(quick.feedback()) == 2


def test_a_resolved_conversation_in_chatwoot_accepts(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "chatwoot", payload("chatwoot_new_ticket"))
    answer = send(quick, "chatwoot", payload("chatwoot_status_changed"))
    assert answer.json() == {"status": "feedback", "action": "accepted"}
    assert quick.feedback() == [("accepted", "delete", "Chatwoot user 5")]


def test_a_resolved_ticket_in_freshdesk_is_judged_by_its_tags(quick: Connected, send: Send, payload: Payload) -> None:
    suggest(quick, send, "freshdesk", payload("freshdesk_new_ticket"))
    answer = send(quick, "freshdesk", payload("freshdesk_ticket_resolved"))
    assert answer.json() == {"status": "feedback", "action": "accepted"}
    assert quick.feedback() == [("accepted", "invoice", None)]


@pytest.mark.parametrize("value", ["no such type", "", "payments"])
def test_a_value_that_no_leaf_has_is_passed_over(quick: Connected, send: Send, payload: Payload, value: str) -> None:
    suggest(quick, send, "zammad", payload("zammad_new_ticket"))
    told = payload("zammad_closed", **{"ticket.contact_reason": value})
    assert send(quick, "zammad", told).json()["status"] == "ignored"
    assert quick.feedback() == []


def test_a_judgement_of_an_unknown_ticket_is_passed_over(quick: Connected, send: Send, payload: Payload) -> None:
    assert send(quick, "zendesk", payload("zendesk_status_changed")).json()["status"] == "ignored"
    assert quick.deliveries() == []
