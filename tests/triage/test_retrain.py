"""What a challenger may start from, and what the gate may ask, given what the champion has seen."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.calibrate import Calibration
from models.confidence.limits import NEVER
from models.quarantine import quarantine
from models.release import Release
from tickets.errors import InputError
from tickets.workspace import Workspace
from triage.retrain import last_seen, starting_point


@pytest.fixture
def champion() -> Release:
    """Trained on tickets up to March 10, validated on those up to March 14."""
    return Release(
        folder=Path("models/v1"),
        version="v1",
        created_at="2026-03-20T00:00:00+00:00",
        tree_version=1,
        languages=("en",),
        max_tokens=128,
        calibration=Calibration(
            temperatures=(1.0,), high=NEVER, medium=NEVER, abstain_below=0.0, scope_center=1.0, scope_scale=1.0
        ),
        windows={
            "train": {"from": "2026-01-01T00:00:00+00:00", "to": "2026-03-10T22:00:00+00:00", "tickets": 900},
            "validation": {"from": "2026-03-11T00:00:00+00:00", "to": "2026-03-14T22:00:00+00:00", "tickets": 90},
        },
    )


def test_a_challenger_goes_on_from_a_champion_that_never_saw_the_held_out_days(
    workspace: Workspace, champion: Release
) -> None:
    assert starting_point(workspace, champion, date(2026, 3, 11)) == champion
    assert starting_point(workspace, champion, date(2026, 3, 10)) is None


def test_the_settings_may_ask_for_a_cold_start_or_insist_on_a_warm_one(workspace: Workspace, champion: Release) -> None:
    assert starting_point(workspace, champion, date(2026, 3, 11), "cold") is None
    assert starting_point(workspace, champion, date(2026, 3, 11), "warm") == champion
    with pytest.raises(InputError, match="learned from days now held out"):
        starting_point(workspace, champion, date(2026, 3, 10), "warm")


def test_nothing_is_trained_on_from_a_model_in_quarantine(workspace: Workspace, champion: Release) -> None:
    quarantine(workspace, "v1", reasons=["it did worse."], at=datetime(2026, 3, 20, tzinfo=UTC))
    assert starting_point(workspace, champion, date(2026, 3, 11)) is None
    with pytest.raises(InputError, match="is in quarantine"):
        starting_point(workspace, champion, date(2026, 3, 11), "warm")


def test_what_the_champion_was_validated_on_counts_as_seen_by_the_gate(champion: Release) -> None:
    assert last_seen(champion, "train", "validation") == datetime(2026, 3, 14, 22, tzinfo=UTC)
    assert last_seen(champion, "test") == datetime(1970, 1, 1, tzinfo=UTC)
