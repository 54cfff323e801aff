"""Every page before there is anything to show: it says what will be there and the command that brings it, and axe finds
nothing to complain about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, sync_playwright

from service.pages.words import commands
from tests.service.console.test_axe import AXE, faults
from tickets.database import open_database
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.conftest import Start

CHROMIUM = Path("/usr/bin/chromium")
BRINGS = {  # a page, and the command (or address) on it that fills it
    "/console": "triage train --promote",
    "/console/tickets/new": "triage train --promote",
    "/labels": "triage nightly",
    "/labels/suspects": "triage nightly",
    "/labels/disputes": "triage nightly",
    "/labels/people": "triage nightly",
    "/themes": "triage nightly",
    "/dashboard": "triage import",
    "/dashboard/experiments": "triage tune",
}
CHARTS = {  # a section of the dashboard, and what fills it
    "quality": "triage nightly",
    "acceptance": "POST /v1/feedback",
    "volumes": "POST /v1/suggestions",
    "label-shift": "triage nightly",
    "drift": "triage nightly",
    "templates": "triage templates mine",
    "labels": "triage nightly",
    "models": "triage train",
    "nights": "triage nightly",
}


@pytest.fixture
def empty_engine(tmp_path: Path) -> Iterator[sa.Engine]:
    opened = open_database(f"sqlite:///{tmp_path / 'triage.db'}")
    yield opened
    opened.dispose()


@pytest.fixture
def page(start: Start, workspace: Workspace, empty_engine: sa.Engine, key: str) -> Iterator[Page]:
    """A signed-in page of a service over a workspace in which nothing was done."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    with start(workspace, empty_engine) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(base_url=address, viewport={"width": 1280, "height": 900})
        opened.goto("/login")
        assert "first start of triage serve" in opened.inner_text("main")
        opened.goto(f"/login?key={key}")
        opened.get_by_label("You are").fill("Ana")
        with opened.expect_navigation():
            opened.get_by_role("button", name="Save").click()
        yield opened
        browser.close()


def test_each_page_says_what_brings_something_and_is_accessible(page: Page) -> None:
    source, found = (AXE / "axe.min.js").read_text(encoding="utf-8"), []
    for address, brings in BRINGS.items():
        page.goto(address)
        page.wait_for_load_state("load")
        shown = page.locator("main code").all_inner_texts()
        if not any(brings in words for words in shown):
            found.append(f"{address} names {shown}, not {brings}")
        page.evaluate(source)
        found += [f"{address}: {fault}" for fault in faults(page)]
    assert found == []


def test_each_part_of_the_dashboard_says_what_fills_it(page: Page) -> None:
    page.goto("/dashboard")
    silent = [
        name
        for name, brings in CHARTS.items()
        if brings not in page.locator(f"section[aria-labelledby={name}]").inner_text()
    ]
    assert silent == []
    assert "`" not in page.inner_text("main")


def test_a_ticket_that_is_not_there_leads_back(page: Page) -> None:
    page.goto("/console/suggestions/nothing")
    assert "Take a ticket from the queue" in page.inner_text("main")
    assert page.get_by_role("link", name="Back to the console").is_visible()


def test_what_stands_between_backticks_is_code_and_nothing_else_is_markup() -> None:
    assert commands("Run `triage <x>` & see.") == "Run <code>triage &lt;x&gt;</code> &amp; see."
    assert commands("one ` alone") == "one ` alone"
