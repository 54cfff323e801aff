"""Feedback over HTTP: kept once, checked against what was suggested and what there is to choose from."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from tickets.api_keys import create_key
from tickets.catalogue import read_tree, write_tree
from tickets.database import feedback
from tickets.feedback_log import find_feedback

if TYPE_CHECKING:
    from tests.service.conftest import Service


@pytest.fixture
def suggested(service: Service) -> dict[str, Any]:
    body = {"ticket": {"body": "Hi team, I was charged twice and want my money back. Thanks."}, "top_types": 2}
    answer: dict[str, Any] = service.client.post("/v1/suggestions", json=body).json()
    return answer


def given(suggested: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"suggestion_id": suggested["suggestion_id"], "action": "accepted"} | fields


def kept(service: Service) -> int:
    with service.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(feedback)).scalar_one())


def test_accepting_keeps_the_first_contact_type(service: Service, suggested: dict[str, Any]) -> None:
    answer = service.client.post(
        "/v1/feedback",
        json=given(suggested, template_id="t-refund", edit_distance=0.2, handle_seconds=31.5, agent="Ana"),
    )
    assert answer.status_code == 201
    found = find_feedback(service.engine, answer.json()["feedback_id"])
    assert found is not None
    assert (found.action, found.contact_type, found.template_id) == ("accepted", "refund", "t-refund")
    assert (found.edit_distance, found.handle_seconds, found.agent) == (0.2, 31.5, "Ana")
    assert found.ticket_id == suggested["ticket_id"]


@pytest.mark.parametrize("sent", [{}, {"agent": None}, {"agent": " "}])
def test_feedback_that_names_nobody_carries_the_name_of_a_personal_key(
    service: Service, suggested: dict[str, Any], sent: dict[str, Any]
) -> None:
    now = datetime.now(UTC)
    for shared, agent in ((False, "ana"), (True, None)):
        _, written = create_key(service.engine, "ana" if agent else "front desk", "agent", at=now, shared=shared)
        headers = {"Authorization": f"Bearer {written}"}
        answer = service.client.post("/v1/feedback", json=given(suggested, **sent), headers=headers)
        assert answer.json()["agent"] == agent


def test_a_retry_with_the_same_key_is_kept_once(service: Service, suggested: dict[str, Any]) -> None:
    body, headers = given(suggested, edit_distance=0.1), {"Idempotency-Key": "press-1"}
    first = service.client.post("/v1/feedback", json=body, headers=headers)
    second = service.client.post("/v1/feedback", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.json()["feedback_id"] == "press-1"
    assert kept(service) == 1


def test_the_same_key_at_the_same_moment_is_kept_once(service: Service, suggested: dict[str, Any]) -> None:
    def press(_: int) -> int:
        headers = {"Idempotency-Key": "press-2"}
        return service.client.post("/v1/feedback", json=given(suggested), headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(press, range(16)))
    assert statuses == [200] * 15 + [201]
    assert kept(service) == 1


def test_the_same_key_with_another_content_is_refused_and_changes_nothing(
    service: Service, suggested: dict[str, Any]
) -> None:
    headers = {"Idempotency-Key": "press-3"}
    service.client.post("/v1/feedback", json=given(suggested), headers=headers)
    answer = service.client.post("/v1/feedback", json=given(suggested, agent="another"), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency-key-reused"
    found = find_feedback(service.engine, "press-3")
    assert found is not None
    assert found.agent is None


def test_an_unknown_suggestion_is_not_found(service: Service) -> None:
    answer = service.client.post("/v1/feedback", json={"suggestion_id": "none", "action": "ignored"})
    assert answer.status_code == 404
    assert answer.json()["code"] == "unknown-suggestion"
    assert kept(service) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "corrected"},
        {"action": "corrected", "contact_type": "no such type"},
        {"action": "accepted", "contact_type": "delete"},
        {"action": "ignored", "contact_type": "refund"},
        {"action": "praised"},
        {"template_id": "no such template"},
        {"edit_distance": 1.5},
        {"handle_seconds": -1},
        {"feedback_id": "mine"},
    ],
)
def test_feedback_that_makes_no_sense_is_refused(
    service: Service, suggested: dict[str, Any], fields: dict[str, Any]
) -> None:
    if suggested["contact_types"][1]["contact_type"] == fields.get("contact_type"):
        fields = fields | {"contact_type": "invoice"}  # the example needs a type that was not suggested
    answer = service.client.post("/v1/feedback", json=given(suggested, **fields))
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert kept(service) == 0


def test_a_key_that_cannot_be_an_id_is_refused(service: Service, suggested: dict[str, Any]) -> None:
    for key in ("x" * 201, "two words"):
        answer = service.client.post("/v1/feedback", json=given(suggested), headers={"Idempotency-Key": key})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["in"] == "header"


def test_a_contact_type_added_this_morning_can_be_chosen(service: Service, suggested: dict[str, Any]) -> None:
    body = given(suggested, action="corrected", contact_type="Payments::Voucher")
    assert service.client.post("/v1/feedback", json=body).status_code == 422
    write_tree(service.workspace, read_tree(service.workspace).with_paths(["Payments::Voucher"]))
    assert service.client.post("/v1/feedback", json=body).status_code == 201
