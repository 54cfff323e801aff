"""Ten thousand bodies that nobody would send on purpose, from a fixed seed: each gets a documented, well-formed answer.

A body that does not is printed, base64, with the seed's number of it.
"""

from __future__ import annotations

import base64
import copy
import json
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx
import jsonschema
import pytest

BODIES = 10_000
SECRET = "4111 1111 1111 1111"
TICKET = {
    "ticket_id": "T-1",
    "created_at": "2026-03-02T09:30:00Z",
    "subject": f"Charged {SECRET}",
    "body": f"Hello, my card {SECRET} was charged twice.",
    "channel": "email",
    "language": "en",
    "customer_key": f"ana {SECRET}",
    "attributes": {"city": "Lisbon", "amount": 12.5, "vip": False, "note": None},
}
TENSORS = {
    "id": "1",
    "parameters": {"top_types": 2},
    "inputs": [
        {"name": "body", "shape": [2], "datatype": "BYTES", "data": [TICKET["body"], "Where is my invoice?"]},
        {"name": "attributes", "shape": [2], "datatype": "BYTES", "data": ['{"amount": 1}', ""]},
    ],
    "outputs": [{"name": "contact_types"}, {"name": "scores"}],
}
JSON, NDJSON = "application/json", "application/x-ndjson"
STREAM = "/v1/suggestions/stream"
VALID: dict[str, Any] = {
    "/v1/suggestions": {"ticket": TICKET, "top_types": 3, "top_templates": 2},
    "/v1/suggestions/batch": {"tickets": [TICKET, {"body": "My password does not work."}], "top_types": 1},
    "/v1/feedback": {
        "suggestion_id": "none",
        "action": "corrected",
        "contact_type": "refund",
        "template_id": "t-refund",
        "edit_distance": 0.5,
        "handle_seconds": 12,
        "agent": f"Ana {SECRET}",
    },
    "/v2/models/triage/infer": TENSORS,
    STREAM: TICKET,
}
HOSTILE_VALUES: list[Any] = [
    *(None, True, [], {}, "", " ", "\0", "\ud800", "\U0001f600" * 50, "a" * 5000, -1, 0, 1e308, 10**400, -(2**63), 0.1),
    *(
        [[]],
        {"": ""},
        [None] * 50,
        {"ticket": {"ticket": {}}},
        "2026-13-45T99:99:99Z",
        "-0001-01-01T00:00:00Z",
        "\u202e",
    ),
    *("<script>" * 40, "{{7*7}}", "../../etc/passwd", "'; drop table feedback; --", float("nan"), float("inf")),
]
HOSTILE_TEXTS = [
    b"[" * 2000,
    b'{"ticket":' * 900,
    b'{"ticket": {"body": "x"}, "ticket": {"body": "y"}}',
    b'{"ticket": {"body": "x", "body": null}}',
    b'{"ticket": {"body": NaN}}',
    b'{"ticket": {"body": "x", "attributes": {"a": 1e999}}}',
    b'{"ticket": {"body": "x"}, "top_types": ' + b"9" * 5000 + b"}",
    b'{"ticket": {"body": "\\ud83d"}}',
    b'{"ticket": {"body": "\\ud83d\\ude00 refund"}}',
    b'\xef\xbb\xbf{"ticket": {"body": "refund"}}',
    '{"ticket": {"body": "refund"}}'.encode("utf-16"),
    '{"ticket": {"body": "refund"}}'.encode("utf-32-be"),
    b'{"ticket": {"body": "\xc0\xaf\xed\xa0\x80"}}',
    b'{"ticket": {"body": "x"}} trailing',
    b'// comment\n{"ticket": {"body": "x"}}',
    b"",
    b"\x00" * 100,
    b"null",
    b'"' + b"x" * 100_000,
]


@dataclass(frozen=True)
class Sent:
    """A request of the fuzzer. `whole`: what a secret was written into is still the value of a field."""

    path: str
    body: bytes
    media_type: str
    whole: bool = False
    key: str | None = None


def random_request(rng: Random) -> Sent:
    path = rng.choice(list(VALID))
    media_type = NDJSON if path == STREAM else JSON
    maker = rng.choice([mutated_value, mutated_value, mutated_bytes, random_bytes, hostile_text])
    lines = [maker(rng, VALID[path]) for _ in range(rng.randint(1, 4) if path == STREAM else 1)]
    if rng.random() < 0.03:
        media_type = rng.choice(
            ["text/plain", "", "application/xml", "multipart/form-data", "application/json; x=\xff"]
        )
    key = rng.choice(["k", "x" * 201, "a b", str(rng.random())]) if rng.random() < 0.1 else None
    return Sent(path, b"\n".join(lines), media_type, maker is mutated_value, key)


def mutated_value(rng: Random, valid: Any) -> bytes:
    """The valid body with a few values, names or entries replaced."""
    body = copy.deepcopy(valid)
    for _ in range(rng.randint(0, 3)):
        places = list(_places(body))
        inside, name = rng.choice(places) if places else ({}, "")
        match rng.randrange(4):
            case 0:
                inside[name] = copy.deepcopy(rng.choice(HOSTILE_VALUES))
            case 1:
                del inside[name]
            case 2 if isinstance(inside, dict):
                inside[rng.choice(["colour", "", "\ud800", "a/b~c", "x" * 300])] = copy.deepcopy(
                    rng.choice(HOSTILE_VALUES)
                )
            case _:
                inside[name] = copy.deepcopy(rng.choice(list(_places(valid)))[0])
    return json.dumps(body).encode()


def _places(body: Any) -> list[tuple[Any, Any]]:
    """(container, name or index) of every value inside."""
    names = list(body) if isinstance(body, dict) else list(range(len(body))) if isinstance(body, list) else []
    return [(body, name) for name in names] + [place for name in names for place in _places(body[name])]


def mutated_bytes(rng: Random, valid: Any) -> bytes:
    body = bytearray(json.dumps(valid).encode())
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(body) + 1)
        match rng.randrange(4):
            case 0:
                body[at:at] = bytes([rng.randrange(256)])
            case 1:
                del body[at : at + rng.randint(1, 20)]
            case 2:
                body[at : at + 1] = bytes([rng.choice(b'"{}[],:\\\x00\xff0e')])
            case _:
                body[at:at] = body[rng.randrange(len(body) + 1) :][:30]
    return bytes(body)


def random_bytes(rng: Random, valid: Any) -> bytes:
    return rng.randbytes(rng.randint(0, 200))


def hostile_text(rng: Random, valid: Any) -> bytes:
    return rng.choice(HOSTILE_TEXTS)


class Judge:
    """Says whether an answer is one that the description allows."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.paths = described["paths"]
        self.components = described["components"]
        self._made: dict[str, jsonschema.Draft202012Validator] = {}

    def judge(self, sent: Sent, answer: httpx.Response) -> None:
        told = sent.path.replace("/triage/", "/{model_name}/")
        responses = self.paths[told]["post"]["responses"]
        assert str(answer.status_code) in responses
        assert answer.status_code < 500
        assert answer.headers["x-request-id"]
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            self._fits("Problem", answer.json())
            assert answer.json()["status"] == answer.status_code
            assert not sent.whole or SECRET not in answer.text
        elif sent.path == STREAM:
            for line in answer.content.split(b"\n")[:-1]:
                self._fits("StreamAnswer", json.loads(line))
                assert ("suggestion" in json.loads(line)) != ("problem" in json.loads(line))
        else:
            name = responses[str(answer.status_code)]["content"][JSON]["schema"]["$ref"].rpartition("/")[2]
            self._fits(name, answer.json())

    def _fits(self, name: str, content: Any) -> None:
        if name not in self._made:
            schema = {"$ref": f"#/components/schemas/{name}", "components": self.components}
            self._made[name] = jsonschema.Draft202012Validator(schema)
        self._made[name].validate(content)


@pytest.mark.slow
def test_ten_thousand_bodies_are_answered_as_documented(answering: httpx.Client) -> None:
    judge, statuses = Judge(answering.get("/openapi.json").json()), Counter[int]()
    for number in range(BODIES):
        sent = random_request(Random(number))
        headers = {"Content-Type": sent.media_type.encode("latin-1")} if sent.media_type else {}
        headers |= {"Idempotency-Key": sent.key.encode()} if sent.key is not None else {}
        answer = answering.post(sent.path, content=sent.body, headers=headers)
        statuses[answer.status_code] += 1
        try:
            judge.judge(sent, answer)
        except (AssertionError, KeyError, ValueError, jsonschema.ValidationError) as error:
            body = base64.b64encode(sent.body).decode()
            pytest.fail(f"number {number}, {sent.path} {sent.media_type!r}: {answer.status_code} {error}\nbody {body}")
    assert answering.get("/readyz").status_code == 200
    assert {200, 413, 415, 422} & set(statuses) >= {200, 415, 422}
    assert statuses[200] > BODIES / 20  # it reaches the model too
