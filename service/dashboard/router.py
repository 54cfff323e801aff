"""The dashboard: the state of things, one run in detail, its Evidently report, experiments, and all of it as CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from service.dashboard import charts, experiments, state
from service.pages import render
from service.problems import Problem
from service.serving import Held
from tickets import experiment_log, label_queue, monitor_log
from tickets.monitor_log import MonitorRun

RUNS = 30  # shown in the table and in the charts
# Evidently's page is one file with its scripts inside. It runs in a frame of its own origin and may reach nothing.
_REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "font-src data:; frame-ancestors 'self'; sandbox allow-scripts"
)
_COLUMNS = ("run_id", "as_of", "model_version", "detector", "statistic", "limit", "p_value", "status", "details")

router = APIRouter(prefix="/dashboard", include_in_schema=False)


@router.get("")
def dashboard(request: Request, held: Held) -> HTMLResponse:
    """Status, figures, alarms, charts, labels, models and runs on one page."""
    runs = monitor_log.recent_runs(held.engine, limit=RUNS)
    results = {run.run_id: monitor_log.results_of(held.engine, run.run_id) for run in runs}
    alarms = monitor_log.recent_alarms(held.engine, only_open=True)
    loaded = held.releases.loaded
    return render(
        request,
        "dashboard.html",
        status=state.status_line(runs, alarms, serving=loaded.version if loaded else None),
        figures=state.figures(runs[0]) if runs else [],
        runs=runs,
        latest=results[runs[0].run_id] if runs else [],
        alarms=state.alarm_groups(alarms),
        queue=label_queue.counts(held.engine),
        timeline=monitor_log.model_timeline(held.engine, limit=20),
        quality=charts.quality(runs),
        drift=charts.drift(runs, results),
    )


@router.get("/experiments")
def experiments_page(
    request: Request,
    held: Held,
    validation: Annotated[str, Query(max_length=100)] = "",
    by: Annotated[str, Query(pattern="^(mrr|accuracy)$")] = "mrr",
) -> HTMLResponse:
    """Trainings and trials as parallel coordinates, beside their cost, and as a table."""
    runs, damaged = experiment_log.read_runs(held.workspace)
    shown = experiments.show(runs, group=validation, quality=f"validation_{by}")
    return render(
        request,
        "experiments.html",
        shown=shown,
        damaged=damaged,
        by=by,
        figures=experiments.FIGURES,
        cost=charts.quality_beside_cost(shown),
    )


@router.get("/experiments.csv")
def experiments_as_csv(held: Held) -> Response:
    """One row a run, every knob and every figure; those judged on other tickets too."""
    runs, _ = experiment_log.read_runs(held.workspace)
    return Response(
        experiments.runs_as_csv(runs),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="experiments.csv"'},
    )


@router.get("/runs/{run_id}.csv")
def results_as_csv(held: Held, run_id: str) -> Response:
    """One row a detector."""
    run = _find(held, run_id)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(_COLUMNS)
    for result in monitor_log.results_of(held.engine, run_id):
        numbers = (result.statistic, result.limit, result.p_value)
        details = json.dumps(dict(result.details), ensure_ascii=False)
        rows.writerow(
            [run_id, run.as_of, run.model_version, result.detector, *numbers, result.status, details],
        )
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{run_id}.csv"'},
    )


@router.get("/runs/{run_id}/report")
def report_page(held: Held, run_id: str) -> FileResponse:
    """Evidently's page of a run, as monitoring drew it."""
    page = state.report_page(held.workspace, _find(held, run_id))
    if page is None:
        raise Problem(
            404,
            "no-report",
            "the page of this run's report is not kept.",
            hint="While its model is served, `triage monitor --as-of` its date draws it again.",
        )
    return FileResponse(page, media_type="text/html", headers={"Content-Security-Policy": _REPORT_POLICY})


@router.get("/runs/{run_id}")
def one_run(request: Request, held: Held, run_id: str) -> HTMLResponse:
    """What a run compared, what each detector saw, and what was decided."""
    run = _find(held, run_id)
    return render(
        request,
        "run.html",
        run=run,
        figures=state.figures(run),
        results=monitor_log.results_of(held.engine, run_id),
        alarms=state.alarm_groups(monitor_log.alarms_of(held.engine, run_id)),
        metrics=state.report_figures(held.workspace, run),
        has_page=state.report_page(held.workspace, run) is not None,
    )


def _find(held: Held, run_id: str) -> MonitorRun:
    # PostgreSQL refuses a text with a zero byte before it could be looked for.
    run = monitor_log.find_run(held.engine, run_id) if "\x00" not in run_id else None
    if run is None:
        raise Problem(404, "unknown-run", "there is no such monitoring run.", hint="Choose one on /dashboard.")
    return run
