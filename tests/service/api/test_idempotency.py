"""The same request again, under the same key: one answer, kept once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from service.idempotency import derived_id
from tickets.database import suggestions

if TYPE_CHECKING:
    from tests.service.conftest import Service

SUGGEST, BATCH = "/v1/suggestions", "/v1/suggestions/batch"
TICKET: dict[str, Any] = {
    "ticket_id": "T-9",
    "body": "<p>I was charged twice, call me on +351 912 345 678.</p>",
    "customer_key": "ana@example.com",
    "attributes": {"city": "Lisbon", "amount": 3},
}


def kept(service: Service) -> int:
    service.settle()
    with service.engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(suggestions)).scalar_one())


def ask(service: Service, ticket: dict[str, Any], key: str = "k-1", path: str = SUGGEST, **more: Any) -> Any:
    body = {"ticket": ticket} if path == SUGGEST else {"tickets": [ticket, {"body": "The invoice is missing."}]}
    return service.client.post(path, json=body | more, headers={"Idempotency-Key": key})


@pytest.mark.parametrize("path", [SUGGEST, BATCH])
def test_the_same_request_with_the_same_key_gets_the_first_answer_again(service: Service, path: str) -> None:
    first = ask(service, TICKET, path=path)
    count = kept(service)
    second = ask(service, TICKET, path=path)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert kept(service) == count


def test_what_the_client_left_out_does_not_make_another_request(service: Service) -> None:
    first = ask(service, {"body": "I was charged twice."})
    again = ask(service, {"body": "I was charged twice."})
    assert first.json() == again.json()
    assert first.json()["suggestion_id"] == derived_id("k-1")


@pytest.mark.parametrize(
    "changed",
    [
        {"body": "Please close my account."},
        {"ticket_id": "T-10"},
        {"customer_key": "another"},
        {"attributes": {"city": "Porto", "amount": 3}},
        {"created_at": "2026-01-01T00:00:00Z"},
        {"body": " "},
    ],
)
def test_a_key_that_was_used_for_another_ticket_is_refused(service: Service, changed: dict[str, Any]) -> None:
    first = ask(service, TICKET)
    answer = ask(service, TICKET | changed)
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency-key-reused"
    assert ask(service, TICKET).json() == first.json()


def test_a_key_that_was_used_for_more_suggestions_is_refused(service: Service) -> None:
    ask(service, TICKET, top_types=3)
    assert ask(service, TICKET, top_types=1).json()["code"] == "idempotency-key-reused"


def test_another_key_is_another_request(service: Service) -> None:
    ids = {ask(service, TICKET, key=key).json()["suggestion_id"] for key in ("a", "b")}
    assert len(ids) == 2
    assert kept(service) == 2


def test_a_key_that_cannot_be_one_is_refused(service: Service) -> None:
    for path in (SUGGEST, BATCH):
        for key in ("x" * 201, "two words", ""):
            answer = ask(service, TICKET, key=key, path=path)
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["in"] == "header"


def test_the_same_key_at_the_same_moment_keeps_one_suggestion(service: Service) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(service, TICKET), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["suggestion_id"] for answer in answers} == {derived_id("k-1")}
    assert kept(service) == 1


def test_what_was_lost_of_a_batch_is_answered_again_beside_what_was_kept(service: Service) -> None:
    first = ask(service, TICKET, path=BATCH).json()["suggestions"]
    service.settle()
    with service.engine.begin() as connection:
        connection.execute(sa.delete(suggestions).where(suggestions.c.suggestion_id == derived_id("k-1", 1)))
    again = ask(service, TICKET, path=BATCH)
    assert "idempotent-replayed" not in again.headers
    assert again.json()["suggestions"][0] == first[0]
    assert again.json()["suggestions"][1]["suggestion_id"] == first[1]["suggestion_id"]
    assert kept(service) == 2


def test_a_key_that_cannot_be_looked_up_is_no_fault_and_works_once_the_database_is_back(service: Service) -> None:
    with service.engine.begin() as connection:
        connection.execute(sa.text("alter table suggestions rename to away"))
    try:
        answer = ask(service, TICKET)
    finally:
        with service.engine.begin() as connection:
            connection.execute(sa.text("alter table away rename to suggestions"))
    assert answer.status_code == (200 if service.engine.dialect.name == "sqlite" else 500)  # to it no table is a fault
    assert ask(service, TICKET).json()["suggestion_id"] == derived_id("k-1")
    assert kept(service) == 1


def test_feedback_on_a_replayed_suggestion_is_kept_once(service: Service) -> None:
    suggestion_id = ask(service, TICKET).json()["suggestion_id"]
    body, headers = {"suggestion_id": suggestion_id, "action": "accepted"}, {"Idempotency-Key": "done"}
    first = service.client.post("/v1/feedback", json=body, headers=headers)
    again = service.client.post("/v1/feedback", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
