"""/v2: suggestions over the Open Inference Protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tickets.feedback_log import find_suggestion

if TYPE_CHECKING:
    from tests.service.conftest import Service

INFER = "/v2/models/triage/infer"
BODIES = ["I was charged twice and want my money back.", "My password does not work any more."]


def tensor(name: str, data: list[Any], shape: list[int] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape or [len(data)], "datatype": "BYTES", "data": data, **more}


def test_tickets_go_in_as_tensors_and_suggestions_come_out(service: Service) -> None:
    inputs = [
        tensor("ticket_id", ["K-1", ""]),
        tensor("body", [[body] for body in BODIES], [2, 1]),
        tensor("subject", ["Charged", ""]),
        tensor("attributes", ['{"city": "Lisbon"}', ""]),
    ]
    asked = {"id": "7", "inputs": inputs, "parameters": {"top_types": 2, "top_templates": 1, "unknown": [1]}}
    content = service.client.post(INFER, json=asked).raise_for_status().json()
    assert (content["id"], content["model_name"]) == ("7", "triage")
    outputs = {one["name"]: one for one in content["outputs"]}
    assert outputs["contact_types"]["shape"] == [2, 2]
    assert outputs["contact_types"]["data"][::2] == ["refund", "login"]
    assert outputs["probabilities"]["shape"] == [2, 2]
    assert outputs["templates"]["data"] == ["t-refund", "t-login"]
    assert outputs["scores"]["shape"] == [2, 1]
    assert outputs["abstained"]["datatype"] == "BOOL"
    service.settle()
    found = find_suggestion(service.engine, outputs["suggestion_id"]["data"][0])
    assert found is not None
    assert (found[0].ticket_id, found[0].subject, found[0].attributes) == ("K-1", "Charged", {"city": "Lisbon"})


def test_the_outputs_that_are_asked_for_come_in_that_order(answering: httpx.Client) -> None:
    asked = {"inputs": [tensor("body", BODIES)], "outputs": [{"name": "abstained"}, {"name": "templates"}]}
    content = answering.post(INFER, json=asked).json()
    assert [one["name"] for one in content["outputs"]] == ["abstained", "templates"]
    assert "id" not in content


def test_metadata_names_what_inference_takes_and_gives(answering: httpx.Client) -> None:
    assert answering.get("/v2").json()["extensions"] == []
    assert answering.get("/v2/health/live").json() == {"live": True}
    assert answering.get("/v2/health/ready").json() == {"live": True, "ready": True}
    described = answering.get("/v2/models/triage").json()
    (version,) = described["versions"]
    path = f"/v2/models/triage/versions/{version}"
    assert answering.get(path).json() == described
    assert answering.get(f"{path}/ready").json() == {"name": "triage", "ready": True}
    assert answering.get("/v2/models/triage/ready").json()["ready"]
    content = answering.post(f"{path}/infer", json={"inputs": [tensor("body", BODIES)]}).json()
    assert content["model_version"] == version
    shapes = {one["name"]: (one["datatype"], len(one["shape"])) for one in described["outputs"]}
    assert {one["name"]: (one["datatype"], len(one["shape"])) for one in content["outputs"]} == shapes


@pytest.mark.parametrize(
    ("asked", "pointer"),
    [
        ({"inputs": []}, "/inputs"),
        ({"inputs": [tensor("subject", ["x"])]}, "/inputs"),
        ({"inputs": [tensor("body", ["x"]), tensor("body", ["x"])]}, "/inputs"),
        ({"inputs": [tensor("text", ["x"])]}, "/inputs/0/name"),
        ({"inputs": [tensor("body", ["x"]) | {"datatype": "FP32"}]}, "/inputs/0/datatype"),
        ({"inputs": [tensor("body", ["x"], [2])]}, "/inputs/0/shape"),
        ({"inputs": [tensor("body", ["x", "y"], [1, 2])]}, "/inputs/0/shape"),
        ({"inputs": [tensor("body", ["x"] * 65)]}, "/inputs/0/shape"),
        ({"inputs": [tensor("body", [], [0])]}, "/inputs/0/shape"),
        ({"inputs": [tensor("body", ["x"]), tensor("channel", ["a", "b"])]}, "/inputs/1/shape"),
        ({"inputs": [tensor("body", ["refund", " "])]}, "/inputs/0/data/1"),
        ({"inputs": [tensor("body", ["x"]), tensor("ticket_id", ["a\0b"])]}, "/inputs/1/data/0"),
        ({"inputs": [tensor("body", ["x"]), tensor("attributes", ['{}, "body": "y"'])]}, "/inputs/1/data/0"),
        (
            {"inputs": [tensor("body", ["x"], parameters={"binary_data_size": 5})]},
            "/inputs/0/parameters/binary_data_size",
        ),
        (
            {"inputs": [tensor("body", ["x"])], "parameters": {"binary_data_output": True}},
            "/parameters/binary_data_output",
        ),
        ({"inputs": [tensor("body", ["x"])], "outputs": [{"name": "logits"}]}, "/outputs/0/name"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_in_the_words_of_both(
    answering: httpx.Client, asked: dict[str, Any], pointer: str
) -> None:
    answer = answering.post(INFER, json=asked)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["errors"][0]["pointer"] == pointer
    assert problem["error"] == problem["detail"]  # what the protocol wants


def test_other_models_versions_and_binary_tensors_are_refused(answering: httpx.Client) -> None:
    asked = {"inputs": [tensor("body", BODIES)]}
    for path in ("/v2/models/other/infer", "/v2/models/triage/versions/1/infer"):
        answer = answering.post(path, json=asked)
        assert answer.status_code == 404
        assert answer.json()["error"]
    answer = answering.post(INFER, json=asked, headers={"Inference-Header-Content-Length": "10"})
    assert (answer.status_code, answer.json()["code"]) == (415, "binary-tensors")
    assert answering.get("/v2/nothing").json()["error"]
