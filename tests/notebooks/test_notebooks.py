"""Every notebook runs from top to bottom in a real kernel, on a small simulated company, and is kept cleared."""

from __future__ import annotations

import ast
import os
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
import sqlalchemy as sa
from nbclient import NotebookClient

from pipeline.extract import extract
from pipeline.importing import import_files
from pipeline.nightly import run_pipeline
from tests.logged import log_suggestions
from tickets.database import open_database
from tickets.feedback_log import record_feedback
from tickets.label_queue import LabelRequest, answer, claim, enqueue
from tickets.records import Feedback, Suggestion
from tickets.simulate import SimulatedTicket, SimulationConfig, simulate, write_history
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]-*.ipynb"))
HISTORY = SimulationConfig(seed=9, start=date(2026, 3, 2), days=5, tickets_per_day=60, mislabel_rate=0.2)
LIVE = date(2026, 3, 7)  # the day after the history: its tickets come through the service
MOST_OUTPUT = 400_000  # characters of a notebook with its outputs: it must stay quick to open


@dataclass(frozen=True)
class Company:
    """A filled workspace, and what was put into it."""

    workspace: Workspace
    rows: int
    live: list[SimulatedTicket]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Company:
    """Five days of history with two bad rows, and a day of service on which agents and labelers judge each ticket."""
    folder = tmp_path_factory.mktemp("company")
    workspace = Workspace.create(folder / "workspace")
    dataset = write_history(HISTORY, folder / "export", processes=1)
    export = folder / "export" / "tickets.jsonl"
    with open(export, "a", encoding="utf-8") as file:
        file.write('{"id": "cut off\n{"id": "EMPTY", "created_at": "2026-03-03T10:00:00+00:00", "description": " "}\n')
    days = simulate(SimulationConfig(seed=9, start=LIVE, days=1, tickets_per_day=60, mislabel_rate=0.2))
    live = [ticket for day in days for ticket in day.tickets]
    engine = open_database(workspace.default_database_url)
    judge(engine, live)

    import_files(workspace, [], dataset, as_of=LIVE)
    extract(workspace, engine, as_of=LIVE)
    run_pipeline(workspace, as_of=LIVE, spark=spark)
    engine.dispose()
    return Company(workspace, len(export.read_text(encoding="utf-8").splitlines()) + len(live), live)


def judge(engine: sa.Engine, tickets: list[SimulatedTicket]) -> None:
    """Agents record what they record, and labelers, asked at random, tell the truth."""
    at = datetime.combine(LIVE, time(23), tzinfo=UTC)
    for simulated in tickets:
        ticket, name = simulated.ticket, simulated.ticket.ticket_id
        suggestion = Suggestion(
            suggestion_id=f"s-{name}",
            ticket_id=name,
            model_version="20260301-000000-abcdef",
            created_at=at,
            contact_types=(),
            templates=(),
        )
        log_suggestions(engine, [(ticket, suggestion)])
        given = Feedback(
            feedback_id=f"f-{name}",
            suggestion_id=f"s-{name}",
            ticket_id=name,
            action="corrected",
            at=at,
            contact_type=simulated.outcome.contact_type,
        )
        record_feedback(engine, given)
    requests = [LabelRequest(ticket=simulated.ticket, share="random", priority=1.0) for simulated in tickets]
    enqueue(engine, requests, at=at)
    truth = {simulated.ticket.ticket_id: simulated.true_contact_type for simulated in tickets}
    for item in claim(engine, "ann", at=at, count=len(tickets)):
        true_type = truth[item.ticket.ticket_id]
        answer(engine, item.item_id, contact_type=true_type, labeler="ann", at=at + timedelta(minutes=5))


@pytest.fixture(scope="module")
def executed(company: Company, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The notebooks after a run, by name, each in a kernel of its own that knows the workspace from the environment."""
    done = {}
    environment = {
        **os.environ,
        "TRIAGE_WORKSPACE": str(company.workspace.root),
        "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython")),  # nobody's own start-up files
    }
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}})
        done[path.stem] = client.execute(env=environment)
    return done


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_a_notebook_runs_without_a_warning_and_its_outputs_stay_small(executed: dict[str, Any], name: str) -> None:
    notebook = executed[name]

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert len(nbformat.writes(notebook)) < MOST_OUTPUT


@pytest.mark.slow
def test_know_your_tickets_tells_what_was_put_into_the_workspace(executed: dict[str, Any], company: Company) -> None:
    said = shown(executed["01-know-your-tickets"])

    assert f"{company.rows:,} rows = {company.rows - 2:,} kept + 2 refused + 0 replaced or not cleaned yet" in said
    assert "empty body" in said
    assert "broken JSON" in said
    wrong = sum(ticket.outcome.contact_type != ticket.true_contact_type for ticket in company.live)
    assert wrong > 0
    assert f"asked as random: {wrong} of {len(company.live)} differ" in said
    assert f"{company.rows - 2:,} of them have a contact type" in said


def shown(notebook: Any) -> str:
    """All that a run printed or displayed, as plain text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_cleared_and_calls_the_packages(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)

    assert notebook.cells[0].cell_type == "markdown"
    text = path.read_text(encoding="utf-8")
    assert str(FOLDER.parent) not in text
    assert not re.search(r"/(home|Users|root|tmp)/", text)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
            defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
            assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, defined)]
