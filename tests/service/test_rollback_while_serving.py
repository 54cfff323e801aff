"""A night finds that agents accept less of the new champion: the one before is served again within seconds, and no
request fails meanwhile."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from models.config import TrainConfig
from models.quarantine import quarantined
from tests.logged import log_suggestions, suggested
from tickets import monitor_log
from tickets.database import feedback
from tickets.night_record import NightRecord
from triage.champion import promote
from triage.nightly import Night, probation
from triage.settings import Settings, TrackingSettings

if TYPE_CHECKING:
    from tests.service.conftest import Connect, Service

BODY = {"ticket": {"body": "Hello, I cannot sign in. What can I do?"}}


def test_a_champion_that_does_worse_is_replaced_in_seconds_without_a_failed_request(
    service: Service, connect: Connect, second_version: str, record_property: Callable[[str, object], None]
) -> None:
    first = service.client.get("/v1/model").json()["version"]
    now = datetime.now(UTC)
    promoted = now - timedelta(days=2)
    promote(service.workspace, service.engine, second_version, details={}, tracking_uri="", at=promoted)
    _until_served(service, second_version)
    _judged(service.engine, first, at=promoted - timedelta(days=1), accepted=170)
    _judged(service.engine, second_version, at=promoted + timedelta(hours=1), accepted=110)
    statuses, ended = Counter[int](), threading.Event()

    def ask() -> None:
        with connect(service.address) as client:
            while not ended.is_set():
                statuses[client.post("/v1/suggestions", json=BODY).status_code] += 1

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        began = time.monotonic()
        did = probation(_night(service, now))
        _until_served(service, first)
        seconds = time.monotonic() - began
    finally:
        ended.set()
        asking.join()
    assert f"{second_version} rolled back, {first} is served again" in did.summary
    record_property("rollback_seconds", round(seconds, 2))
    assert seconds < 10
    assert set(statuses) == {200}
    assert list(quarantined(service.workspace)) == [second_version]
    event = monitor_log.model_timeline(service.engine)[0]
    assert event.kind == "rolled back"
    assert event.details["figures"]["acceptance"]["tickets"] == 200
    assert probation(_night(service, now)).summary == "no new champion to watch"


def _night(service: Service, now: datetime) -> Night:
    def no_spark() -> None:
        raise AssertionError("a rollback waits for no Spark")

    record = NightRecord.open(service.workspace, now.date(), again=True)
    record.begin("probation")
    return Night(
        settings=Settings(workspace=service.workspace.root, tracking=TrackingSettings(sinks="none")),
        workspace=service.workspace,
        engine=service.engine,
        spark=no_spark,  # type: ignore[arg-type]
        config=TrainConfig(),
        as_of=now.date(),
        record=record,
        report=lambda _line: None,
        progress=lambda *_: None,
    )


def _until_served(service: Service, version: str) -> None:
    deadline = time.monotonic() + 15
    while service.client.get("/v1/model").json()["version"] != version:
        assert time.monotonic() < deadline, f"{version} is not served"
        time.sleep(0.02)


def _judged(engine: sa.Engine, version: str, *, at: datetime, accepted: int) -> None:
    """Two hundred judged suggestions of a model, so many of them accepted."""
    pairs, given = [], []
    for number in range(200):
        took, name = number < accepted, f"{version}-{number}"
        ticket, made = suggested(name, at=at, version=version, contact_type="refund" if took else "login")
        pairs.append((ticket, made))
        given.append(
            {
                "feedback_id": f"f-{name}",
                "suggestion_id": made.suggestion_id,
                "ticket_id": name,
                "action": "accepted" if took else "corrected",
                "at": at,
                "contact_type": "refund",
            }
        )
    log_suggestions(engine, pairs)
    with engine.begin() as connection:
        connection.execute(sa.insert(feedback), given)
