"""axe-core finds no serious fault on any page: light and dark, on a desktop and on a phone, with what opens opened."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from tickets.feedback_log import find_suggestion
from tickets.label_queue import LabelRequest, enqueue
from tickets.records import Ticket

if TYPE_CHECKING:
    from tests.service.conftest import Service
    from tests.service.console.conftest import Visit

AXE = Path(__file__).parents[1] / "vendor" / "axe-core"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def test_the_vendored_file_is_the_published_one() -> None:
    (written,) = re.findall(r"([0-9a-f]{64})  axe.min.js", (AXE / "README.md").read_text(encoding="utf-8"))
    assert hashlib.sha256((AXE / "axe.min.js").read_bytes()).hexdigest() == written


def faults(page: Page, *, rules: Sequence[str] = RULES, without: str | None = None) -> list[str]:
    """What axe calls serious or critical, with the elements it found it on."""
    found: dict[str, Any] = page.evaluate(
        "([rules, without]) => axe.run(without ? {exclude: [[without]]} : document, "
        "{runOnly: rules, resultTypes: ['violations']})",
        [list(rules), without],
    )
    return [
        f"{fault['id']}: {node['target']} {node.get('failureSummary', '')}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def open_picker(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.get_by_role("radio", name="Refund on its way").check()
    expect(page.locator("#reply-text")).to_be_visible()


def open_help(page: Page) -> None:
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


@pytest.fixture
def addresses(service: Service) -> dict[str, tuple[str, Callable[[Page], None] | None]]:
    """Every page by name: its address, and what to open on it."""
    asked = {"ticket": {"subject": "Charged twice", "body": "I was charged twice, refund me.", "channel": "email"}}
    suggestion = service.client.post("/v1/suggestions", json=asked).json()["suggestion_id"]
    service.settle()
    kept = find_suggestion(service.engine, suggestion)
    assert kept is not None
    wanted = Ticket(ticket_id="L-1", created_at=datetime.now(UTC), body="I want an invoice")
    request = LabelRequest(ticket=wanted, share="unsure", priority=1.0, suggestion=kept[1])
    enqueue(service.engine, [request], at=wanted.created_at)
    return {
        "queue": ("/console", None),
        "empty-queue": ("/console?text=nothing+like+it", None),
        "ticket": (f"/console/suggestions/{suggestion}", None),
        "picker": (f"/console/suggestions/{suggestion}", open_picker),
        "help": (f"/console/suggestions/{suggestion}", open_help),
        "new-ticket": ("/console/tickets/new", None),
        "labels": ("/labels", None),
        "themes": ("/themes", None),
        "dashboard": ("/dashboard", None),
        "docs": ("/docs", None),
        "login": ("/login", None),
        "problem": ("/console/suggestions/unknown", None),
    }


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize("width", [1280, 375], ids=["desktop", "phone"])
def test_no_serious_fault_on_any_page(
    visit: Visit,
    addresses: Mapping[str, tuple[str, Callable[[Page], None] | None]],
    width: int,
) -> None:
    page = visit(viewport={"width": width, "height": 800})
    source, found = (AXE / "axe.min.js").read_text(encoding="utf-8"), []
    page.goto("/console")
    page.get_by_label("You are").fill("Ana")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    for name, (address, open_first) in addresses.items():
        without = "#api" if name == "docs" else None  # Swagger UI's own part
        page.emulate_media(color_scheme="light")
        page.goto(address)
        if open_first is not None:
            open_first(page)
        page.evaluate(source)  # past the security policy, as nothing on the page itself could
        found += [f"{name}: {fault}" for fault in faults(page, without=without)]
        page.emulate_media(color_scheme="dark")
        found += [f"{name}, dark: {fault}" for fault in faults(page, rules=["color-contrast"], without=without)]
        if without is None:
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    assert found == []
