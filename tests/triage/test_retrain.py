"""What a challenger may start from, and what the gate may ask, given what the champion has seen."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from models.calibrate import Calibration
from models.confidence.limits import NEVER
from models.config import TrainConfig
from models.quarantine import quarantine, quarantined
from models.release import Release, promote, roll_back
from monitoring.gate import GateResult
from monitoring.windows import newest_ticket
from tests.monitoring.conftest import make_release
from tickets.errors import InputError
from tickets.monitor_log import ALL, model_timeline
from tickets.workspace import Workspace
from triage import unfinished
from triage.retrain import settle, starting_point, still_holds


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
    assert newest_ticket(champion, "train", "validation") == datetime(2026, 3, 14, 22, tzinfo=UTC)
    assert newest_ticket(champion, "test") == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_challenger_is_not_promoted_over_a_champion_that_it_has_not_met(workspace: Workspace) -> None:
    first, met, challenger = (make_release(workspace, f"2026030{day}-000000-aaaaaa") for day in (1, 2, 3))
    won = GateResult(True, ("it won.",), {"tickets": 500, "difference": 0.1})
    promote(workspace, first.version)
    promote(workspace, met.version)
    assert still_holds(workspace, met, challenger, won) == won
    roll_back(workspace)  # by hand, while the challenger was trained
    refused = still_holds(workspace, met, challenger, won)
    assert (refused.promote, refused.judged) == (False, False)
    assert refused.reasons == (
        f"it won against {met.version}, but {first.version} is served since, which it has not met.",
    )
    promote(workspace, challenger.version)  # by an earlier run, which was killed then
    assert still_holds(workspace, met, challenger, won) == won
    lost = GateResult(False, ("it lost.",), {"tickets": 500, "difference": -0.1})
    assert still_holds(workspace, first, met, lost) == lost


@pytest.mark.parametrize("judged", [True, False], ids=["judged", "too few tickets to judge"])
def test_only_a_challenger_that_was_judged_has_failed(workspace: Workspace, engine: sa.Engine, judged: bool) -> None:
    champion, challenger = (make_release(workspace, f"2026030{day}-000000-aaaaaa") for day in (1, 2))
    promote(workspace, champion.version)
    lost = GateResult(False, ("not now.",), {"tickets": 50} | ({"difference": -0.1} if judged else {}))
    at = datetime(2026, 3, 20, tzinfo=UTC)
    settle(workspace, engine, champion, challenger, lost, as_of=at.date(), at=at, tracking_uri="")
    (event,) = model_timeline(engine, limit=ALL)
    assert (event.kind, event.details["judged"]) == ("rejected", judged)
    assert (challenger.version in quarantined(workspace)) is judged


def test_a_retraining_that_ended_is_told_again_to_the_night_that_asked_for_it_alone(workspace: Workspace) -> None:
    day, night = date(2026, 3, 20), "2026-03-21T01:30:00+00:00"
    served = make_release(workspace)
    promote(workspace, served.version)

    def begin(asked_by: str) -> unfinished.Retraining:
        return unfinished.begin(
            workspace, as_of=day, champion=served, initial=None, config=TrainConfig(), asked_by=asked_by
        )

    by_hand = begin("")
    assert unfinished.unfinished(workspace, day, asked_by=night) == by_hand  # what was killed goes on in any case
    unfinished.end(workspace, by_hand)
    assert unfinished.unfinished(workspace, day, asked_by=night) is None
    assert unfinished.unfinished(workspace, day) is None
    unfinished.end(workspace, begin(night), asked_by=night)
    found = unfinished.unfinished(workspace, day, asked_by=night)
    assert found is not None
    assert found.ended
    assert unfinished.unfinished(workspace, day, asked_by="2026-03-21T09:00:00+00:00") is None  # that night once more
    assert unfinished.unfinished(workspace, date(2026, 3, 21), asked_by=night) is None
