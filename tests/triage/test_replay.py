"""A small history lived through under several policies: what each pays in labels, what it gains, what it leaves."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from models.config import TrainConfig
from tickets.database import feedback, labels, open_database, suggestions
from tickets.errors import InputError, WorkspaceError
from tickets.monitor_log import model_timeline, recent_runs
from tickets.tables import BACKLOG, LABELS, OUTCOMES, QUARANTINE, RAW, TICKETS
from tickets.workspace import Workspace
from triage.replay import steps
from triage.replay.history import History, in_force, simulated_history, workspace_history
from triage.replay.kept import begun, find_life, key_of
from triage.replay.policies import (
    ALARM_DRIVEN,
    ALL_LABELS,
    FIXED_INTERVAL,
    NEVER,
    POLICIES,
    QUICK,
    ReplayPlan,
    ReplayPolicy,
    policies_named,
)
from triage.replay.record import Lived, LivedDay, ReplayResult
from triage.replay.report import HEADINGS, table, write_replay
from triage.replay.run import replay
from triage.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LEARN, LIVE, PER_DAY = 7, 8, 25


@dataclass(frozen=True)
class Ran:
    folder: Path
    history: History
    plan: ReplayPlan
    policies: tuple[ReplayPolicy, ...]
    result: ReplayResult
    said: list[str]

    def lived(self, policy: str) -> Lived:
        return next(one for one in self.result.policies if one.policy == policy)

    @contextmanager
    def left(self, policy: str) -> Iterator[tuple[Workspace, sa.Engine]]:
        """The workspace that a policy left, and its database."""
        workspace = Workspace.open(self.folder / policy.replace(" ", "-"))
        engine = open_database(workspace.default_database_url)
        try:
            yield workspace, engine
        finally:
            engine.dispose()


@pytest.fixture(scope="module")
def history() -> History:
    return simulated_history(learn_days=LEARN, live_days=LIVE, tickets_per_day=PER_DAY)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, history: History, spark: SparkSession, small_encoder: Path) -> Ran:
    """All four policies, the fixed interval a week long, and a model that is small and knows little."""
    folder, said = tmp_path_factory.mktemp("replay") / "replay", []
    config = TrainConfig(encoder=str(small_encoder), max_tokens=64, epochs=1)
    plan = ReplayPlan(
        learn_days=LEARN,
        live_days=LIVE,
        tickets_per_day=PER_DAY,
        training=config,
        retraining=config,
        validation_days=2,
        gate_days=2,
        batch_every=8,
    )
    asks = replace(ALARM_DRIVEN, night=replace(ALARM_DRIVEN.night, label_budget=3, permutations=199), nights_every=5)
    weekly = replace(FIXED_INTERVAL, night=replace(FIXED_INTERVAL.night, retrain_every_days=7))
    policies = (NEVER, weekly, asks, ALL_LABELS)
    result = replay(folder, history, policies, plan, spark=spark, report=said.append, progress=lambda *_: None)
    return Ran(folder, history, plan, policies, result, said)


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def live_tickets(history: History, days: int = LIVE) -> int:
    return sum(len(day.tickets) for day in history.days[LEARN : LEARN + days])


@pytest.mark.slow
def test_every_policy_meets_every_ticket_and_keeps_every_feedback(ran: Ran) -> None:
    for lived in ran.result.policies:
        assert lived.tickets == live_tickets(ran.history)
        with ran.left(lived.policy) as (_, engine):
            assert count(engine, suggestions) == count(engine, feedback) == lived.tickets


@pytest.mark.slow
def test_labels_are_counted_as_people_answered_them(ran: Ran) -> None:
    for lived in ran.result.policies:
        with ran.left(lived.policy) as (_, engine):
            assert count(engine, labels) == lived.labels
    assert ran.lived("never").labels == 0
    assert ran.lived("alarm-driven").labels == 3 * 2  # three a night, on the 5th and the last
    # The training falls on the 7th evening; what comes after it, nobody labels for it.
    assert ran.lived("fixed interval").labels == live_tickets(ran.history, days=7)
    assert ran.lived("all labels").labels == live_tickets(ran.history)


@pytest.mark.slow
def test_policies_answer_alike_until_one_of_them_has_a_new_champion(ran: Ran) -> None:
    first_week = {lived.policy: [day.right for day in lived.days[:7]] for lived in ran.result.policies}
    assert len({tuple(days) for days in first_week.values()}) == 1
    never, scheduled_one = ran.lived("never"), ran.lived("fixed interval")
    assert (never.trainings, never.promotions) == (0, 0)
    assert len({day.model_version for day in never.days}) == 1
    assert scheduled_one.trainings == 1
    assert len({day.model_version for day in scheduled_one.days}) == 1 + scheduled_one.promotions


@pytest.mark.slow
def test_the_real_jobs_ran_on_the_clock_of_the_history(ran: Ran) -> None:
    days = {day.day for day in ran.history.days[LEARN:]}
    with ran.left("fixed interval") as (workspace, engine):
        assert {event.at.date() for event in model_timeline(engine)} <= days | {ran.history.days[LEARN - 1].day}
        assert {dt.date.fromisoformat(run.as_of) for run in recent_runs(engine)} <= days
        assert workspace.read(RAW).num_rows == workspace.read(TICKETS).num_rows + workspace.read(QUARANTINE).num_rows
        assert workspace.read(LABELS).num_rows == count(engine, labels)
        by_labelers = workspace.read(OUTCOMES)["source"].to_pylist().count("labeler")
        assert by_labelers > 0.9 * live_tickets(ran.history, days=7)
    with ran.left("never") as (workspace, _):
        assert workspace.read(BACKLOG).num_rows > 0  # tickets that agents ignored are open, and are scored


@pytest.mark.slow
def test_a_workspace_s_own_history_can_be_lived_again(ran: Ran) -> None:
    with ran.left("all labels") as (workspace, _):
        own = workspace_history(workspace, learn_days=5, tickets_per_day=40)
    assert [len(day.tickets) for day in own.days[:-1]] == [40] * (len(own.days) - 1)
    times = [one.ticket.created_at for day in own.days for one in day.tickets]
    assert times == sorted(times)
    for day in own.days:
        tree = in_force(own.catalogues, day.day).tree
        assert all(one.true_contact_type in tree and one.outcome.contact_type in tree for one in day.tickets)
    learned = [one for day in own.days[:5] for one in day.tickets]
    assert all(one.outcome.contact_type == one.true_contact_type for one in learned)
    with ran.left("all labels") as (workspace, _), pytest.raises(InputError, match="nothing is left to replay"):
        workspace_history(workspace, learn_days=400)


@pytest.mark.slow
def test_table_picture_and_figures_are_written(ran: Ran, tmp_path: Path) -> None:
    page = write_replay(ran.result, tmp_path)
    told = json.loads((tmp_path / "replay.json").read_text(encoding="utf-8"))
    assert told["share_of_fixed_interval_labels"] == pytest.approx(6 / live_tickets(ran.history, days=7))
    for policy in told["policies"]:
        right = sum(week["accuracy"] * week["tickets"] for week in policy["weeks"])
        assert right == pytest.approx(policy["accuracy"] * policy["tickets"])
        assert policy["weeks"][-1]["labels"] == policy["labels"]
    written = page.read_text(encoding="utf-8")
    for row in table(ran.result):
        assert len(row) == len(HEADINGS)
        assert f"<td>{row[0]}</td><td>{row[1]}</td>" in written
    picture = (tmp_path / "replay.svg").read_text(encoding="utf-8")
    assert picture.startswith("<?xml")
    assert len(re.findall("<path", picture)) > 2 * len(ran.result.policies)


@pytest.mark.slow
def test_what_was_lived_to_its_end_is_not_lived_again(ran: Ran, spark: SparkSession) -> None:
    def say(_line: str) -> None:
        """Nobody asks."""

    again = replay(ran.folder, ran.history, ran.policies, ran.plan, spark=spark, report=say, progress=lambda *_: None)
    assert again == ran.result  # the minutes too: they are those of the life
    never = ran.policies[0]
    assert find_life(ran.folder / "never", replace(never, nights_every=1)) is None
    assert find_life(ran.folder / "beginning", never) is None
    assert begun(ran.folder, key_of(ran.history, ran.plan))
    assert not begun(ran.folder, key_of(ran.history, replace(ran.plan, seed=8)))
    assert not begun(ran.folder, key_of(replace(ran.history, days=ran.history.days[1:]), ran.plan))


def test_a_folder_that_is_no_replay_is_left_alone(tmp_path: Path, history: History, spark: SparkSession) -> None:
    (tmp_path / "precious.txt").write_text("keep me", encoding="utf-8")
    plan = replace(QUICK, learn_days=LEARN)
    with pytest.raises(InputError, match="no replay"):
        replay(tmp_path, history, POLICIES, plan, spark=spark, report=print, progress=lambda *_: None)
    assert (tmp_path / "precious.txt").read_text(encoding="utf-8") == "keep me"


def test_shares_need_their_yardstick() -> None:
    day = LivedDay(day=dt.date(2026, 3, 2), tickets=10, right=8, accepted=7, labels=5, model_version="v1")
    ours = Lived(policy="alarm-driven", told="", days=(day,), trainings=0, promotions=0, alarms=0, minutes=0.0)
    oracle = replace(ours, policy="all labels", days=(replace(day, right=10, labels=10),))
    alone = ReplayResult(history="h", events=(), policies=(ours,))
    both = replace(alone, policies=(ours, oracle))
    assert alone.share_of_oracle_accuracy is None
    assert both.share_of_oracle_accuracy == pytest.approx(0.8)
    assert both.share_of_fixed_interval_labels is None
    assert table(alone)[0][2:5] == ("", "5", "")


def test_weeks_add_up_and_a_week_without_tickets_has_no_accuracy() -> None:
    first = dt.date(2026, 3, 2)
    days = tuple(
        LivedDay(
            day=first + dt.timedelta(days=number),
            tickets=10 if number < 7 else 0,
            right=number if number < 7 else 0,
            accepted=0,
            labels=number,
            model_version="v1",
        )
        for number in range(9)
    )
    lived = Lived(policy="never", told="", days=days, trainings=0, promotions=0, alarms=0, minutes=0.0)
    weeks = list(lived.weeks())
    assert [(week.tickets, week.accuracy, week.labels) for week in weeks] == [(70, 21 / 70, 6), (0, None, 8)]
    assert lived.accuracy == pytest.approx(21 / 70)


def test_a_policy_that_is_none_is_named() -> None:
    assert policies_named(["all labels", "never"]) == (NEVER, ALL_LABELS)
    with pytest.raises(InputError, match="no policy 'hope'"):
        policies_named(["hope"])


def test_what_cannot_be_replayed_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    settings, into = Settings(workspace=tmp_path / "nowhere"), tmp_path / "replay"
    asked = steps.Asked(simulated=True, policies=["hope"])
    with pytest.raises(InputError, match="no policy 'hope'"):
        steps.replay(settings, asked, into, report=print, progress=lambda *_: None)
    with pytest.raises(WorkspaceError, match="not a workspace"):
        steps.replay(settings, steps.Asked(simulated=False), into, report=print, progress=lambda *_: None)
    assert not into.exists()


def test_a_simulated_half_year_changes_while_it_is_live(history: History) -> None:
    live_from = history.days[LEARN].day
    assert len(history.events) == 4
    assert all(live_from <= day <= history.days[-1].day for day, _ in history.events)
    before, after = history.catalogues
    assert len(after.tree.nodes) > len(before.tree.nodes)
