"""The simulated company that the notebooks look at: a filled workspace, and what was put into it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

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

HISTORY = SimulationConfig(seed=9, start=date(2026, 3, 2), days=5, tickets_per_day=60, mislabel_rate=0.2)
LIVE = date(2026, 3, 7)  # the day after the history: its tickets come through the service
SENT_TWICE, DISAGREEING = 40, 10  # tickets of the history; of these the second got another contact type


@dataclass(frozen=True)
class Company:
    """A filled workspace, and what was put into it."""

    workspace: Workspace
    rows: int
    live: list[SimulatedTicket]


def found_company(folder: Path, spark: SparkSession) -> Company:
    """Five days of history with two bad rows and some tickets twice, and a day of service on which agents and labelers
    judge each ticket."""
    workspace = Workspace.create(folder / "workspace")
    dataset = write_history(HISTORY, folder / "export", processes=1)
    export = folder / "export" / "tickets.jsonl"
    rows = [json.loads(line) for line in export.read_text(encoding="utf-8").splitlines()]
    again = [{**row, "id": f"AGAIN-{row['id']}"} for row in rows[:SENT_TWICE]]
    known = sorted({row["category"] for row in rows})
    for row in again[:DISAGREEING]:
        row["category"] = known[known.index(row["category"]) - 1]
    with open(export, "a", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(row)}\n" for row in again)
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
