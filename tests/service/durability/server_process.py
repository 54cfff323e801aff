"""The service as a process of its own, to be killed and started again, and agents who work through it meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import sqlalchemy as sa

from tickets.database import feedback, suggestions
from tickets.workspace import Workspace

_BODIES = (
    "Hello, I cannot sign in. What can I do?",
    "Hi team, I was charged twice and want my money back. Thanks.",
    "Good morning, please send me the invoice. Best regards",
)
_READY_WITHIN = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass
class ServerProcess:
    """`triage serve` on a fixed port. `key` is sent by those who ask."""

    workspace: Workspace
    database_url: str
    key: str
    log: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=20, headers={"Authorization": f"Bearer {self.key}"})

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = [sys.executable, "-m", "triage", "serve", "-w", str(self.workspace.root), "--port", str(self.port)]
        environment = {**os.environ, "TRIAGE_DATABASE_URL": self.database_url}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + _READY_WITHIN
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")[-3000:]
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.address}/readyz").status_code == 200:
                    return
            time.sleep(0.02)
        raise AssertionError(self.log.read_text(encoding="utf-8")[-3000:])

    def end(self, with_signal: int = signal.SIGTERM) -> int:
        """Send it a signal and wait; its exit status."""
        assert self.process is not None
        self.process.send_signal(with_signal)
        return self.process.wait(30)


@dataclass
class Desk:
    """Agents who ask for suggestions and give feedback, and note what was acknowledged. A feedback that was not is sent
    again with its key, until it is."""

    server: ServerProcess
    shown: list[str] = field(default_factory=list)  # suggestions that were answered with 200
    acknowledged: list[str] = field(default_factory=list)  # feedback that was answered with 201 or 200
    refused: list[str] = field(default_factory=list)  # answers that should not be
    statuses: set[tuple[str, int]] = field(default_factory=set)
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def working(self, agents: int) -> Iterator[None]:
        """So many agents at work while the block lasts; at its end each finishes the ticket at hand."""
        threads = [threading.Thread(target=self._work) for _ in range(agents)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended.set()
            for thread in threads:
                thread.join(60)

    def goes_on(self) -> Callable[[], bool]:
        """Whether several more feedbacks have been acknowledged since now."""
        known = len(self.acknowledged)
        return lambda: len(self.acknowledged) > known + 5

    def _work(self) -> None:
        with self.server.client() as client:
            number = 0
            while not self._ended.is_set():
                number += 1
                suggestion_id = self._ask(client, number)
                if suggestion_id is not None:
                    self._answer(client, suggestion_id)

    def _ask(self, client: httpx.Client, number: int) -> str | None:
        try:
            answer = client.post("/v1/suggestions", json={"ticket": {"body": _BODIES[number % len(_BODIES)]}})
        except httpx.HTTPError:
            time.sleep(0.02)
            return None
        self.statuses.add(("suggestion", answer.status_code))
        if answer.status_code != 200:
            time.sleep(0.02)
            return None
        made: str = answer.json()["suggestion_id"]
        self.shown.append(made)
        return made

    def _answer(self, client: httpx.Client, suggestion_id: str) -> None:
        key = uuid.uuid4().hex
        deadline = time.monotonic() + 50
        while time.monotonic() < deadline:
            try:
                given = {"suggestion_id": suggestion_id, "action": "ignored"}
                answer = client.post("/v1/feedback", json=given, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                time.sleep(0.02)
                continue
            self.statuses.add(("feedback", answer.status_code))
            if answer.status_code in (200, 201):
                self.acknowledged.append(key)
                return
            if answer.status_code != 503:
                self.refused.append(answer.text)
                return
            time.sleep(0.05)
        self.refused.append(f"feedback {key} was never taken")


def missing_or_doubled(engine: sa.Engine, desk: Desk) -> tuple[set[str], set[str]]:
    """Acknowledged feedback, and suggestions that were shown, which the database lacks. (Doubled ones cannot be: their
    ids are primary keys; each acknowledged feedback is checked to belong to one suggestion.)"""
    with engine.connect() as connection:
        kept = connection.execute(sa.select(feedback.c.feedback_id, feedback.c.suggestion_id)).all()
        shown = set(connection.execute(sa.select(suggestions.c.suggestion_id)).scalars())
    ids = [row.feedback_id for row in kept]
    assert len(ids) == len(set(ids)) == len({row.suggestion_id for row in kept})
    return set(desk.acknowledged) - set(ids), set(desk.shown) - shown
