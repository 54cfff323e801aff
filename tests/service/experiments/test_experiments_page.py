"""The experiments page over HTTP: what it says of runs, of none, of damaged ones, and the same as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from service.dashboard.cost_chart import quality_beside_cost
from service.dashboard.experiments import ALL, MOST_RUNS, UNKNOWN, show
from tickets.experiment_log import ExperimentRun, append_run, runs_path

if TYPE_CHECKING:
    from tests.service.experiments.conftest import Young

RunOf = Callable[..., ExperimentRun]


def drawn(page: str) -> Any:
    """What the page gives parallel.js to draw."""
    found = re.search(r'<script type="application/json" id="parallel-data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_before_the_first_run_the_page_says_what_to_do(service: Young) -> None:
    page = service.client.get("/dashboard/experiments").text
    assert "No run yet" in page
    assert "triage train" in page
    assert "triage tune" in page
    assert "data-parallel" not in page
    assert service.client.get("/dashboard/experiments.csv").text.startswith("id,kind,name")


def test_the_dashboard_leads_to_it(service: Young) -> None:
    assert '<a href="/dashboard/experiments">' in service.client.get("/dashboard").text


def test_every_run_stands_on_the_page_best_first(study: Young) -> None:
    page = study.client.get("/dashboard/experiments").text
    assert "6 runs." in page
    assert "The best by validation MRR is" in page
    names = re.findall(r'<tr data-run="([^"]+)"', page)
    assert names == ["s1-0002", "s1-0005", "s1-0001", "s1-0003", "s1-0000", "s1-0004"]
    assert page.count('<span class="pill">best</span>') == 1
    assert "&lt;b&gt;no&lt;/b&gt; memory" in page
    assert "<b>no</b>" not in page


def test_the_plot_has_an_axis_for_all_that_differs(study: Young) -> None:
    data = drawn(study.client.get("/dashboard/experiments").text)
    assert [axis["name"] for axis in data["axes"]] == [
        *("kind", "figure validation_mrr", "figure validation_accuracy", "figure train_seconds"),
        *("knob epochs", "knob learning_rate"),
    ]
    assert {axis["name"]: axis["kind"] for axis in data["axes"]}["kind"] == "category"
    best = data["runs"][0]
    assert (best["id"], best["best"], best["values"]["knob learning_rate"]) == ("s1-0002", True, 1e-4)
    failed = data["runs"][-1]
    assert (failed["id"], failed["status"]) == ("s1-0004", "failed")
    assert set(failed["values"]) == {"kind", "knob learning_rate", "knob epochs"}


def test_runs_can_be_ranked_by_accuracy(study: Young) -> None:
    assert drawn(study.client.get("/dashboard/experiments?by=accuracy").text)["quality"] == "validation_accuracy"
    assert study.client.get("/dashboard/experiments?by=luck").status_code == 422


def test_runs_judged_on_other_tickets_are_another_group(study: Young, run_of: RunOf) -> None:
    append_run(study.workspace, run_of(9, 0.9375, validation_hash="b" * 64))
    newest = study.client.get("/dashboard/experiments").text
    assert "1 run of 7." in newest
    earlier = study.client.get(f"/dashboard/experiments?validation={'a' * 64}").text
    assert "6 runs of 7." in earlier
    everything = study.client.get("/dashboard/experiments?validation=all").text
    assert "7 runs." in everything
    assert "judged on different tickets, so none is the best" in everything
    assert not any(run["best"] for run in drawn(everything)["runs"])
    assert "1 run of 7." in study.client.get("/dashboard/experiments?validation=unknown").text


def test_runs_of_unknown_tickets_are_a_group_that_must_be_asked_for(study: Young, run_of: RunOf) -> None:
    append_run(study.workspace, run_of(-1, 0.9375, validation_hash=""))
    assert "6 runs of 7." in study.client.get("/dashboard/experiments").text
    assert "6 runs of 7." in study.client.get("/dashboard/experiments?validation=").text
    unknown = study.client.get(f"/dashboard/experiments?validation={UNKNOWN}").text
    assert "1 run of 7." in unknown
    assert '<option value="unknown" selected>' in unknown


def test_runs_of_one_group_none_of_which_finished_are_not_said_to_differ(service: Young, run_of: RunOf) -> None:
    append_run(service.workspace, run_of(0, None, status="failed"))
    page = service.client.get("/dashboard/experiments?validation=all").text
    assert "1 run." in page
    assert "judged on different tickets" not in page


def test_damaged_lines_are_counted_and_leave_the_page_standing(study: Young) -> None:
    with open(runs_path(study.workspace), "a", encoding="utf-8") as file:
        file.write('{"id": "torn", "kin\nnothing at all\n')
    page = study.client.get("/dashboard/experiments").text
    assert "2 lines of <code>experiments/runs.jsonl</code> cannot be read and are left out." in page
    assert "6 runs." in page


def test_a_name_cannot_break_out_of_the_page(service: Young, run_of: RunOf) -> None:
    hostile = "</script><script>alert(1)</script>"
    append_run(service.workspace, run_of(0, 0.5, {"encoder": hostile}, name=hostile))
    append_run(service.workspace, run_of(1, 0.5))
    page = service.client.get("/dashboard/experiments").text
    assert "alert(1)</script>" not in page
    assert hostile in [run["name"] for run in drawn(page)["runs"]]


def test_the_csv_has_every_knob_and_figure_of_every_run(study: Young, run_of: RunOf) -> None:
    append_run(study.workspace, run_of(9, 0.5, validation_hash="b" * 64, figures={"test/accuracy": 0.5}))
    answer = study.client.get("/dashboard/experiments.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "experiments.csv" in answer.headers["content-disposition"]
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(answer.text))}
    assert len(rows) == 7
    assert (rows["s1-0002"]["knob learning_rate"], rows["s1-0002"]["validation_mrr"]) == ("0.0001", "0.875")
    assert rows["s1-0002"]["started"] == "2026-11-20T09:02:00+00:00"
    assert (rows["s1-0004"]["status"], rows["s1-0004"]["validation_mrr"]) == ("failed", "")
    assert rows["s1-0009"]["test/accuracy"] == "0.5"


def test_no_spreadsheet_runs_what_stands_in_the_csv(service: Young, run_of: RunOf) -> None:
    failed = run_of(0, None, {"encoder": "@SUM(A1)", "shift": -3}, status="failed", reason='=HYPERLINK("http://x")')
    append_run(service.workspace, failed)
    (row,) = csv.DictReader(io.StringIO(service.client.get("/dashboard/experiments.csv").text))
    assert (row["reason"], row["knob encoder"]) == ('\'=HYPERLINK("http://x")', "'@SUM(A1)")
    assert row["knob shift"] == "-3"


def test_figures_of_test_tickets_are_no_axis(run_of: RunOf) -> None:
    """Knobs chosen by them would be chosen by the tickets they are judged on in the end."""
    runs = [run_of(n, 0.5, figures={"validation_mrr": 0.5, "test/accuracy": 0.1 * n}) for n in range(3)]
    assert not [axis.name for axis in show(runs).axes if "test" in axis.name]


@pytest.mark.parametrize(
    ("values", "kind", "log"),
    [
        ((1e-5, 3e-5, 1e-4, 1e-3), "number", True),
        ((0.01, 0.2, 0.25, 0.3), "number", False),
        ((0.0, 0.001, 1.0), "number", False),
        ((3, None, 6), "category", False),
        ((True, False), "category", False),
        (("auto", "bf16"), "category", False),
        ((1, "all"), "category", False),
    ],
)
def test_an_axis_suits_its_values(run_of: RunOf, values: tuple[Any, ...], kind: str, log: bool) -> None:
    shown = show([run_of(number, 0.5, {"some_knob": value}) for number, value in enumerate(values)])
    (axis,) = (axis for axis in shown.axes if axis.name == "knob some_knob")
    assert (axis.label, axis.kind, axis.log) == ("some knob", kind, log)


def test_only_the_newest_of_very_many_runs_are_drawn(run_of: RunOf) -> None:
    shown = show([run_of(number, 0.5) for number in range(MOST_RUNS + 10)])
    assert len(shown.rows) == MOST_RUNS
    assert min(row.run.id for row in shown.rows) == "s1-0010"


def test_no_runs_make_an_empty_page() -> None:
    shown = show([])
    assert (shown.rows, shown.axes, shown.best, shown.group) == ([], [], None, ALL)
    assert quality_beside_cost(shown).rows == []


def test_the_line_of_the_cost_chart_joins_what_nothing_beats_at_its_cost(run_of: RunOf) -> None:
    runs = [run_of(number, mrr) for number, mrr in enumerate((0.5, 0.25, 0.75, 0.625, 0.875))]
    runs += [run_of(5, 0.9, status="pruned"), run_of(6, None, status="failed")]
    chart = quality_beside_cost(show(runs))
    assert [row["quality"] for row in chart.rows] == [0.5, 0.25, 0.75, 0.625, 0.875, 0.9]
    front, points, best = (layer["data"]["values"] for layer in chart.spec["layer"])
    assert [row["quality"] for row in front] == [0.5, 0.75, 0.875]
    assert points == chart.rows
    assert [row["run"] for row in best] == ["s1-0004"]


def test_the_best_of_equals_is_the_same_in_chart_and_table(run_of: RunOf) -> None:
    shown = show([run_of(0, 0.5), run_of(2, 0.75), run_of(1, 0.75)])
    assert shown.best is not None
    best = quality_beside_cost(shown).spec["layer"][2]["data"]["values"]
    assert [row["run"] for row in best] == [shown.best.run.name] == ["s1-0002"]


def test_no_line_joins_runs_that_were_judged_on_different_tickets(run_of: RunOf) -> None:
    chart = quality_beside_cost(show([run_of(0, 0.5), run_of(1, 0.75, validation_hash="b" * 64)], group=ALL))
    front, points, best = (layer["data"]["values"] for layer in chart.spec["layer"])
    assert (front, len(points), best) == ([], 2, [])


def test_a_knob_without_a_limit_stands_on_its_axis_as_all(run_of: RunOf) -> None:
    runs = [run_of(n, 0.5, {"trainable_layers": layers}) for n, layers in enumerate((2, None, 6))]
    shown = show([*runs, run_of(3, 0.5)])
    placed = {row.run.id: row.values.get("knob trainable_layers") for row in shown.rows}
    assert placed == {"s1-0000": "2", "s1-0001": "all", "s1-0002": "6", "s1-0003": None}
