"""Labelling in Chromium, by keyboard alone: offered types, the tree, skip, undo; and what axe-core says of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect

from tests.service.conftest import sent_by_two_presses
from tests.service.console.test_axe import AXE, RULES, faults
from tickets.database import labels
from tickets.label_queue import LabelRequest, Share, answer, counts, enqueue
from tickets.records import Ticket, suggestion_from_json

if TYPE_CHECKING:
    from tests.service.conftest import Service

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("engine", ["sqlite"], indirect=True)]
DOUBT = {"likelier": "invoice", "given_probability": 0.03, "likelier_probability": 0.91, "source": "agent"}


@pytest.fixture
def labelling(service: Service, page: Page) -> Iterator[Page]:
    """The page of a queue with five tickets, for Ann."""
    made = suggestion_from_json(
        service.client.post("/v1/suggestions", json={"ticket": {"body": "I want my money back."}}).json()
    )
    asked: tuple[tuple[str, Share, float, int], ...] = (
        ("unsure", "unsure", 0.9, 1),
        ("blind", "random", 0.8, 1),
        ("odd", "diverse", 0.7, 1),
        ("doubted", "suspect", 0.6, 1),
        ("disputed", "random", 0.5, 2),
    )
    requests = [
        LabelRequest(
            ticket=Ticket(ticket_id=name, created_at=datetime.now(UTC), body=f"This one is {name}. " * 8),
            share=share,
            priority=priority,
            suggestion=made,
            needed=needed,
            item_id=name,
            known_type="refund" if share == "suspect" else None,
            doubt=DOUBT if share == "suspect" else None,
        )
        for name, share, priority, needed in asked
    ]
    enqueue(service.engine, requests, at=datetime.now(UTC))
    for person, contact_type in (("Bob", "refund"), ("Joe", "login")):
        answer(service.engine, "disputed", contact_type=contact_type, labeler=person, at=datetime.now(UTC))
    page.goto("/labels")
    page.get_by_label("You are").fill("Ann")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    yield page


def given(service: Service) -> list[tuple[str, str, bool]]:
    query = sa.select(labels.c.item_id, labels.c.contact_type, labels.c.withdrawn_at.is_(None))
    with service.engine.connect() as connection:
        rows = connection.execute(query.where(labels.c.labeler == "Ann").order_by(labels.c.at)).all()
    return [(item, contact_type, bool(stands)) for item, contact_type, stands in rows]


def press(page: Page, key: str) -> None:
    with page.expect_navigation():
        page.keyboard.press(key)


def test_a_queue_is_worked_through_by_keyboard(service: Service, labelling: Page) -> None:
    page = labelling
    expect(page.get_by_text("This one is unsure").first).to_be_visible()
    page.keyboard.press("Enter")  # nothing is chosen yet
    expect(page.get_by_role("alert")).to_contain_text("Choose a contact type first")
    expect(page.get_by_role("group", name="Offered contact types").get_by_role("radio")).not_to_have_count(0)
    page.locator(".body").focus()
    page.keyboard.press("ArrowDown")  # out of the form the arrows scroll
    expect(page.locator("input[name=suggested_type]:checked")).to_have_count(0)
    page.get_by_role("button", name="Skip").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    second = page.locator("input[name=suggested_type]").nth(1)
    expect(second).to_be_checked()
    chosen = second.get_attribute("value")
    press(page, "Enter")
    assert given(service) == [("unsure", chosen, True)]

    expect(page.get_by_text("This one is blind").first).to_be_visible()
    expect(page.locator("input[name=suggested_type]")).to_have_count(0)
    page.get_by_role("button", name="Skip").focus()
    page.keyboard.press("ArrowDown")  # nothing is offered: the tree has the arrows
    page.keyboard.type("receipt")
    page.keyboard.press("Enter")
    expect(page.locator("#found-said")).to_contain_text("Chosen:")
    press(page, "Enter")
    assert given(service)[1:] == [("blind", "invoice", True)]

    press(page, "u")
    expect(page.get_by_text("This one is blind").first).to_be_visible()
    assert given(service)[1:] == [("blind", "invoice", False)]
    press(page, "s")
    expect(page.get_by_text("This one is odd").first).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("input[name=suggested_type]").first).to_be_checked()
    press(page, "a")
    expect(page.get_by_text("This one is doubted").first).to_be_visible()
    page.keyboard.press("2")
    press(page, "Enter")
    assert [row[:2] for row in given(service)][-1] == ("doubted", "invoice")
    expect(page.get_by_text("Nothing waits for a label from you.")).to_be_visible()
    assert counts(service.engine) == {"done": 3, "skipped": 1, "disputed": 1}

    page.get_by_role("link", name="Disputes 1").focus()
    press(page, "Enter")  # a link that has the focus is followed, nothing is sent
    page.keyboard.press("2")
    press(page, "Enter")
    assert given(service)[-1][0] == "disputed"
    expect(page.get_by_text("No dispute waits for you.")).to_be_visible()


def test_axe_finds_nothing_on_any_page_of_labels(service: Service, labelling: Page) -> None:
    source, found = (AXE / "axe.min.js").read_text(encoding="utf-8"), []
    for width in (1280, 375):
        labelling.set_viewport_size({"width": width, "height": 800})
        for address in (
            "/labels",
            "/labels?only=suspect",
            "/labels/suspects",
            "/labels/people",
            "/labels/disputes",
            "/labels?done=labelled&item=x",
        ):
            for scheme in ("light", "dark"):
                labelling.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
                labelling.goto(address)
                labelling.evaluate(source)
                rules = RULES if scheme == "light" else ["color-contrast"]
                found += [f"{address} {width} {scheme}: {fault}" for fault in faults(labelling, rules=rules)]
            assert labelling.evaluate("document.documentElement.scrollWidth") <= width, address
    assert found == []


def test_undo_pressed_twice_is_undone_once(service: Service, labelling: Page) -> None:
    labelling.get_by_role("button", name="Skip").click()
    expect(labelling.get_by_text("Set aside.")).to_be_visible()
    assert sent_by_two_presses(labelling, "u", "**/undo") == 1
    expect(labelling.get_by_text("Taken back. The ticket waits for you again.")).to_be_visible()
