"""`triage serve` as a process of its own, and a collector of traces on loopback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tickets.database import open_database
from tickets.workspace import Workspace

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database, where it is no matter which kind it is of."""
    engine = open_database(f"sqlite:///{tmp_path / 'one.db'}")
    yield engine
    engine.dispose()


@dataclass
class Process:
    """`triage serve`, its address, and what it wrote to standard error once it has ended."""

    process: subprocess.Popen[str]
    address: str
    log: Path

    def end(self, sent: signal.Signals = signal.SIGTERM, *, within: float = 15) -> int:
        self.process.send_signal(sent)
        return self.process.wait(timeout=within)


Serve = Callable[..., Process]


@pytest.fixture
def serve(served: Workspace, tmp_path: Path) -> Iterator[Serve]:
    """Start `triage serve` on a free port with these variables; killed at the end of the test if it still runs."""
    started: list[Process] = []

    def start(**variables: str) -> Process:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = tmp_path / f"serve-{port}.log"
        given = {name: value for name, value in os.environ.items() if not name.startswith(("TRIAGE_", "OTEL_"))}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "triage", "serve", "-w", str(served.root), "--port", str(port)],
                cwd=ROOT,
                env={**given, "TRIAGE_ACCESS__REQUIRE_KEYS": "false", **variables},
                stdout=subprocess.DEVNULL,
                stderr=file,
                text=True,
            )
        made = Process(process, f"http://127.0.0.1:{port}", log)
        started.append(made)
        _wait_until_ready(made)
        return made

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait(timeout=5)


def _wait_until_ready(made: Process) -> None:
    for _ in range(300):
        assert made.process.poll() is None, made.log.read_text(encoding="utf-8")
        try:
            if httpx.get(f"{made.address}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(made.log.read_text(encoding="utf-8"))


@dataclass
class Collector:
    """An OTLP/HTTP receiver: the spans it was sent."""

    endpoint: str
    spans: list[Any] = field(default_factory=list)
    resources: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)

    def named(self, name: str) -> Any:
        (found,) = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    received = Collector("")

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v1/traces"
            received.raw.append(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                received.resources.append({one.key: one.value.string_value for one in resource.resource.attributes})
                received.spans.extend(span for scope in resource.scope_spans for span in scope.spans)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *said: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    received.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield received
    server.shutdown()
    server.server_close()
