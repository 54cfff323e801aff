"""The whole loop, run small: what agents do reaches the database, the lake, and what the next model learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pytest
import sqlalchemy as sa

from models.release import current_version, open_release, versions
from tickets import monitor_log
from tickets.database import feedback, labels, suggestions
from tickets.errors import InputError
from tickets.examples import read_examples
from tickets.tables import FEEDBACK, LABELS, OUTCOMES, QUARANTINE, RAW, TICKETS
from tickets.workspace import Workspace
from triage.company import QUICK
from triage.loop import DemoSummary, run_demo
from triage.settings import Settings, database

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # a whole company lives two weeks here


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, DemoSummary, list[str]]:
    """One run of the demonstration: its workspace, summary, and the lines it said."""
    folder, said = tmp_path_factory.mktemp("demo") / "demo", []
    summary = run_demo(folder, Settings(), QUICK, report=said.append, progress=lambda *_: None)
    return Workspace.open(folder), summary, said


@pytest.fixture
def engine(ran: tuple[Workspace, DemoSummary, list[str]]) -> Iterator[sa.Engine]:
    with database(Settings(), ran[0]) as opened:
        yield opened


def rows(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def test_every_ticket_was_answered_and_every_feedback_kept(
    ran: tuple[Workspace, DemoSummary, list[str]], engine: sa.Engine
) -> None:
    handled = sum(period.tickets for period in ran[1].periods)
    assert handled > 200
    assert rows(engine, suggestions) == handled
    assert rows(engine, feedback) == handled


def test_feedback_and_labels_reach_the_lake_and_the_next_training_set(
    ran: tuple[Workspace, DemoSummary, list[str]], engine: sa.Engine
) -> None:
    workspace = ran[0]
    given = workspace.read(FEEDBACK)
    assert given.num_rows > 100
    assert workspace.read(LABELS).num_rows == rows(engine, labels) > 0
    sources = Counter(workspace.read(OUTCOMES)["source"].to_pylist())
    assert sources["agent"] > 50
    assert sources["labeler"] > 0
    learned = read_examples(workspace, splits=["train"])
    assert set(learned["outcome_source"].to_pylist()) >= {"import", "agent"}
    answered = dict(zip(given["ticket_id"].to_pylist(), given["contact_type"].to_pylist(), strict=True))
    by_agents = learned.filter(pc.equal(learned["outcome_source"], "agent"))
    for ticket_id, contact_type in zip(
        by_agents["ticket_id"].to_pylist(), by_agents["contact_type"].to_pylist(), strict=True
    ):
        assert answered[ticket_id] == contact_type


def test_nothing_is_lost_on_the_way(ran: tuple[Workspace, DemoSummary, list[str]]) -> None:
    workspace = ran[0]
    assert workspace.read(RAW).num_rows == workspace.read(TICKETS).num_rows + workspace.read(QUARANTINE).num_rows


def test_the_change_was_noticed_and_a_challenger_met_the_champion(
    ran: tuple[Workspace, DemoSummary, list[str]], engine: sa.Engine
) -> None:
    workspace, summary, said = ran
    assert any("alarm" in line for line in said)
    kinds = Counter(event.kind for event in monitor_log.model_timeline(engine))
    assert kinds["trained"] == 2
    assert kinds["promoted"] + kinds["rejected"] == 2
    assert len(versions(workspace)) == 2
    challenger = open_release(workspace.models / max(versions(workspace)))
    served = current_version(workspace)
    assert (served == challenger.version) == ("promoted" in summary.figures["Gate, latest days"])


def test_a_folder_that_is_no_workspace_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(InputError, match="no workspace"):
        run_demo(tmp_path, Settings(), QUICK, report=print, progress=lambda *_: None)
    assert (tmp_path / "precious.txt").read_text(encoding="utf-8") == "keep me"
