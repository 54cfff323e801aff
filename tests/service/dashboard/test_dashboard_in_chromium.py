"""The dashboard in a real browser: charts are drawn under the security policy, and Evidently's page in its frame."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tickets import monitor_log
from tickets.monitor_log import Alarm, DetectorResult, MonitorRun

if TYPE_CHECKING:
    from tests.service.conftest import Service

ARTEFACTS = Path(__file__).parents[1] / "artefacts"
START = datetime(2026, 3, 2, 4, tzinfo=UTC)

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the browser sees no database


def record_week(service: Service) -> None:
    """Seven nights, the last with an alarm and a report."""
    service.workspace.reports.mkdir(exist_ok=True)
    for night in range(7):
        at = START + timedelta(days=night)
        run_id = f"{at.date()}-m1"
        last = night == 6
        share = 0.84 - 0.02 * night
        run = MonitorRun(
            run_id=run_id,
            as_of=str(at.date()),
            started_at=at,
            seconds=3.0,
            model_version="m1",
            status="alarm" if last else "quiet",
            windows={"reference": {"tickets": 900}, "current": {"tickets": 400 + night}},
            summary={
                **{"tickets": 400 + night, "acceptance": share, "acceptance_low": share - 0.05},
                **{"acceptance_high": share + 0.05, "acceptance_tickets": 200, "reasons": ["no alarm."]},
            },
            report=f"reports/{run_id}.json" if last else None,
        )
        results = [
            DetectorResult(detector=name, statistic=0.02 * night, limit=0.1, p_value=0.5, status=status)
            for name, status in (("predictions.types", "drifted" if last else "ok"), ("text.length", "ok"))
        ]
        alarm = Alarm(
            alarm_id="a1",
            run_id=run_id,
            detector="predictions.types",
            severity="warning",
            message="The mix of predicted contact types changed.",
            raised_at=at,
        )
        monitor_log.record_run(service.engine, run, results, [alarm] if last else [])


def test_one_look_tells_how_things_are(service: Service, page: Page) -> None:
    record_week(service)
    page.goto("/dashboard")
    expect(page.get_by_text("1 alarm is open")).to_be_visible()
    for chart in ("quality", "drift"):
        expect(page.locator(f"#chart-{chart}.drawn svg")).to_be_visible()
    page.locator("summary").first.click()
    expect(page.get_by_role("cell", name="accepted by agents").first).to_be_visible()
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "dashboard.png", full_page=True)
    page.get_by_role("link", name="2026-03-08").first.click()
    expect(page.get_by_role("heading", name="Night of 2026-03-08")).to_be_visible()


def test_evidently_is_drawn_in_a_frame_that_can_reach_nothing(service: Service, page: Page) -> None:
    record_week(service)
    body = "<script>document.write('<p id=drawn>drawn ' + (window.origin) + '</p>')</script>"
    (service.workspace.reports / "2026-03-08-m1.json").write_text('{"metrics": []}')
    (service.workspace.reports / "2026-03-08-m1.html").write_text(f"<!doctype html><html><body>{body}</body></html>")
    page.goto("/dashboard/runs/2026-03-08-m1")
    expect(page.frame_locator("iframe.report").locator("#drawn")).to_have_text("drawn null")
