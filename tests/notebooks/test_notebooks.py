"""Every notebook runs from top to bottom in a real kernel, on a small simulated company, and is kept cleared.

Their knobs are turned down here as a reader turns them: by a cell after the one that is tagged `parameters`.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
import sqlalchemy as sa
from nbclient import NotebookClient

from models.cost import Load, replicas
from models.evaluate import score_release
from models.release import current_version, open_release, versions
from pipeline.extract import extract
from pipeline.importing import import_files
from pipeline.nightly import run_pipeline
from tests.logged import log_suggestions
from tickets.database import open_database
from tickets.examples import read_examples
from tickets.experiment_log import read_runs
from tickets.feedback_log import record_feedback
from tickets.label_queue import LabelRequest, answer, claim, enqueue, labels_between
from tickets.records import Feedback, Suggestion
from tickets.simulate import SimulatedTicket, SimulationConfig, new_product, simulate, write_history
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


Execute = Callable[[str], Any]


@pytest.fixture(scope="module")
def execute(company: Company, small_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Execute:
    """`execute(name)`: a notebook after its one run, in a kernel of its own that knows the workspace from the
    environment."""
    environment = {
        **os.environ,
        "TRIAGE_WORKSPACE": str(company.workspace.root),
        "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython")),  # nobody's own start-up files
    }
    small = {"encoder": str(small_encoder), "max_tokens": 32, "epochs": 1, "device": "cpu", "precision": "fp32"}
    turned_down = {
        "02-train-and-debug": {
            "KNOBS": small,
            "RUNGS": ("majority", "keywords", "tfidf", "transformer"),
            "SEARCHED": ("learning_rate", "head_learning_rate", "label_smoothing"),
        },
        "03-drift-and-relabelling": {"WORKSPACE": str(tmp_path_factory.mktemp("labels"))},
    }
    done: dict[str, Any] = {}

    def run(name: str) -> Any:
        if name not in done:
            notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
            turn_down(notebook, turned_down.get(name, {}))
            notebook.cells.append(nbformat.v4.new_code_cell(PROBES.get(name, "print('{}')")))
            client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(FOLDER)}})
            done[name] = client.execute(env=environment)
        return done[name]

    return run


# What is read of a notebook's variables after its last cell.
PROBES = {
    "03-drift-and-relabelling": """
import json
print(json.dumps({
    "workspace": WORKSPACE, "seed": SEED, "start": start.isoformat(), "changed": changed.isoformat(),
    "tickets_a_day": TICKETS_A_DAY, "days": config.days, "share": SHARE, "labels_a_night": LABELS_A_NIGHT,
    "nights": len(nights), "drifted": [sorted(names) for names in drifted],
    "alarmed": [alarm.detector for alarm in alarms],
    "words": sorted({word for _, why in explained for word in why.words}), "promoted": verdict.promote,
    "usual": usual, "recovery": recovery.to_dict("index"),
    "estimates": table[["truth", "estimate", "low", "high"]].dropna().to_dict("records"),
}))
""",
    "04-cost": """
print(json.dumps({
    "owned": dataclasses.asdict(owned), "rented": dataclasses.asdict(rented), "month": month, "needed": needed,
    "peak_hour_share": peak_hour_share, "tickets_a_day": TICKETS_A_DAY, "burst": BURST, "headroom": HEADROOM,
    "least": LEAST_REPLICAS, "source": source, "per_second": serving["requests_per_second"],
}))
""",
}


def turn_down(notebook: Any, knobs: dict[str, Any]) -> None:
    """A cell that sets knobs, after the one that is tagged `parameters`."""
    (place,) = [number for number, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", ())]
    told = "\n".join(f"{name} = {value!r}" for name, value in knobs.items())
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(told or "pass"))


def probed(notebook: Any) -> dict[str, Any]:
    """What the probe printed."""
    (output,) = notebook.cells[-1].outputs
    found: dict[str, Any] = json.loads(output.text)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_a_notebook_runs_without_a_warning_and_its_outputs_stay_small(execute: Execute, name: str) -> None:
    notebook = execute(name)

    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    assert len(nbformat.writes(notebook)) < MOST_OUTPUT


@pytest.mark.slow
def test_know_your_tickets_tells_what_was_put_into_the_workspace(execute: Execute, company: Company) -> None:
    said = shown(execute("01-know-your-tickets"))

    assert f"{company.rows:,} rows = {company.rows - 2:,} kept + 2 refused + 0 replaced or not cleaned yet" in said
    assert "empty body" in said
    assert "broken JSON" in said
    wrong = sum(ticket.outcome.contact_type != ticket.true_contact_type for ticket in company.live)
    assert wrong > 0
    assert f"asked as random: {wrong} of {len(company.live)} differ" in said
    assert f"{company.rows - 2:,} of them have a contact type" in said
    assert re.search(r"no model can be right on more than \d+\.\d% of them", said)


@pytest.mark.slow
def test_train_and_debug_leaves_a_model_unpromoted_and_tells_how_good_it_is(execute: Execute, company: Company) -> None:
    said = shown(execute("02-train-and-debug"))

    (version,) = versions(company.workspace)
    assert current_version(company.workspace) is None
    assert re.search(r"\d+ of 14 checks passed", said)
    for title in ("majority", "keyword rules", "TF-IDF + logistic regression", "fine-tuned transformer"):
        assert title in said
    judged = read_examples(company.workspace, splits=["test"])
    right = score_release(open_release(company.workspace.models / version), judged).correct
    assert f"right on {right.mean():.1%} (" in said
    assert f"of {len(right):,} tickets" in said


@pytest.mark.slow
def test_train_and_debug_takes_the_whole_error_apart(execute: Execute, company: Company) -> None:
    said = shown(execute("02-train-and-debug"))

    kept = json.loads((company.workspace.experiments / "debug.json").read_text(encoding="utf-8"))
    assert {"checklist", "bias-variance", "learning-curve"} <= kept.keys()
    found = kept["bias-variance"]["found"]
    assert sum(gap["size"] for gap in found["gaps"]) == pytest.approx(found["levels"][-1]["error"])
    for line in found["advice"]:
        assert line in said


@pytest.mark.slow
def test_train_and_debug_searches_knobs_and_names_the_best_trial(execute: Execute, company: Company) -> None:
    said = shown(execute("02-train-and-debug"))

    trials = [run for run in read_runs(company.workspace)[0] if run.kind == "trial"]
    best = max(run.figures["validation_mrr"] for run in trials)
    assert len(trials) == 4
    assert f"best of 4 trials: mrr {best:.3f} with " in said
    (file,) = re.findall(r"triage train --preset cpu-quick --knobs (\S+)", said)
    assert (company.workspace.root / file).is_file()


@pytest.mark.slow
def test_drift_and_relabelling_notices_the_change_that_was_made_and_nothing_before(execute: Execute) -> None:
    found = probed(execute("03-drift-and-relabelling"))

    start, changed = date.fromisoformat(found["start"]), date.fromisoformat(found["changed"])
    config = SimulationConfig(
        seed=found["seed"],
        start=start,
        days=found["days"],
        tickets_per_day=found["tickets_a_day"],
        events=(new_product(changed, share=found["share"]),),
    )
    there = [bool(one.events) for day in simulate(config) if day.day >= changed for one in day.tickets]
    assert f"on {sum(there) / len(there):.0%} are about" in shown(execute("03-drift-and-relabelling"))
    quiet_nights = found["nights"] - 5
    assert found["drifted"][:quiet_nights] == [[]] * quiet_nights
    assert {"text.words", "feedback.acceptance"} <= set(found["alarmed"])
    assert "scooter" in found["words"]


@pytest.mark.slow
def test_drift_and_relabelling_asks_its_budget_of_labels_and_wins_back_what_was_lost(execute: Execute) -> None:
    found = probed(execute("03-drift-and-relabelling"))

    engine = open_database(f"sqlite:///{Path(found['workspace']) / 'labels.db'}")
    always = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    assert len(list(labels_between(engine, *always))) == found["labels_a_night"] * found["nights"]
    engine.dispose()
    everything, new = found["recovery"]["all"], found["recovery"]["new product"]
    assert found["promoted"]
    assert new["champion"] == 0.0
    assert new["challenger"] > 0.4
    assert everything["challenger"] - everything["champion"] > 0.5 * (found["usual"] - everything["champion"])


@pytest.mark.slow
def test_drift_and_relabelling_sets_its_estimates_beside_the_truth(execute: Execute) -> None:
    found = probed(execute("03-drift-and-relabelling"))

    inside = sum(night["low"] <= night["truth"] <= night["high"] for night in found["estimates"])
    assert len(found["estimates"]) >= 3
    told = f"the truth lies in the interval on {inside} of {len(found['estimates'])} nights that have an estimate"
    assert told in shown(execute("03-drift-and-relabelling"))


@pytest.mark.slow
def test_cost_tells_replicas_and_the_month_in_which_buying_has_paid_for_itself(execute: Execute) -> None:
    execute("02-train-and-debug")  # its model tells how fast training is
    notebook = execute("04-cost")
    found, said = probed(notebook), shown(notebook)

    load = Load(tickets_a_day=found["tickets_a_day"], peak_hour_share=found["peak_hour_share"], burst=found["burst"])
    needed = replicas(load, per_second=found["per_second"], headroom=found["headroom"], least=found["least"])
    assert found["needed"] == needed
    assert f"take {needed} replicas" in said
    assert found["source"].startswith("that of model")
    own, rent = found["owned"], found["rented"]
    running = own["upkeep_a_month"] + own["watts"] / 1000 * 730 * own["kwh_price"]
    renting = rent["upkeep_a_month"] + rent["always"] * 730 * rent["hour_price"]
    first = next(n for n in range(1, own["life_months"] + 1) if own["purchase"] + n * running <= n * renting)
    assert found["month"] == first
    assert f"buying has paid for itself in month {first}" in said


def shown(notebook: Any) -> str:
    """All that a run printed or displayed, as plain text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_cleared_and_calls_the_packages(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)

    assert notebook.cells[0].cell_type == "markdown"
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in notebook.cells) == 1
    text = path.read_text(encoding="utf-8")
    assert str(FOLDER.parent) not in text
    assert not re.search(r"/(home|Users|root|tmp)/", text)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
            defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
            assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, defined)]
