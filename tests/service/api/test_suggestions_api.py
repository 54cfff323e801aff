"""Suggestions over HTTP: what is answered, and what is kept of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tickets.feedback_log import find_suggestion
from tickets.records import suggestion_from_json, to_json

if TYPE_CHECKING:
    from tests.service.conftest import Service

REFUND = "Hi team, I was charged twice and want my money back. Thanks."


def test_a_ticket_gets_its_contact_type_templates_similar_tickets_and_words(service: Service) -> None:
    answer = service.client.post(
        "/v1/suggestions",
        json={"ticket": {"ticket_id": "T-1", "body": REFUND, "channel": "email"}, "top_types": 2, "top_templates": 1},
    )
    assert answer.status_code == 200
    suggestion = suggestion_from_json(answer.json())
    assert suggestion.ticket_id == "T-1"
    assert suggestion.contact_types[0].contact_type == "refund"
    assert suggestion.contact_types[0].path == "Payments::Refund"
    assert len(suggestion.contact_types) == 2
    assert [ranked.template_id for ranked in suggestion.templates] == ["t-refund"]
    assert suggestion.similar
    assert suggestion.words
    assert suggestion.answer_set is not None
    assert suggestion.answer_set.coverage == 0.9


def test_what_is_shown_is_kept_with_the_cleaned_and_masked_ticket(service: Service) -> None:
    body = "<p>Please refund my ride.</p><p>Mail me at ana.silva@example.com</p>"
    answer = service.client.post(
        "/v1/suggestions",
        json={
            "ticket": {
                "subject": "Re: money",
                "body": body,
                "customer_key": "ana.silva@example.com",
                "created_at": "2026-03-02T10:30:00+01:00",
                "attributes": {"city": "Lisbon", "amount": 3, "vip": True, "note": None},
            }
        },
    )
    service.settle()
    found = find_suggestion(service.engine, answer.json()["suggestion_id"])
    assert found is not None
    ticket, suggestion = found
    assert to_json(suggestion) == answer.json()
    assert "Please refund my ride." in ticket.body
    assert "example.com" not in str(to_json(ticket))
    assert re.fullmatch(r"[0-9a-f]{32}", ticket.customer_key or "")
    assert ticket.subject == "money"
    assert ticket.language == "en"
    assert ticket.created_at.isoformat() == "2026-03-02T09:30:00+00:00"
    assert ticket.attributes == {"city": "Lisbon", "amount": 3.0, "vip": True, "note": None}


def test_a_ticket_without_id_gets_one(service: Service) -> None:
    ids = {service.client.post("/v1/suggestions", json={"ticket": {"body": REFUND}}).json()["ticket_id"] for _ in "ab"}
    assert len(ids) == 2


def test_a_batch_is_answered_in_the_order_it_was_sent(service: Service) -> None:
    bodies = [REFUND, "Hello, I cannot sign in. What can I do?", "Hello, please close my account. Thanks."]
    answer = service.client.post(
        "/v1/suggestions/batch",
        json={"tickets": [{"ticket_id": f"b-{row}", "body": body} for row, body in enumerate(bodies)]},
    )
    made = answer.json()["suggestions"]
    assert [one["ticket_id"] for one in made] == ["b-0", "b-1", "b-2"]
    for body, one in zip(bodies, made, strict=True):
        alone = service.client.post("/v1/suggestions", json={"ticket": {"body": body}}).json()["contact_types"][0]
        assert one["contact_types"][0]["contact_type"] == alone["contact_type"]
        assert abs(one["contact_types"][0]["probability"] - alone["probability"]) < 0.02


def test_a_batch_with_an_unreadable_ticket_names_it_and_keeps_nothing(service: Service) -> None:
    answer = service.client.post(
        "/v1/suggestions/batch", json={"tickets": [{"body": REFUND, "ticket_id": "kept?"}, {"body": "  "}]}
    )
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/tickets/1"]
    assert "kept?" not in service.client.get("/console").text


def test_a_batch_over_the_limit_is_refused(service: Service) -> None:
    answer = service.client.post("/v1/suggestions/batch", json={"tickets": [{"body": REFUND}] * 65})
    assert answer.status_code == 422
    assert answer.json()["code"] == "batch-too-large"
    assert "64" in answer.json()["detail"]


def test_contact_types_templates_and_the_model_can_be_read(service: Service) -> None:
    tree = service.client.get("/v1/contact-types").json()
    assert {row["id"]: row["path"] for row in tree["contact_types"]}["login"] == "Account::Login"
    assert service.client.get("/v1/templates").json()["templates"][0]["template_id"] == "t-refund"
    assert service.client.get("/v1/templates?plain=perhaps").status_code == 422
    model = service.client.get("/v1/model").json()
    made = service.client.post("/v1/suggestions", json={"ticket": {"body": REFUND}}).json()
    assert model["version"] == made["model_version"]
    assert model["windows"]["train"]["tickets"] > 0
