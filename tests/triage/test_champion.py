"""The change of champion: quarantine keeps failed models away, and a change that was killed halfway is finished by the
same call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from models import release
from models.config import TrainConfig
from models.quarantine import quarantine, quarantined
from tests.monitoring.conftest import make_release
from tickets import audit, monitor_log
from tickets.errors import ReleaseError
from tickets.monitor_log import Alarm
from tickets.night_record import NightRecord
from tickets.workspace import Workspace
from triage.champion import finish_roll_back, known_models, promote, roll_back
from triage.nightly import Night, probation
from triage.settings import Settings, TrackingSettings

FIRST, SECOND = "20260301-000000-aaaaaa", "20260316-020000-bbbbbb"
AT = datetime(2026, 3, 18, tzinfo=UTC)


@dataclass(frozen=True)
class Store:
    """A workspace in which the second of two models is served, and its database."""

    workspace: Workspace
    engine: sa.Engine

    def promote(self, version: str, *, force: bool = False) -> None:
        details = {"reasons": ["it won."]}
        promote(self.workspace, self.engine, version, details=details, tracking_uri="", force=force)

    def roll_back(self) -> str:
        return roll_back(self.workspace, self.engine, tracking_uri="", leave=SECOND, details={"reasons": ["worse."]})

    def served(self) -> str | None:
        return release.current_version(self.workspace)

    def kinds(self) -> list[str]:
        """What the timeline tells, oldest first."""
        return [event.kind for event in reversed(monitor_log.model_timeline(self.engine))]


@pytest.fixture
def store(workspace: Workspace, engine: sa.Engine) -> Store:
    made = Store(workspace, engine)
    for version in (FIRST, SECOND):
        make_release(workspace, version)
        made.promote(version)
    return made


def test_a_champion_that_is_rolled_back_goes_into_quarantine_and_its_alarms_are_closed(store: Store) -> None:
    alarm = Alarm(alarm_id="a", run_id="r", detector="text", severity="warning", message="", raised_at=AT)
    run = monitor_log.MonitorRun(
        run_id="r",
        as_of="2026-03-18",
        started_at=AT,
        seconds=1.0,
        model_version=SECOND,
        status="alarm",
        windows={},
        summary={},
    )
    monitor_log.record_run(store.engine, run, [], [alarm])
    assert store.roll_back() == FIRST
    assert store.served() == FIRST
    assert quarantined(store.workspace)[SECOND].reasons == ("worse.",)
    assert monitor_log.recent_alarms(store.engine, only_open=True) == []
    (event, *_) = monitor_log.model_timeline(store.engine)
    assert (event.kind, event.model_version, dict(event.details)) == (
        "rolled back",
        FIRST,
        {"from": SECOND, "reasons": ["worse."]},
    )


def test_a_model_in_quarantine_is_promoted_by_force_alone(store: Store) -> None:
    store.roll_back()
    with pytest.raises(ReleaseError, match=r"in quarantine since .*: worse\. .*--force"):
        store.promote(SECOND)
    assert store.served() == FIRST
    store.promote(SECOND, force=True)
    assert store.served() == SECOND
    assert quarantined(store.workspace) == {}
    assert monitor_log.model_timeline(store.engine)[0].details["forced"] is True


def test_quarantine_keeps_its_first_reason(workspace: Workspace) -> None:
    quarantine(workspace, "v1", reasons=["the gate refused it."], at=AT)
    quarantine(workspace, "v1", reasons=["again."], at=datetime(2026, 4, 1, tzinfo=UTC))
    assert str(quarantined(workspace)["v1"]) == "since 2026-03-18: the gate refused it."


def test_a_quarantine_file_that_cannot_be_read_stops_promotions(store: Store) -> None:
    (store.workspace.releases / "quarantine.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"quarantine\.json.*backup"):
        store.promote(FIRST)
    assert store.served() == SECOND


def test_a_promotion_killed_before_it_was_told_is_told_by_the_next_call(store: Store) -> None:
    third = "20260320-000000-cccccc"
    make_release(store.workspace, third)
    release.promote(store.workspace, third)  # as far as the killed one came
    for _ in range(2):
        store.promote(third)
    assert store.kinds() == ["promoted"] * 3
    assert [entry.target for entry in audit.entries(store.engine)] == [FIRST, SECOND, third]


def test_a_rollback_killed_before_it_was_told_goes_back_no_further(store: Store) -> None:
    third = "20260320-000000-cccccc"
    make_release(store.workspace, third)
    store.promote(third)
    release.roll_back(store.workspace)  # as far as the killed one came
    for _ in range(2):
        assert roll_back(store.workspace, store.engine, tracking_uri="", leave=third) == SECOND
    assert store.served() == SECOND
    assert store.kinds()[-2:] == ["promoted", "rolled back"]
    assert list(quarantined(store.workspace)) == [third]


def night_of(store: Store) -> Night:
    return Night(
        settings=Settings(workspace=store.workspace.root, tracking=TrackingSettings(sinks="none")),
        workspace=store.workspace,
        engine=store.engine,
        spark=lambda: pytest.fail("this step needs no Spark"),
        config=TrainConfig(),
        as_of=AT.date(),
        record=NightRecord.open(store.workspace, AT.date()),
        report=lambda _line: None,
        progress=lambda *_: None,
    )


def test_a_rollback_that_was_killed_is_finished_by_the_next_night(store: Store) -> None:
    night = night_of(store)
    night.record.begin("probation")
    release.roll_back(store.workspace)  # as far as the killed one came
    for _ in range(2):  # told already, it may lack MLflow's alias still
        night.record.begin("probation")
        assert probation(night).facts == {"served": FIRST}
    assert store.served() == FIRST
    assert list(quarantined(store.workspace)) == [SECOND]
    assert store.kinds() == ["promoted", "promoted", "rolled back"]
    assert monitor_log.model_timeline(store.engine)[0].details["as_of"] == AT.date().isoformat()
    assert [(entry.action, entry.target) for entry in audit.entries(store.engine)][-1] == ("rolled back", FIRST)


def test_a_rollback_by_hand_of_long_ago_is_not_finished_by_a_step_that_is_begun_twice(store: Store) -> None:
    store.roll_back()
    path = store.workspace.releases / "history.jsonl"
    *before, entry = path.read_text(encoding="utf-8").splitlines()
    long_ago = json.dumps(json.loads(entry) | {"at": "2026-03-18T09:00:00+00:00"})
    path.write_text("\n".join([*before, long_ago]) + "\n", encoding="utf-8")
    night = night_of(store)
    for _ in range(2):
        night.record.begin("probation")
        assert probation(night).summary == "no new champion to watch"


def test_a_rollback_that_came_to_its_end_is_not_finished_again(store: Store) -> None:
    def finish() -> str | None:
        return finish_roll_back(store.workspace, store.engine, tracking_uri="")

    assert finish() is None  # nothing was rolled back
    store.roll_back()
    assert finish() is None
    assert monitor_log.model_timeline(store.engine)[0].details["reasons"] == ["worse."]
    store.promote(SECOND, force=True)
    assert finish() is None
    assert store.served() == SECOND


def test_a_rollback_killed_after_the_quarantine_keeps_its_reasons(store: Store) -> None:
    release.roll_back(store.workspace)
    quarantine(store.workspace, SECOND, reasons=["worse."], at=AT)
    assert finish_roll_back(store.workspace, store.engine, tracking_uri="") == FIRST
    assert monitor_log.model_timeline(store.engine)[0].details["reasons"] == ["worse."]


def test_models_are_listed_with_what_became_of_them(store: Store, tmp_path: Path) -> None:
    make_release(store.workspace, "20260320-000000-cccccc")
    store.roll_back()
    states = {model.version: model.state for model in known_models(Settings(workspace=store.workspace.root))}
    assert states[FIRST] == "served"
    assert states[SECOND].startswith("in quarantine since 20")
    assert states["20260320-000000-cccccc"] == "trained"
