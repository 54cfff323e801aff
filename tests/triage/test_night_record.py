"""The order of a night's steps and its record: each is done once, and a night that stopped goes on where it did."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from models.config import TrainConfig
from tickets.errors import InputError, MachineError, WorkspaceError
from tickets.last_night import LastNight, last_night
from tickets.night_record import NightRecord, last_whole_night, unfinished_nights
from tickets.workspace import Workspace
from triage.cli import app
from triage.nightly import STEPS, Did, Night, NightStep, run_nightly, run_steps
from triage.options import day_of
from triage.settings import Settings

DAY = dt.date(2026, 3, 9)


@pytest.fixture
def night(workspace: Workspace) -> Callable[..., Night]:
    """A night of DAY as a process begins it: what earlier ones recorded is there, what they held in memory is not."""

    def begin(said: list[str] | None = None, *, again: bool = False) -> Night:
        return Night(
            settings=Settings(workspace=workspace.root),
            workspace=workspace,
            engine=sa.create_engine("sqlite://"),
            spark=lambda: pytest.fail("no step here needs Spark"),
            config=TrainConfig(),
            as_of=DAY,
            record=NightRecord.open(workspace, DAY, again=again),
            report=(said if said is not None else []).append,
            progress=lambda *_: None,
        )

    return begin


def steps(did: list[str], *names: str, fails: Exception | None = None) -> Sequence[NightStep]:
    """Steps that note their names; the last one fails when it is told to."""

    def make(name: str) -> NightStep:
        def run(night: Night) -> Did:
            did.append(name)
            if fails is not None and name == names[-1]:
                raise fails
            return Did(f"{name} is well", {"seen": len(night.record.steps)})

        return NightStep(name, run)

    return [make(name) for name in names]


def test_a_night_goes_on_with_the_step_that_failed(night: Callable[..., Night], workspace: Workspace) -> None:
    did: list[str] = []
    full = MachineError("the disk is full.", hint="Free some space.")
    with pytest.raises(MachineError):
        run_steps(night(), steps(did, "one", "two", fails=full))
    left = NightRecord.open(workspace, DAY)
    assert (left.state, left.steps["one"].state, left.steps["two"].state) == ("failed", "done", "failed")
    assert left.steps["two"].error == "MachineError: the disk is full. Free some space."
    said: list[str] = []
    run_steps(night(said), steps(did, "one", "two", "three"))
    assert did == ["one", "two", "two", "three"]
    assert said == ["one: done already"]
    done = NightRecord.open(workspace, DAY)
    assert (done.state, done.steps["two"].attempts, done.steps["two"].summary) == ("done", 2, "two is well")
    assert done.facts("three") == {"seen": 3}


def test_what_an_unforeseen_error_said_is_not_kept(night: Callable[..., Night], workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="my card number"):
        run_steps(night(), steps([], "one", fails=ValueError("cannot read 'my card number is'")))
    kept = workspace.root / "nightly" / f"{DAY}.json"
    assert json.loads(kept.read_text(encoding="utf-8"))["steps"]["one"]["error"] == "ValueError"


def test_a_night_that_is_done_is_done_again_only_when_asked(night: Callable[..., Night]) -> None:
    did: list[str] = []
    for again in (False, False, True):
        run_steps(night(again=again), steps(did, "one"))
    assert did == ["one", "one"]


def test_a_step_that_was_added_is_done_where_the_others_are_done_already(night: Callable[..., Night]) -> None:
    did: list[str] = []
    run_steps(night(), steps(did, "one", "three"))
    run_steps(night(), steps(did, "one", "two", "three"))
    assert did == ["one", "three", "two"]


def test_nights_that_did_not_end_are_found(workspace: Workspace, night: Callable[..., Night]) -> None:
    with pytest.raises(ValueError, match="x"):
        run_steps(night(), steps([], "one", fails=ValueError("x")))
    (workspace.root / "nightly" / "2026-03-01.json").write_text("{", encoding="utf-8")
    assert [left.as_of for left in unfinished_nights(workspace, DAY + dt.timedelta(days=1))] == ["2026-03-09"]
    assert unfinished_nights(workspace, DAY) == []


def test_a_night_of_a_day_that_has_not_come_is_refused(workspace: Workspace) -> None:
    today = dt.datetime.now(dt.UTC).date()
    # Two days ahead: this test may run over midnight.
    for command, day in product(("nightly", "monitor", "score"), (today + dt.timedelta(days=2), dt.date(2962, 3, 1))):
        said = CliRunner().invoke(app, [command, "--as-of", day.isoformat(), "-w", str(workspace.root)])
        assert isinstance(said.exception, InputError)
        assert f"{day} has not come yet" in str(said.exception)
    assert last_night(workspace.root) is None
    assert day_of(dt.datetime(2962, 3, 1, tzinfo=dt.UTC), ahead=True) == dt.date(2962, 3, 1)


def test_a_night_begun_before_its_day_was_over_is_done_once_more_by_the_next_run(workspace: Workspace) -> None:
    did: list[str] = []
    said: list[str] = []

    def run() -> NightRecord:
        run_nightly(
            Settings(workspace=workspace.root),
            TrainConfig(),
            as_of=DAY,
            report=said.append,
            progress=lambda *_: None,
            steps=steps(did, "one"),
        )
        return NightRecord.open(workspace, DAY)

    record = run()
    early = json.dumps(record.to_json()).replace(record.steps["one"].began, f"{DAY}T20:00:00+00:00")
    record.path.write_text(early, encoding="utf-8")
    run()
    assert did == ["one", "one"]
    assert f"the night of {DAY} was begun before that day was over; it is done from the start" in said
    run()
    assert did == ["one", "one"]


def test_whether_a_night_was_begun_early_is_asked_once_its_day_is_over(workspace: Workspace) -> None:
    record = NightRecord.open(workspace, DAY)
    record.begin("monitor")
    record.end("monitor", "quiet", 1.0, {})
    record.finish()
    over = dt.datetime(2026, 3, 10, tzinfo=dt.UTC)
    assert not record.began_early(over)  # it began long after that day
    moment = dt.timedelta(seconds=1)
    early = replace(record.steps["monitor"], began=(over - moment).isoformat())
    record.steps |= {"monitor": early, "retrain": replace(early, began=over.isoformat())}
    assert record.began_early(over)
    assert not record.began_early(over - moment)  # the day goes on: what is done is done
    record.steps["monitor"] = replace(early, began=over.isoformat())
    assert not record.began_early(over)


def test_a_record_that_cannot_be_read_says_what_to_do(workspace: Workspace, night: Callable[..., Night]) -> None:
    path = workspace.root / "nightly" / f"{DAY}.json"
    path.parent.mkdir()
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="--again"):
        night()
    run_steps(night(again=True), steps([], "one"))
    assert NightRecord.open(workspace, DAY).state == "done"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"began": "yesterday"}, {}),
        ({"began": 5}, {}),
        ({"began": "2026-03-10T02:00:00"}, {}),
        ({"began": "2026-03-10T02:00:00"}, {"began": "2026-03-10T02:00:00+00:00"}),
        ({"began": "2026-03-10T02:00:00+00:00", "seconds": "many"}, {}),
        ({"began": "2026-03-10T02:00:00+00:00", "seconds": 1e300}, {}),
    ],
    ids=["no time", "a number", "no zone", "a zone in one alone", "seconds that are no number", "too many seconds"],
)
def test_a_record_whose_times_say_nothing_is_passed_over_like_any_that_cannot_be_read(
    workspace: Workspace, first: dict[str, object], second: dict[str, object]
) -> None:
    path = workspace.root / "nightly" / f"{DAY}.json"
    path.parent.mkdir()
    steps = {"one": {"state": "done", **first}, "two": {"state": "done", **second}}
    path.write_text(json.dumps({"as_of": str(DAY), "state": "done", "steps": steps}), encoding="utf-8")
    with pytest.raises(WorkspaceError, match="--again"):
        NightRecord.open(workspace, DAY)
    assert last_whole_night(workspace) is None
    assert last_night(workspace.root) == LastNight(str(DAY), "unreadable")


@pytest.mark.parametrize(
    "strange", [{"as_of": "x"}, {"as_of": None}, {"state": "done?"}, {"steps": {"one": {"new": 1}}}]
)
def test_a_record_of_another_night_or_make_is_read_by_nobody(workspace: Workspace, strange: dict[str, object]) -> None:
    path = workspace.root / "nightly" / f"{DAY}.json"
    path.parent.mkdir()
    sound = {"as_of": str(DAY), "state": "done", "steps": {"one": {"state": "done"}}}
    path.write_text(json.dumps(sound), encoding="utf-8")
    assert NightRecord.open(workspace, DAY).done("one")
    assert last_night(workspace.root) == LastNight(str(DAY), "done")
    path.write_text(json.dumps(sound | strange), encoding="utf-8")
    with pytest.raises(WorkspaceError, match="--again"):
        NightRecord.open(workspace, DAY)
    assert last_night(workspace.root) == LastNight(str(DAY), "unreadable")


def test_a_step_that_is_tried_again_tells_when_it_was_begun_first(workspace: Workspace) -> None:
    record = NightRecord.open(workspace, DAY)
    record.begin("retrain")
    first = record.steps["retrain"].first
    assert first == record.steps["retrain"].began != ""
    record.fail("retrain", MachineError("the disk is full."), 1.0)
    earlier = replace(record.steps["retrain"], first="2026-03-10T01:30:00+00:00")
    record.steps["retrain"] = earlier
    record.begin("retrain")
    again = NightRecord.open(workspace, DAY).steps["retrain"]
    assert (again.first, again.attempts) == (earlier.first, 2)
    assert again.began != again.first


def test_each_step_has_a_name_of_its_own_and_the_retraining_comes_after_the_decision() -> None:
    names = [step.name for step in STEPS]
    assert len(set(names)) == len(names)
    assert names.index("take up") < names.index("monitor") < names.index("retrain")
