"""The queue in a real browser: held keys, filters that are typed, a list that comes late, steps back."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.service.conftest import Service
from tests.service.console.test_console_in_chromium import LOGIN, kept, opened, say_name, send

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def hold(page: Page, key: str, *, times: int = 4) -> None:
    """A key that is held down: it comes again and again until it is let go, on whatever page is shown then."""
    for _ in range(times):
        page.keyboard.down(key)
        page.wait_for_timeout(250)
    page.keyboard.up(key)


def test_a_held_key_answers_one_ticket_and_leaves_the_others_alone(service: Service, page: Page) -> None:
    for subject in ("First", "Second", "Third", "Fourth"):
        send(service, subject, LOGIN)
    say_name(page, "Ana")
    hold(page, "j", times=3)  # going down the list by a held key is fine
    expect(page.get_by_role("link", name="Second", exact=True)).to_be_focused()
    page.keyboard.press("n")
    opened(page, "Fourth")
    hold(page, "i")
    expect(page.get_by_text("Feedback kept: ignored.")).to_be_visible()
    opened(page, "Third")
    assert [row.action for row in kept(service, standing=False)] == ["ignored"]
    hold(page, "u")
    opened(page, "Fourth")
    assert kept(service) == []
    page.keyboard.press("q")
    expect(page.get_by_role("heading", name="Tickets that wait")).to_be_visible()
    page.wait_for_load_state("load")
    hold(page, "n")
    opened(page, "Fourth")
