"""The dashboard in a real browser: charts are drawn under the security policy, on a phone and in the dark, axe-core
finds no serious fault, and Evidently's page is fetched only when it is opened, into a frame that can reach nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from service.app import create_app, running
from tests.service.conftest import OPTIONS, Service, admit
from tests.service.console.test_axe import AXE, faults
from tests.service.dashboard.traffic import judge, label, suggest
from tickets import monitor_log
from tickets.monitor_log import Alarm, DetectorResult, MonitorRun

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tests.service.conftest import Connect
    from tickets.workspace import Workspace

ARTEFACTS = Path(__file__).parents[2] / "artefacts"
START = datetime(2026, 3, 2, 4, tzinfo=UTC)
NIGHTS = 12
LAST = f"{(START + timedelta(days=NIGHTS - 1)).date()}-m1"
DETECTORS = ("predictions.types", "text.unseen_words", "feedback.acceptance", "text.length", "volume")

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the browser sees no database


@pytest.fixture
def service(connect: Connect, served: Workspace, engine: sa.Engine) -> Iterator[Service]:
    """The service on the morning after the last night."""
    admit(engine)
    app = create_app(served, engine, replace(OPTIONS, clock=lambda: START + timedelta(days=NIGHTS, hours=-20)))
    with running(app) as address, connect(address) as client:
        yield Service(address, served, engine, client, app)


def summary_of(night: int) -> dict[str, Any]:
    """Agents accept less from night to night; at the end the estimate says that it is unknown."""
    shares = {"acceptance": 0.86 - 0.02 * night, "accuracy_labels": 0.84 - 0.018 * night}
    if night < NIGHTS - 3:
        shares["estimated_accuracy"] = 0.85 - 0.008 * night
    figures: dict[str, Any] = {"tickets": 400 + night, "reasons": ["no alarm."], "drifted": []}
    for name, share in shares.items():
        figures |= {name: share, f"{name}_low": share - 0.04, f"{name}_high": share + 0.04, f"{name}_tickets": 200}
    if night >= NIGHTS - 3:
        figures["estimated_accuracy_unknown"] = "the wording of tickets has moved too far for confidence to be trusted."
    return figures


def results_of(night: int) -> list[DetectorResult]:
    """Words and types move; of the last two nights the volume is unknown; refunds grow, invoices shrink."""
    blind = {"why": "holidays lie between the weeks"}
    share = {"reference": 0.3, "current": 0.31 + 0.01 * night, "change": [0.02, 0.02 + 0.02 * night]}
    fewer = {"name": "invoice", "reference": 0.28, "current": 0.2, "change": [-0.11, -0.05]}
    moved = {"grew": [{"name": "refund", **share}], "shrank": [fewer]}
    seen = [
        DetectorResult(
            detector=name,
            statistic=0.012 * night if place < 2 else 0.02 + 0.01 * ((night * (place + 3)) % 4),
            limit=0.1,
            p_value=0.5,
            status="drifted" if place < 2 and night > 8 else "ok",
        )
        for place, name in enumerate(DETECTORS)
    ]
    if night >= NIGHTS - 2:
        seen[-1] = replace(seen[-1], statistic=None, p_value=None, status="unknown", details=blind)
    shift = DetectorResult(
        detector="label_shift", statistic=0.1, limit=0.0, p_value=None, status="ok", details=moved if night > 5 else {}
    )
    return [*seen, shift]


def record_nights(service: Service) -> None:
    """Nights of which the last has an alarm and a report."""
    service.workspace.reports.mkdir(exist_ok=True)
    for night in range(NIGHTS):
        at = START + timedelta(days=night)
        last = night == NIGHTS - 1
        run = MonitorRun(
            run_id=f"{at.date()}-m1",
            as_of=str(at.date()),
            started_at=at,
            seconds=3.0,
            model_version="m1",
            status="alarm" if last else "quiet",
            windows={"reference": {"tickets": 900}, "current": {"tickets": 400 + night}},
            summary=summary_of(night),
            report=f"reports/{LAST}.json" if last else None,
        )
        monitor_log.record_run(service.engine, run, results_of(night), [alarm_at(at)] if last else [])
    for day, kind in ((3, "promoted"), (8, "rejected")):
        at = START + timedelta(days=day)
        monitor_log.record_event(service.engine, kind, at=at, model_version="m1", details={"reasons": ["by hand."]})  # type: ignore[arg-type]


def alarm_at(at: datetime) -> Alarm:
    return Alarm(
        alarm_id="a1",
        run_id=LAST,
        detector="text.unseen_words",
        severity="critical",
        message="Customers use more words that are new (3 of the last 3 nights).",
        raised_at=at,
        details={
            **{"about": "tickets", "place": 1, "headline": "Customers use more words that are new"},
            "contact_types": ["Payments::Refund"],
            "words": ["scooter", "helmet", "kerb"],
            "examples": ["t-0", "t-1"],
            "recommends": "Label the tickets that wait; the next night trains a new model from them.",
        },
    )


def record_traffic(service: Service) -> None:
    """Twelve days of tickets of four types, judged by agents, and some labels."""
    rng = random.Random(6)
    for number in range(240):
        at = START + timedelta(days=number % NIGHTS, minutes=number)
        kind = rng.choices(("refund", "invoice", "login", "delete"), (4, 3, 2, 1))[0]
        made = suggest(service.engine, number, at, kind, language=rng.choice(("en", "de")))
        right = rng.random() > 0.12 + 0.02 * (number % NIGHTS)
        sent = f"t-{rng.choice(('refund', 'invoice'))}"
        edited = 0.4 if sent == "t-invoice" else 0.0
        judge(service.engine, made, "accepted" if right else "corrected", template=sent, edited=edited)
    shares = ("random", "unsure", "diverse")
    for number in range(24):
        label(service.engine, f"L-{number}", shares[number % 3], START + timedelta(days=number % NIGHTS), seconds=45)


def test_one_look_tells_how_things_are(service: Service, page: Page) -> None:
    record_nights(service)
    record_traffic(service)
    page.goto("/dashboard")
    expect(page.get_by_role("heading", level=1)).to_have_text("Customers use more words that are new")
    expect(page.get_by_text("On the night of 2026-03-13 the estimate is unknown")).to_be_visible()
    for chart in (
        "quality",
        "acceptance",
        "volumes",
        "label_shift",
        "labels",
        *(f"drift-{number}" for number in range(1, 6)),
    ):
        expect(page.locator(f"#chart-{chart}.drawn svg")).to_be_visible()
    expect(page.locator("figcaption", has_text="Number of tickets")).to_contain_text("unknown")
    expect(page.get_by_role("row", name="Your invoice").get_by_text("always edited")).to_be_visible()
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "dashboard.png", full_page=True)
    source, found = (AXE / "axe.min.js").read_text(encoding="utf-8"), []
    for summary in page.locator("main summary").all():
        if "Evidently" not in summary.inner_text():
            summary.click()
    expect(page.get_by_role("cell", name="accepted by agents").first).to_be_visible()
    page.evaluate(source)
    found += faults(page)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 375, "height": 800})
    page.reload()
    for chart in ("quality", "volumes", "label_shift", "drift-1"):
        expect(page.locator(f"#chart-{chart}.drawn svg")).to_be_visible()
    page.screenshot(path=ARTEFACTS / "dashboard-phone.png", full_page=True)
    page.evaluate(source)
    found += faults(page)
    assert not found, "\n".join(found)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375


def test_filters_are_chosen_on_the_page_and_stand_in_the_address(service: Service, page: Page) -> None:
    record_traffic(service)
    page.goto("/dashboard")
    page.get_by_label("Period").select_option("7")
    page.get_by_label("Language").select_option("de")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(f"{service.address}/dashboard?days=7&since=&until=&language=de&channel=")
    expect(page.get_by_text("2026-03-07 to 2026-03-13")).to_be_visible()
    volumes = page.locator("section", has=page.get_by_role("heading", name="What people write about"))
    volumes.locator("summary").click()
    with page.expect_download() as saved:
        volumes.get_by_role("link", name="CSV").click()
    assert saved.value.suggested_filename == "volumes-2026-03-07-2026-03-13.csv"


def test_evidently_is_fetched_when_it_is_opened_into_a_frame_that_can_reach_nothing(
    service: Service, page: Page
) -> None:
    record_nights(service)
    body = "<script>document.write('<p id=drawn>drawn ' + (window.origin) + '</p>')</script>"
    (service.workspace.reports / f"{LAST}.json").write_text('{"metrics": []}')
    (service.workspace.reports / f"{LAST}.html").write_text(f"<!doctype html><html><body>{body}</body></html>")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/dashboard")
    expect(page.locator("#chart-quality.drawn svg")).to_be_visible()
    report = f"{service.address}/dashboard/runs/{LAST}/report"
    assert report not in asked
    page.locator("summary", has_text="Evidently report").click()
    expect(page.frame_locator("#evidently iframe").locator("#drawn")).to_have_text("drawn null")
    page.get_by_role("link", name=LAST[:10], exact=True).click()
    expect(page.get_by_role("heading", name=f"Night of {LAST[:10]}")).to_be_visible()
    expect(page.frame_locator("iframe.report").locator("#drawn")).to_have_text("drawn null")
