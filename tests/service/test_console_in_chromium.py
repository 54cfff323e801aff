"""The console in a real browser: read a ticket, accept, correct by keyboard, and find the feedback in the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from playwright.sync_api import Page, expect

from tickets.database import feedback

if TYPE_CHECKING:
    from tests.service.conftest import Service

ARTEFACTS = Path(__file__).parents[1] / "artefacts"


def kept(service: Service) -> list[tuple[str, str | None, str | None, str | None]]:
    with service.engine.connect() as connection:
        rows = connection.execute(sa.select(feedback).order_by(feedback.c.at)).all()
    return [(row.action, row.contact_type, row.template_id, row.agent) for row in rows]


def test_an_agent_reads_accepts_and_corrects(service: Service, page: Page) -> None:
    for subject, body in (
        ("Sign in", "Hello, I cannot sign in. What can I do?"),
        ("Charged twice", "Hi team, I was charged twice and want my money back. Thanks."),
    ):
        service.client.post("/v1/suggestions", json={"ticket": {"subject": subject, "body": body, "channel": "email"}})

    page.goto("/console")
    page.get_by_label("You are").fill("Ana")
    page.get_by_role("button", name="Save").click()
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "console-queue.png", full_page=True)

    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Charged twice")).to_be_visible()
    expect(page.get_by_role("article")).to_contain_text("I was charged twice and want my money back")
    page.screenshot(path=ARTEFACTS / "console-ticket.png", full_page=True)
    page.keyboard.press("1")
    page.get_by_role("radio", name="Refund on its way").check()
    page.keyboard.press("a")

    expect(page.get_by_text("Feedback kept: accepted")).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("close acc")
    expect(page.locator("#found .choice")).to_have_count(1)
    page.keyboard.press("Enter")  # leaves the page alone: searching is not sending
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_label("Search contact types")).to_have_value("close acc")
    page.locator("#found .choice").click()
    page.screenshot(path=ARTEFACTS / "console-correct.png", full_page=True)
    page.keyboard.press("c")

    expect(page.get_by_text("No ticket waits")).to_be_visible()
    assert kept(service) == [("accepted", "refund", "t-refund", "Ana"), ("corrected", "delete", None, "Ana")]


def test_the_api_page_works_without_the_internet(page: Page) -> None:
    page.goto("/docs")
    expect(page.get_by_role("heading", name="Ticket triage")).to_be_visible()
    expect(page.get_by_text("/v1/suggestions/batch")).to_be_visible()


def test_the_pages_fit_a_phone(service: Service, page: Page) -> None:
    made = service.client.post(
        "/v1/suggestions", json={"ticket": {"body": "please refund my ride " + "x" * 300}}
    ).json()
    page.set_viewport_size({"width": 375, "height": 700})
    for path in ("/console", f"/console/suggestions/{made['suggestion_id']}", "/console/tickets/new", "/labels"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
    page.goto(f"/console/suggestions/{made['suggestion_id']}")
    page.emulate_media(color_scheme="dark")
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "console-phone-dark.png", full_page=True)
