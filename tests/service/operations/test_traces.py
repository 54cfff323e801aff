"""Traces reach a collector over OTLP/HTTP: whose they are, what is inside what, and never what customers wrote."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa

from service.access.options import AccessOptions
from service.app import create_app, running
from service.options import ServiceOptions
from service.traces import NO_TRACES, exported_traces
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.operations.conftest import Collector, Serve

TICKET = {"ticket": {"body": "Hello, I cannot sign in. My name is Quetzalcoatl."}}
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


def test_serve_sends_the_span_of_each_request_inside_the_clients_trace(serve: Serve, collector: Collector) -> None:
    process = serve(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_RESOURCE_ATTRIBUTES="team=support")
    answer = httpx.post(f"{process.address}/v1/suggestions?note=Quetzalcoatl", json=TICKET, headers=TRACEPARENT)
    assert answer.status_code == 200
    assert process.end() == 0, "spans that wait are sent before the process ends"
    span = collector.named("POST /v1/suggestions")
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
    attributes = {one.key: one.value for one in span.attributes}
    assert attributes["http.route"].string_value == "/v1/suggestions"
    assert attributes["http.response.status_code"].int_value == 200
    assert collector.resources[0]["service.name"] == "ticket-triage"
    assert collector.resources[0]["team"] == "support"
    assert f'"trace_id":"{TRACE}"' in process.log.read_text(encoding="utf-8")
    assert not any("readyz" in span.name for span in collector.spans)
    assert b"Quetzalcoatl" not in b"".join(collector.raw)


def test_the_services_name_is_the_operators(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "triage-eu")
    with exported_traces(collector.endpoint + "/") as traces, traces.span("work"):
        pass
    assert collector.resources[0]["service.name"] == "triage-eu"


def test_spans_stand_inside_the_request_also_from_another_thread(
    served: Workspace, sqlite_engine: sa.Engine, collector: Collector
) -> None:
    with exported_traces(collector.endpoint) as traces:
        app = create_app(served, sqlite_engine, ServiceOptions(traces=traces, access=AccessOptions(require_keys=False)))

        @app.get("/measured")
        async def measured() -> None:
            with traces.span("cleaning", tickets=2):
                pass
            parent, now = traces.here(), time.time_ns()
            thread = threading.Thread(target=lambda: traces.record("waiting", parent, now - 5_000_000, now, batch=3))
            thread.start()
            thread.join()
            with traces.span("keeping"):
                raise ValueError("Quetzalcoatl wants a refund")

        with running(app) as address:
            assert httpx.get(f"{address}/measured").status_code == 500
    request = collector.named("GET /measured")
    for name in ("cleaning", "waiting", "keeping"):
        span = collector.named(name)
        assert (span.trace_id, span.parent_span_id) == (request.trace_id, request.span_id)
    waiting, cleaning, keeping = (collector.named(name) for name in ("waiting", "cleaning", "keeping"))
    assert waiting.end_time_unix_nano - waiting.start_time_unix_nano == 5_000_000
    assert [(one.key, one.value.int_value) for one in cleaning.attributes] == [("tickets", 2)]
    assert [(one.key, one.value.string_value) for one in keeping.attributes] == [("error.type", "ValueError")]
    assert keeping.status.code == keeping.status.STATUS_CODE_ERROR
    assert b"Quetzalcoatl" not in b"".join(collector.raw)


def test_without_an_endpoint_nothing_is_sent_nor_imported() -> None:
    with exported_traces(None) as traces:
        assert traces is NO_TRACES
        with traces.span("cleaning"):
            assert traces.here() is None
        traces.record("waiting", traces.here(), 0, 1)
    code = "import sys, service.app; print([n for n in sys.modules if n.startswith('opentelemetry.sdk.trace')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_collector_that_is_away_costs_no_request_and_no_long_end(served: Workspace, sqlite_engine: sa.Engine) -> None:
    with (
        exported_traces("http://127.0.0.1:1") as traces,
        running(
            create_app(served, sqlite_engine, ServiceOptions(traces=traces, access=AccessOptions(require_keys=False)))
        ) as address,
    ):
        assert httpx.post(f"{address}/v1/suggestions", json=TICKET).status_code == 200
        ended = time.monotonic()
    assert time.monotonic() - ended < 5
