"""A challenge is begun and ended by the command line: the timeline and the audit log say so."""

from __future__ import annotations

from models.release import promote
from tests.monitoring.conftest import make_release
from tickets import audit, monitor_log
from tickets.database import open_database
from tickets.workspace import Workspace
from triage import challenger
from triage.settings import Settings

FIRST, SECOND = "20260301-000000-aaaaaa", "20260316-020000-bbbbbb"


def test_a_challenge_that_begins_and_ends_is_told(workspace: Workspace) -> None:
    for version in (FIRST, SECOND):
        make_release(workspace, version)
    promote(workspace, FIRST)
    settings = Settings(workspace=workspace.root)
    assert challenger.begin(settings, SECOND, shadow=0.1, canary=0).version == SECOND
    under_way, report = challenger.compare(settings, since=None)
    assert under_way is not None
    assert (under_way.version, under_way.shadow) == (SECOND, 0.1)
    assert report.arms == ()  # there is no feedback yet
    assert challenger.end(settings) == under_way
    assert challenger.end(settings) is None
    engine = open_database(workspace.default_database_url)
    told = [(event.kind, event.model_version) for event in reversed(monitor_log.model_timeline(engine))]
    noted = [(entry.action, entry.target) for entry in audit.entries(engine)]
    engine.dispose()
    assert told == noted == [("challenge begun", SECOND), ("challenge ended", SECOND)]
