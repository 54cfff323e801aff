"""Health, metrics, request ids, headers, the database away, and what the log may not say."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import httpx
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

import service as package
from service.access.options import AccessOptions
from service.app import create_app, running
from service.problems import as_problem
from tests.service.conftest import OPTIONS
from tickets.errors import MachineError
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.conftest import Connect, Service, Start

BODY = {"ticket": {"body": "Hello, I cannot sign in. My name is Quetzalcoatl."}}
METRICS = {
    *("triage_predictions_total", "triage_inference_duration_seconds", "triage_batch_size", "triage_queue_depth"),
    *("triage_feedback_total", "triage_drift_score", "triage_model_info", "triage_job_last_success_timestamp_seconds"),
}


def test_health_says_alive_and_ready(answering: httpx.Client) -> None:
    assert answering.get("/livez").json() == {"status": "alive"}
    assert answering.get("/readyz").json() == {"status": "ready"}


def test_the_metrics_of_the_interface_are_there_and_count(service: Service) -> None:
    made = service.client.post("/v1/suggestions", json=BODY).json()
    service.client.post("/v1/feedback", json={"suggestion_id": made["suggestion_id"], "action": "ignored"})
    text = service.client.get("/metrics").text
    assert set(re.findall(r"^# HELP (\S+)", text, re.MULTILINE)) >= METRICS
    assert f'triage_model_info{{version="{made["model_version"]}"}} 1.0' in text
    assert 'triage_feedback_total{action="ignored"} 1.0' in text
    assert re.search(r"^triage_predictions_total\{.*\} 1.0$", text, re.MULTILINE)
    assert "triage_queue_depth 0.0" in text


def test_a_request_id_is_echoed_when_it_is_plain_and_made_otherwise(answering: httpx.Client) -> None:
    assert answering.get("/livez", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    for unfit in ("two words", "x" * 200, "a<script>"):
        made = answering.get("/livez", headers={"X-Request-ID": unfit}).headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_every_answer_carries_the_security_headers(answering: httpx.Client) -> None:
    for path in ("/console", "/v1/model", "/nowhere", "/static/triage.css"):
        headers = answering.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_no_page_asks_another_host_for_anything(answering: httpx.Client) -> None:
    for page in ("/console", "/console/tickets/new", "/labels", "/dashboard", "/docs"):
        text = answering.get(page).text
        addresses = re.findall(r'(?:src|href|action)="([^"]*)"', text)
        assert addresses
        assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in addresses)
        for address in {address for address in addresses if address.startswith("/static/")}:
            assert answering.get(address).status_code == 200, address


def test_vendored_files_are_the_ones_written_down() -> None:
    folder = Path(str(package.__file__)).parent / "static" / "vendor"
    written = dict(
        reversed(line.split()) for line in (folder / "README.md").read_text().splitlines() if line.startswith("    ")
    )
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.suffix in (".js", ".css")
    }
    assert found == written


def test_the_description_documents_problems(answering: httpx.Client) -> None:
    described = answering.get("/openapi.json").json()
    refused = described["paths"]["/v1/suggestions"]["post"]["responses"]["422"]
    assert refused["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    assert "hint" in described["components"]["schemas"]["Problem"]["properties"]


def test_with_the_database_away_suggestions_go_on_and_feedback_is_told_to_wait(served: Workspace) -> None:
    away = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    app = create_app(served, away, dataclasses.replace(OPTIONS, access=AccessOptions(require_keys=False)))
    with running(app) as address, httpx.Client(base_url=address, timeout=30) as client:
        feedback = {"suggestion_id": "any", "action": "ignored"}
        made = client.post("/v1/suggestions", json=BODY)
        assert made.status_code == 200
        of_it = {"suggestion_id": made.json()["suggestion_id"], "action": "ignored"}
        answers = [
            client.post("/v1/feedback", json=feedback, headers={"Idempotency-Key": "k"}),
            client.post("/v1/feedback", json=of_it),
            client.get("/console"),
        ]
        for answer in answers:
            assert answer.status_code == 503
            assert answer.json()["code"] == "database-unavailable"
            assert int(answer.headers["retry-after"]) > 0
        assert client.get("/livez").status_code == 200


def test_the_log_names_routes_and_never_what_customers_wrote(
    start: Start, connect: Connect, served: Workspace, engine: sa.Engine
) -> None:
    with capture_logs() as events, start(served, engine) as address, connect(address) as client:
        made = client.post("/v1/suggestions", json=BODY).json()
        client.get(f"/console/suggestions/{made['suggestion_id']}?note=Quetzalcoatl")
        client.post("/v1/suggestions", json={"ticket": {"body": ["Quetzalcoatl"]}})
        client.post("/console/tickets", data={"body": "Quetzalcoatl wants a refund"})
        client.get("/console")  # the suggestion is in the database now
        with engine.begin() as connection:  # a fault of ours: a row that no code of ours writes
            connection.execute(sa.text('UPDATE suggestions SET suggestion = \'{"of": "Quetzalcoatl"}\''))
        assert client.get(f"/console/suggestions/{made['suggestion_id']}").status_code == 500
    requests = [event for event in events if event["event"] == "request"]
    assert {event["route"] for event in requests} >= {"/v1/suggestions", "/console/suggestions/{suggestion_id}"}
    faults = [event for event in events if event["event"] == "unexpected error"]
    assert faults
    assert all(event["kind"] and event["at"] for event in faults)
    assert "Quetzalcoatl" not in str(events)


def test_a_fault_of_ours_is_a_problem_without_its_cause(service: Service) -> None:
    made = service.client.post("/v1/suggestions", json=BODY).json()
    service.settle()
    with service.engine.begin() as connection:
        connection.execute(sa.text('UPDATE suggestions SET ticket = \'{"of": "Quetzalcoatl"}\''))
    answer = service.client.post("/v1/feedback", json={"suggestion_id": made["suggestion_id"], "action": "ignored"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "Quetzalcoatl" not in answer.text


def test_the_log_says_what_failed_and_where_without_the_message() -> None:
    def refund() -> NoReturn:
        raise RuntimeError("Quetzalcoatl")

    with pytest.raises(RuntimeError) as raised:
        refund()
    with capture_logs() as told:
        assert as_problem(raised.value, retry_after=1.0).status_code == 500
    (line,) = told
    assert (line["event"], line["kind"]) == ("unexpected error", "RuntimeError")
    assert line["at"][-1].endswith(" refund")
    assert "Quetzalcoatl" not in str(line)


def test_a_port_that_is_taken_is_told(service: Service) -> None:
    app = create_app(service.workspace, service.engine)
    port = int(service.address.rpartition(":")[2])
    with pytest.raises(MachineError, match=f"cannot listen on 127.0.0.1:{port}"), running(app, port=port):
        pass


HEAVY = ("torch", "transformers", "pyspark", "mlflow", "evidently", "pandas")
SERVE_ONE = """
import sys, httpx, structlog
from pathlib import Path
from service.access.options import AccessOptions
from service.app import create_app, running
from tickets.database import open_database
from tickets.workspace import Workspace
structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
with running(create_app(Workspace.open(Path(sys.argv[1])), open_database("sqlite://"))) as address:
    print(httpx.get(address + "/readyz").status_code)
"""


def test_the_service_imports_no_training_library() -> None:
    code = f"import sys, service.app; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_loading_and_warming_a_release_imports_none_either(trained: Workspace) -> None:
    code = f"{SERVE_ONE}\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code, str(trained.root)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["200", "[]"]
