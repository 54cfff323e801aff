"""What a challenger may start from, and what the gate may ask, given what the champion has seen."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.calibrate import Calibration
from models.confidence.limits import NEVER
from models.release import Release
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


def test_a_challenger_goes_on_from_a_champion_that_never_saw_the_held_out_days(champion: Release) -> None:
    assert starting_point(champion, date(2026, 3, 11)) == Path("models/v1")
    assert starting_point(champion, date(2026, 3, 10)) is None


def test_what_the_champion_was_validated_on_counts_as_seen_by_the_gate(champion: Release) -> None:
    assert last_seen(champion, "train", "validation") == datetime(2026, 3, 14, 22, tzinfo=UTC)
    assert last_seen(champion, "test") == datetime(1970, 1, 1, tzinfo=UTC)
