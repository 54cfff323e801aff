"""The description of the API is whole and true: every route told, every example real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

from service import examples


@pytest.fixture(scope="module")
def described(answering: httpx.Client) -> dict[str, Any]:
    content: dict[str, Any] = answering.get("/openapi.json").json()
    return content


def operations(described: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def check(described: dict[str, Any], schema: dict[str, Any], content: Any) -> None:
    """The schema's references are into the description itself."""
    jsonschema.Draft202012Validator({**schema, "components": described["components"]}).validate(content)


def resolved(described: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def test_every_operation_says_what_it_does_and_how_it_can_fail(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in names)
    tags = {tag["name"] for tag in described["tags"]}
    for method, path, operation in operations(described):
        assert operation["description"], path
        assert set(operation["tags"]) <= tags, path
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (path, parameter["name"])
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                (problem,) = answer["content"].items()
                assert problem[0] == "application/problem+json", (path, status)
                assert resolved(described, problem[1]["schema"])["title"] == "Problem"
        if method == "POST":
            assert {"413", "415", "422", "429", "503"} - {"413"} <= set(operation["responses"]), path


def test_every_example_of_an_answer_fits_its_schema(described: dict[str, Any]) -> None:
    for method, path, operation in operations(described):
        for status, answer in operation["responses"].items():
            content = answer.get("content", {}).get("application/json")
            if content is None:
                assert int(status) >= 400 or path in {"/metrics", "/v1/suggestions/stream"}, (method, path, status)
                continue
            given = [content["example"]] if "example" in content else resolved(described, content["schema"])["examples"]
            for example in given:
                check(described, content["schema"], example)


def test_every_example_of_a_request_gets_an_answer_as_described(
    answering: httpx.Client, described: dict[str, Any]
) -> None:
    tried = []
    for method, path, operation in operations(described):  # suggestions come before the feedback on them
        if "application/json" not in operation.get("requestBody", {}).get("content", {}):
            continue
        served = answering.get("/v1/model").json()["version"]
        address = path.replace("{model_name}", "triage").replace("{model_version}", served)
        headers = {"Idempotency-Key": examples.KEY} if path == "/v1/suggestions" else {}
        for example in resolved(described, operation["requestBody"]["content"]["application/json"]["schema"])[
            "examples"
        ]:
            answer = answering.request(method, address, json=example, headers=headers)
            assert answer.is_success, (path, answer.text)
            schema = operation["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
            check(described, schema, answer.json())
            tried.append(path)
    assert len(tried) == 5


def test_answers_have_the_members_of_their_examples(answering: httpx.Client, described: dict[str, Any]) -> None:
    for method, path, operation in operations(described):
        content = operation["responses"]["200"].get("content", {}).get("application/json", {})
        if method == "GET" and "{model_version}" not in path:
            answer = answering.get(path.replace("{model_name}", "triage"))
            check(described, content["schema"], answer.json()) if content else None
            example = content.get("example", {})
            assert set(example) <= set(answer.json() if example else {}), path


def test_the_example_of_a_stream_is_answered_as_its_example(answering: httpx.Client, described: dict[str, Any]) -> None:
    answer = answering.post(
        "/v1/suggestions/stream", content=examples.STREAM_REQUEST, headers={"Content-Type": "application/x-ndjson"}
    )
    lines, expected = answer.text.splitlines(), examples.STREAM_ANSWER.splitlines()
    assert len(lines) == len(expected) == 2
    for line, example in zip(lines, expected, strict=True):
        check(described, {"$ref": "#/components/schemas/StreamAnswer"}, json.loads(line))
        check(described, {"$ref": "#/components/schemas/StreamAnswer"}, json.loads(example))
        assert set(json.loads(line)) == set(json.loads(example))


def test_a_suggestion_is_answered_with_the_members_and_types_of_its_example(answering: httpx.Client) -> None:
    answer = answering.post("/v1/suggestions", json={"ticket": {"body": "I was charged twice."}}).json()
    assert list(answer) == list(examples.SUGGESTION)
    assert list(answer["contact_types"][0]) == list(examples.SUGGESTION["contact_types"][0])
    assert list(answer["similar"][0]) == list(examples.SUGGESTION["similar"][0])
