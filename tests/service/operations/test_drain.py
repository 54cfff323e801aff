"""The end of a service process: nothing that was taken is lost, and it ends in time."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import sqlalchemy as sa

from service.app import create_app
from tickets.database import open_database, suggestions
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.operations.conftest import Process, Serve

TICKET = {"ticket": {"body": "I was charged twice and want my money back."}}


@dataclass
class Balancer:
    """Clients that send one request after another, as long as /readyz says that the process wants them."""

    process: Process
    ready: threading.Event = field(default_factory=threading.Event)
    statuses: list[int] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def send(self) -> None:
        with httpx.Client(base_url=self.process.address, timeout=20) as client:
            while self.ready.is_set():
                try:
                    self.statuses.append(client.post("/v1/suggestions", json=TICKET).status_code)
                except httpx.HTTPError as error:
                    self.faults.append(error)

    def probe(self) -> None:
        while self.ready.is_set():
            answer = httpx.get(f"{self.process.address}/readyz", timeout=20)
            if answer.status_code != 200:
                self.told.append(answer.json()["code"])
                self.ready.clear()
            time.sleep(0.05)


def test_under_load_no_request_is_lost_and_the_process_ends_with_zero(serve: Serve, served: Workspace) -> None:
    process = serve(TRIAGE_DRAIN_SECONDS="1")
    balancer = Balancer(process)
    balancer.ready.set()
    threads = [threading.Thread(target=work) for work in (*[balancer.send] * 4, balancer.probe)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    while len(balancer.statuses) < 20 and time.monotonic() < deadline:
        time.sleep(0.02)
    before = len(balancer.statuses)
    assert process.end() == 0
    for thread in threads:
        thread.join(timeout=20)
    assert balancer.told == ["draining"]
    assert balancer.faults == []
    assert set(balancer.statuses) == {200}
    assert len(balancer.statuses) > before, "requests were taken while it drained"
    engine = sa.create_engine(served.default_database_url)
    with engine.connect() as connection:
        kept = connection.scalar(sa.select(sa.func.count()).select_from(suggestions))
    engine.dispose()
    assert kept == len(balancer.statuses)


def test_while_it_drains_it_answers_and_asks_clients_to_hang_up(serve: Serve) -> None:
    process = serve(TRIAGE_DRAIN_SECONDS="30")
    process.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + 5
    while (answer := httpx.get(f"{process.address}/readyz")).status_code == 200 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert answer.status_code == 503
    assert answer.json()["code"] == "draining"
    assert int(answer.headers["retry-after"]) > 0
    answer = httpx.post(f"{process.address}/v1/suggestions", json=TICKET)
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"
    assert httpx.get(f"{process.address}/livez").status_code == 200

    started = time.monotonic()
    assert process.end(within=5) == -signal.SIGTERM, "the second signal ends it at once"
    assert time.monotonic() - started < 3


def test_without_a_grace_it_ends_at_once_and_with_zero(serve: Serve) -> None:
    process = serve()
    started = time.monotonic()
    assert process.end(signal.SIGINT) == 0
    assert time.monotonic() - started < 5


def test_work_that_no_request_waits_for_is_finished_before_the_end(workspace: Workspace) -> None:
    engine = open_database(workspace.default_database_url)
    app, ended = create_app(workspace, engine), []

    async def work() -> None:
        await asyncio.sleep(0.1)
        ended.append("finished")

    async def live() -> None:
        async with app.router.lifespan_context(app):
            app.state.serving.in_background(work())

    asyncio.run(live())
    engine.dispose()
    assert ended == ["finished"]
