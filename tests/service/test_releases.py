"""Which release is served: none yet, the promoted one, the next one without a failed request, never a broken one."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from models.release import ONNX, current_version, promote, roll_back
from tests.waiting import soon
from tickets.workspace import Workspace, write_text

if TYPE_CHECKING:
    from tests.service.conftest import Connect, Service, Start

BODY = {"ticket": {"body": "Hello, I cannot sign in. What can I do?"}}


def version(client: httpx.Client) -> str | None:
    found: str | None = client.get("/v1/model").json().get("version")
    return found


def spoil(path: Path) -> bytes:
    """Change a file by replacing it: its other names keep the old content. Returns what it held."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-100] + b"x" * 100)
    return content


def test_without_a_release_each_request_says_what_to_do(
    start: Start, connect: Connect, workspace: Workspace, engine: sa.Engine
) -> None:
    with start(workspace, engine) as address, connect(address) as client:
        for answer in (client.post("/v1/suggestions", json=BODY), client.get("/v1/model"), client.get("/readyz")):
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) > 0
            assert "triage promote" in answer.json()["hint"]
        assert client.get("/livez").status_code == 200
        assert "No model is served yet" in client.get("/console").text


def test_the_first_promotion_is_taken_up_by_a_running_service(
    start: Start, connect: Connect, served: Workspace, engine: sa.Engine
) -> None:
    first = current_version(served)
    (served.releases / "current").unlink()
    with start(served, engine) as address, connect(address) as client:
        assert client.get("/readyz").status_code == 503
        promote(served, str(first))
        assert soon(lambda: client.get("/readyz").status_code == 200)
        assert client.post("/v1/suggestions", json=BODY).json()["model_version"] == first


def test_promotion_and_rollback_change_over_without_a_failed_request(
    service: Service, connect: Connect, second_version: str
) -> None:
    first = version(service.client)
    second = second_version
    statuses: Counter[int] = Counter()
    versions: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        with connect(service.address) as client:
            while not ended.is_set():
                answer = client.post("/v1/suggestions", json=BODY)
                statuses[answer.status_code] += 1
                versions.append(answer.json().get("model_version"))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        promote(service.workspace, second)
        assert soon(lambda: version(service.client) == second)
        roll_back(service.workspace)
        assert soon(lambda: version(service.client) == first)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert set(statuses) == {200}
    assert set(versions) == {first, second}


@pytest.mark.parametrize("broken", ["changed file", "missing folder", "nonsense"])
def test_a_broken_release_is_refused_and_the_one_before_goes_on(
    service: Service, second_version: str, broken: str
) -> None:
    first = version(service.client)
    second = second_version
    if broken == "changed file":
        promote(service.workspace, second)
        assert soon(lambda: version(service.client) == second)
        roll_back(service.workspace)
        assert soon(lambda: version(service.client) == first)
        spoil(service.workspace.releases / second / ONNX)
    with capture_logs() as told:
        write_text(service.workspace.releases / "current", f"{'../..' if broken == 'nonsense' else second}\n")
        assert soon(lambda: service.client.get("/v1/model").json()["refused"] is not None)
    (refusal,) = [line for line in told if line["event"] == "release refused"]
    assert refusal["kind"] and any(place.endswith(" load_suggester") for place in refusal["at"])
    model = service.client.get("/v1/model").json()
    assert model["version"] == first
    assert model["refused"]["reason"]
    assert service.client.post("/v1/suggestions", json=BODY).json()["model_version"] == first
    assert service.client.get("/readyz").status_code == 200


def test_a_pointer_that_is_no_text_leaves_the_service_running(service: Service, second_version: str) -> None:
    first = version(service.client)
    pointer = service.workspace.releases / "current"
    for content in (b"\xff\xfe\x00", b"x" * 5000):
        pointer.unlink()
        pointer.write_bytes(content)
        time.sleep(0.2)
        assert version(service.client) == first
    pointer.unlink()
    pointer.write_text(f"{first}\n")
    promote(service.workspace, second_version)
    assert soon(lambda: version(service.client) == second_version)


def test_a_release_that_was_mended_is_tried_again(
    start: Start, connect: Connect, served: Workspace, engine: sa.Engine
) -> None:
    release = served.releases / str(current_version(served))
    content = spoil(release / ONNX)
    with start(served, engine) as address, connect(address) as client:
        refused = client.get("/readyz")
        assert refused.status_code == 503
        assert ONNX in refused.json()["detail"]
        (release / ONNX).write_bytes(content)
        os.utime(release / "release.json")
        assert soon(lambda: client.get("/readyz").status_code == 200)
