"""Requests that are wrong are told so, with what to do; none brings the service down and none is echoed back."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SUGGEST, BATCH, FEEDBACK = "/v1/suggestions", "/v1/suggestions/batch", "/v1/feedback"
JSON = {"Content-Type": "application/json"}


def is_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize("path", [SUGGEST, BATCH, FEEDBACK])
@pytest.mark.parametrize("body", [None, b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b"{}", b"[" * 50_000])
def test_a_body_that_is_none_or_no_object_is_refused(answering: httpx.Client, path: str, body: bytes | None) -> None:
    answer = answering.post(path, content=body, headers=JSON)
    assert answer.status_code in (400, 422)
    is_problem(answer, answer.status_code)


@pytest.mark.parametrize(
    ("ticket", "pointer"),
    [
        ({}, "/ticket/body"),
        ({"body": 7}, "/ticket/body"),
        ({"body": None}, "/ticket/body"),
        ({"body": "x", "colour": "red"}, "/ticket/colour"),
        ({"body": "x", "created_at": "yesterday"}, "/ticket/created_at"),
        ({"body": "x", "created_at": "2026-01-01T00:00:00"}, "/ticket/created_at"),
        ({"body": "x", "created_at": "0001-01-01T00:00:00+14:00"}, "/ticket/created_at"),
        ({"body": "x", "ticket_id": ""}, "/ticket/ticket_id"),
        ({"body": "x", "ticket_id": "a\x00b"}, "/ticket/ticket_id"),
        ({"body": "x", "attributes": {"city": ["Lisbon"]}}, "/ticket/attributes/city"),
        ({"body": "x" * 200_001}, "/ticket/body"),
        ([], "/ticket"),
    ],
)
def test_a_wrong_field_is_named(answering: httpx.Client, ticket: Any, pointer: str) -> None:
    problem = is_problem(answering.post(SUGGEST, json={"ticket": ticket}), 422)
    assert problem["errors"][0]["pointer"].startswith(pointer)
    assert problem["hint"]


@pytest.mark.parametrize("body", ["", "   ", "<p></p>", "\x00\u200b"])
def test_a_ticket_without_words_is_refused_with_the_reason(answering: httpx.Client, body: str) -> None:
    problem = is_problem(answering.post(SUGGEST, json={"ticket": {"body": body}}), 422)
    assert problem["code"] == "ticket-refused"
    assert "empty body" in problem["detail"]


def test_numbers_that_json_does_not_know_are_refused(answering: httpx.Client) -> None:
    for number in ("NaN", "Infinity", "1e999"):
        body = f'{{"ticket": {{"body": "refund", "attributes": {{"amount": {number}}}}}}}'
        is_problem(answering.post(SUGGEST, content=body, headers=JSON), 422)


def test_half_a_character_is_refused(answering: httpx.Client) -> None:
    for body in (r'{"ticket": {"body": "\ud800"}}', r'{"ticket": {"body": "x", "\ud800": 1}}'):
        is_problem(answering.post(SUGGEST, content=body, headers=JSON), 422)


def test_an_unknown_number_of_suggestions_is_refused(answering: httpx.Client) -> None:
    for count in (0, 21, -1, "3", 2.5, True):
        is_problem(answering.post(SUGGEST, json={"ticket": {"body": "x"}, "top_types": count}), 422)


def test_a_request_over_the_limit_is_refused_before_it_is_read_whole(answering: httpx.Client) -> None:
    huge = json.dumps({"ticket": {"body": "x" * 1_200_000}}).encode()
    for path in (SUGGEST, FEEDBACK, "/console/tickets", "/nowhere"):
        problem = is_problem(answering.post(path, content=huge, headers=JSON), 413)
        assert "1,000,000 bytes" in problem["detail"]

    def pieces() -> Any:
        for _ in range(40):
            yield b" " * 50_000

    is_problem(answering.post(SUGGEST, content=pieces(), headers=JSON), 413)


def test_long_texts_within_the_limit_are_answered(answering: httpx.Client) -> None:
    for text in (
        "refund my ride " * 12_000,
        "x" * 190_000,
        "<div>" * 30_000 + "refund",
        "> quoted\n" * 20_000 + "hello",
    ):
        answer = answering.post(SUGGEST, json={"ticket": {"body": text}})
        assert answer.status_code in (200, 422), answer.text


def test_unknown_addresses_and_methods_are_problems_too(answering: httpx.Client) -> None:
    is_problem(answering.get("/v1/nothing"), 404)
    assert "allow" in answering.put(SUGGEST).headers
    is_problem(answering.put(SUGGEST), 405)


@pytest.mark.parametrize("path", [SUGGEST, BATCH, FEEDBACK])
def test_a_body_that_is_not_said_to_be_json_is_refused(answering: httpx.Client, path: str) -> None:
    for headers in ({"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {}):
        problem = is_problem(answering.post(path, content=b'{"ticket": {"body": "x"}}', headers=headers), 415)
        assert "application/json" in problem["hint"]


def test_json_in_another_encoding_than_utf_8_is_refused(answering: httpx.Client) -> None:
    text = '{"ticket": {"body": "refund"}}'
    for body in (
        text.encode("utf-16"),
        text.encode("utf-32"),
        text.encode("utf-8-sig"),
        b'{"ticket": {"body": "\xe4"}}',
    ):
        # Null bytes are refused first of all: they would hide brackets from who counts them.
        is_problem(answering.post(SUGGEST, content=body, headers=JSON), 400 if b"\x00" in body else 422)


def test_a_browser_reads_its_error_as_a_page(answering: httpx.Client) -> None:
    answer = answering.get("/console/suggestions/none", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "there is no such suggestion" in answer.text


def test_a_refusal_does_not_repeat_what_was_written(answering: httpx.Client) -> None:
    secret = "my card is 4111 1111 1111 1111"
    for ticket in (
        {"body": "x", "created_at": secret},
        {"body": "x", "language": [secret]},
        {"body": {"text": secret}},
    ):
        answer = answering.post(SUGGEST, json={"ticket": ticket})
        assert answer.status_code == 422
        assert "4111" not in answer.text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from(
    [
        *("ticket", "tickets", "body", "subject", "ticket_id", "created_at", "attributes", "customer_key", "channel"),
        *("top_types", "top_templates", "suggestion_id", "action", "contact_type", "edit_distance", "handle_seconds"),
    ]
)
near = st.dictionaries(names, values, max_size=6)
bodies = st.one_of(
    values,
    near,
    st.fixed_dictionaries({"ticket": near}),
    st.fixed_dictionaries({"ticket": st.fixed_dictionaries({"body": st.text()}, optional={"attributes": near})}),
    st.fixed_dictionaries({"tickets": st.lists(near, max_size=3)}),
    st.fixed_dictionaries(
        {"suggestion_id": st.text(), "action": st.sampled_from(["accepted", "corrected", "ignored"])}
    ),
)


@settings(max_examples=400, deadline=None)
@given(body=bodies, path=st.sampled_from([SUGGEST, BATCH, FEEDBACK]))
def test_no_body_makes_the_service_fail(answering: httpx.Client, body: Any, path: str) -> None:
    written = json.dumps(body).encode()
    answer = answering.post(path, content=written, headers=JSON)
    assert answer.status_code < 500, (path, written, answer.text)
    if answer.status_code >= 400:
        is_problem(answer, answer.status_code)
