"""What is too old goes with the night, and what somebody still needs stays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from models.challenger import begin_challenge
from models.config import TrainConfig
from models.release import promote
from tests.monitoring.conftest import make_release
from tickets import audit
from tickets.database import open_database
from tickets.night_record import NightRecord
from tickets.workspace import Workspace
from triage.nightly import STEPS, Night, run_steps
from triage.settings import RetentionSettings, Settings

NOW = date(2026, 9, 1)
VERSIONS = [f"2026030{number}-000000-aaaaa{number}" for number in range(1, 6)]  # all made in March


@pytest.fixture
def night(workspace: Workspace) -> Callable[[RetentionSettings], Night]:
    def begin(policy: RetentionSettings) -> Night:
        return Night(
            settings=Settings(workspace=workspace.root, retention=policy),
            workspace=workspace,
            engine=open_database(workspace.default_database_url),
            spark=lambda: pytest.fail("nothing here needs Spark"),
            config=TrainConfig(),
            as_of=NOW,
            record=NightRecord.open(workspace, NOW, again=True),
            report=lambda _: None,
            progress=lambda *_: None,
        )

    return begin


def retained(night: Night) -> str:
    """Do the night's last step; the line it says."""
    run_steps(night, STEPS[-1:])
    night.engine.dispose()
    return night.record.steps["retain"].summary


def test_a_night_ends_with_what_is_too_old_gone(
    workspace: Workspace, night: Callable[[RetentionSettings], Night]
) -> None:
    workspace.reports.mkdir()
    for day in ("2026-01-01", "2026-08-31"):
        (workspace.reports / f"{day}-m1.json").write_text("{}")
    tonight = night(RetentionSettings(reports=0, audit=0))
    for days in (10, 800):
        at = datetime.combine(NOW - timedelta(days=days), datetime.min.time(), UTC)
        audit.record(tonight.engine, at=at, actor="ana", action="signed in")
    assert retained(tonight) == "nothing is too old"  # 0 keeps for ever

    tonight, told = night(RetentionSettings()), list[str]()
    tonight.report = told.append
    said = retained(tonight)

    assert told == ["retain: reports/2026-01-01-m1.json is gone"]
    assert said == "gone, for they were too old: reports/2026-01-01-m1.json, 1 rows of audit_log"
    assert [path.name for path in workspace.reports.iterdir()] == ["2026-08-31-m1.json"]


def test_the_champion_those_before_it_and_the_challenger_beside_it_stay(
    workspace: Workspace, night: Callable[[RetentionSettings], Night]
) -> None:
    for version in VERSIONS:
        make_release(workspace, version)
    challenger, oldest, before, champion, newest = VERSIONS
    for version in (oldest, before, champion):
        promote(workspace, version)
    begin_challenge(workspace, challenger, shadow=0.5, canary=0)

    retained(night(RetentionSettings(releases_kept=1)))

    kept = {challenger, before, champion}
    assert {path.name for path in workspace.models.iterdir()} == kept | {newest}
    assert {path.parent.name for path in workspace.releases.glob("*/release.json")} == kept
