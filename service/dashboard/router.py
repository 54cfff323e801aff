"""The dashboard: the state of things, one run in detail, its Evidently report, experiments, and all of it as CSV."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response

from service.dashboard import cost_chart, experiments, state
from service.dashboard.alarm_cards import alarm_groups
from service.dashboard.board import CHARTS, read_board, reasons_of
from service.dashboard.csv_text import csv_text
from service.dashboard.filters import PERIODS, DashboardAddress
from service.dashboard.traffic_charts import label_cost
from service.pages import render
from service.problems import Problem
from service.serving import Held
from tickets import alert_log, experiment_log, label_queue, monitor_log, traffic
from tickets.monitor_log import MonitorRun
from tickets.ticket_queue import seen_values

Address = Annotated[DashboardAddress, Depends()]
# Evidently's page is one file with its scripts inside. It runs in a frame of its own origin and may reach nothing.
_REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data:; "
    "font-src data:; frame-ancestors 'self'; sandbox allow-scripts"
)
_COLUMNS = ("run_id", "as_of", "model_version", "detector", "statistic", "limit", "p_value", "status", "details")

router = APIRouter(prefix="/dashboard", include_in_schema=False)


@router.get("")
def dashboard(request: Request, held: Held, address: Address) -> HTMLResponse:
    """Status, figures, alarms, charts, labels, models and runs on one page."""
    board = read_board(held, address)
    newest = monitor_log.recent_runs(held.engine, limit=1)
    alarms = monitor_log.recent_alarms(held.engine, only_open=True)
    loaded = held.releases.loaded
    languages, channels = seen_values(held.engine)
    return render(
        request,
        "dashboard.html",
        address=address,
        period=board.period,
        periods=PERIODS,
        languages=languages,
        channels=channels,
        status=state.status_line(
            newest,
            alarms,
            serving=loaded.version if loaded else None,
            now=held.options.clock(),
            night=state.night_note(held.workspace),
        ),
        figures=state.figures(newest[0]) if newest else [],
        newest=newest[0] if newest else None,
        latest=monitor_log.results_of(held.engine, newest[0].run_id) if newest else [],
        runs=board.runs,
        path=held.choices.path,
        reported=next(
            (run for run in [*newest, *board.runs] if state.report_page(held.workspace, run) is not None), None
        ),
        alarms=alarm_groups(alarms),
        alerts=state.alerts_told(alert_log.newest_alerts(held.engine), now=held.options.clock()),
        queue=label_queue.counts(held.engine),
        cost=label_cost(traffic.labels_given(held.engine, board.slice)),
        events=[(event, reasons_of(event)) for event in board.events],
        templates=board.templates,
        charts={
            name: board.chart(name) for name in ("quality", "acceptance", "volumes", "label_shift", "drift", "labels")
        },
    )


@router.get("/charts/{name}.csv")
def chart_as_csv(held: Held, name: str, address: Address) -> Response:
    """The numbers of one chart, with the page's filters."""
    if name not in CHARTS:
        raise Problem(404, "unknown-chart", "there is no such chart.", hint=f"There are {', '.join(CHARTS)}.")
    board = read_board(held, address)
    file = f"{name}-{board.period.first}-{board.period.last}.csv"
    return _csv(board.chart(name).as_csv(), file)


@router.get("/ticket")
def example_ticket(held: Held, id: Annotated[str, Query(max_length=200)]) -> RedirectResponse:  # noqa: A002  # the address
    """An example ticket, on the console, with its newest suggestion."""
    found = traffic.newest_suggestion(held.engine, id) if "\x00" not in id else None
    if found is None:
        raise Problem(404, "unknown-ticket", "no suggestion was kept for this ticket.", hint="Look in your helpdesk.")
    return RedirectResponse(f"/console/suggestions/{quote(found, safe='')}", status_code=303)


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
        cost=cost_chart.quality_beside_cost(shown),
    )


@router.get("/experiments.csv")
def experiments_as_csv(held: Held) -> Response:
    """One row a run, every knob and every figure; those judged on other tickets too."""
    runs, _ = experiment_log.read_runs(held.workspace)
    return _csv(experiments.runs_as_csv(runs), "experiments.csv")


@router.get("/runs/{run_id}.csv")
def results_as_csv(held: Held, run_id: str) -> Response:
    """One row a detector."""
    run = _find(held, run_id)
    rows = [
        (
            *(run_id, run.as_of, run.model_version, result.detector),
            *(result.statistic, result.limit, result.p_value, result.status),
            json.dumps(dict(result.details), ensure_ascii=False),
        )
        for result in monitor_log.results_of(held.engine, run_id)
    ]
    return _csv(csv_text(_COLUMNS, rows), f"{run_id}.csv")


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
        alarms=alarm_groups(monitor_log.alarms_of(held.engine, run_id)),
        path=held.choices.path,
        metrics=state.report_figures(held.workspace, run),
        has_page=state.report_page(held.workspace, run) is not None,
    )


def _csv(text: str, file: str) -> Response:
    """A file to save."""
    headers = {"Content-Disposition": f'attachment; filename="{file}"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def _find(held: Held, run_id: str) -> MonitorRun:
    # PostgreSQL refuses a text with a zero byte before it could be looked for.
    run = monitor_log.find_run(held.engine, run_id) if "\x00" not in run_id else None
    if run is None:
        raise Problem(404, "unknown-run", "there is no such monitoring run.", hint="Choose one on /dashboard.")
    return run
