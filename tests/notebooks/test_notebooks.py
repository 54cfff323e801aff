"""Every notebook runs from top to bottom in a real kernel, on a small simulated company, and is kept cleared."""

from __future__ import annotations

import ast
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import nbformat
import pytest

from models.cost import Load, replicas
from models.evaluate import score_release
from models.release import current_version, open_release, versions
from tests.notebooks.company import DISAGREEING, Company
from tests.notebooks.executing import FOLDER, Execute, probed, shown
from tickets.database import open_database
from tickets.examples import read_examples
from tickets.experiment_log import read_runs
from tickets.label_queue import labels_between
from tickets.simulate import SimulationConfig, new_product, simulate

NOTEBOOKS = sorted(FOLDER.glob("[0-9][0-9]-*.ipynb"))
MOST_OUTPUT = 400_000  # characters of a notebook with its outputs: it must stay quick to open


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
    (clusters,) = re.findall(r"(\d+) clusters of near-duplicates hold", said)
    ((differ, bound),) = re.findall(r"([\d.]+)% of pairs .* no model can be right on more than ([\d.]+)% of them", said)
    assert float(differ) == pytest.approx(100 * DISAGREEING / int(clusters), abs=1)
    assert 100 - float(differ) < float(bound) < 100 - float(differ) / 2.5


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
    assert f"{sum(there) / len(there):.0%} of those from {changed} on are of the change" in shown(
        execute("03-drift-and-relabelling")
    )
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
    notebook = execute("04-cost")
    found, said = probed(notebook), shown(notebook)

    measured = json.loads((FOLDER.parent / "bench" / "results" / "serving.json").read_text(encoding="utf-8"))
    rate = measured["requests_per_second"] / found["slower"]
    needed = replicas(Load(**found["load"]), per_second=rate, headroom=found["headroom"], spare=found["spare"])
    assert found["needed"] == needed
    assert f"take {needed} replicas" in said
    assert found["source"].startswith("that of model")
    own, rent = found["owned"], found["rented"]
    running = own["upkeep_a_month"] + own["watts"] / 1000 * 730 * own["kwh_price"]
    renting = rent["upkeep_a_month"] + rent["always"] * 730 * rent["hour_price"]
    first = next(n for n in range(1, own["life_months"] + 1) if own["purchase"] + n * running <= n * renting)
    assert found["month"] == first
    assert f"buying has paid for itself in month {first}" in said


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
