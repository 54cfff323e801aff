"""One ticket's page in a real browser: what was chosen and written stays, whatever is searched, pressed or refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, Route, expect

from tests.service.console.test_console_in_chromium import LOGIN, REFUND, kept, opened, send

if TYPE_CHECKING:
    from tests.service.conftest import Service
    from tests.service.console.conftest import Visit

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the browser sees no database


def open_ticket(service: Service, page: Page, subject: str = "Sign in", body: str = LOGIN) -> None:
    page.goto(f"/console/suggestions/{send(service, subject, body)}")
    opened(page, subject)


def search(page: Page, words: str, pressed: str, answered: str) -> None:
    """Press a key that leads to a search field, write, and wait for what is found."""
    page.keyboard.press(pressed)
    with page.expect_response(lambda answer: answered in answer.url and words.rsplit(maxsplit=1)[-1] in answer.url):
        page.keyboard.type(words)


def hold_drafts(page: Page) -> list[Route]:
    """Drafts that were asked for and wait to be let go or aborted."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/draft", hold)
    return held


def test_a_template_that_was_found_and_chosen_outlasts_another_search(service: Service, page: Page) -> None:
    open_ticket(service, page, "Charged twice", REFUND)
    found = page.locator("#found-templates")
    search(page, "password", "f", "/console/templates")
    found.get_by_role("radio", name="Reset your password").check()
    expect(page.locator("#reply-text")).to_have_value(re.compile("reset it"))
    page.locator("#template-words").fill("closed")
    expect(found.get_by_role("radio")).to_have_count(2)
    expect(found.get_by_role("radio", name="Reset your password")).to_be_checked()
    page.locator("#template-words").fill("")
    expect(found.get_by_role("radio")).to_have_count(1)
    page.locator("#reply-text").fill("Hello Jo, reset it at once.")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.get_by_text("Feedback kept: accepted.")).to_be_visible()
    (row,) = kept(service)
    assert row.template_id == "t-login"
    assert row.edit_distance is not None


def test_a_type_chosen_in_the_tree_outlasts_another_search(service: Service, page: Page) -> None:
    open_ticket(service, page)
    search(page, "closed shall", "/", "/pick/contact-types")
    page.keyboard.press("Enter")
    said = page.locator("#found-said")
    expect(said).to_contain_text("Chosen: Close account")
    page.get_by_label("Search contact types").fill("invoice")
    expect(page.locator("#found [data-kept]")).to_contain_text("Account › Close account")
    expect(page.locator("input[name=chosen_type]:checked")).to_have_value("delete")
    expect(said).to_have_text(re.compile("^1 contact type. Chosen: .*Close account"))
    expect(page.locator("#found .active")).to_contain_text("Invoice")  # Enter chooses what was found
    page.get_by_label("Search contact types").fill("nothing of the kind")
    expect(said).to_have_text(re.compile("^0 contact types. Chosen: .*Close account"))
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.get_by_text("Feedback kept: corrected.")).to_be_visible()
    assert [row.contact_type for row in kept(service)] == ["delete"]


def test_correcting_without_a_type_sends_nothing_and_says_so(service: Service, page: Page) -> None:
    open_ticket(service, page)
    page.keyboard.press("t")
    reply = page.locator("#reply-text")
    expect(reply).not_to_have_value("")
    reply.fill("Hello Jo.")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    told = page.get_by_role("alert").filter(has_text="Choose a contact type first")
    expect(told).to_be_visible()
    expect(page.get_by_label("Search contact types")).to_be_focused()
    expect(reply).to_have_value("Hello Jo.")
    page.get_by_role("radio", name="Close account", exact=False).last.check()
    expect(told).not_to_be_visible()
    assert kept(service) == []


def test_keys_that_are_pressed_before_the_reply_is_there_press_nothing(service: Service, page: Page) -> None:
    held = hold_drafts(page)
    open_ticket(service, page)
    page.keyboard.press("t")
    page.keyboard.press("e")
    page.keyboard.type("Hi Anna")  # i ignores, n goes on to the next ticket
    page.keyboard.press("Enter")
    held[0].continue_()
    expect(page.locator("#reply-text")).to_be_focused()
    page.keyboard.type("Jo")
    expect(page.locator("#reply-text")).to_have_value(re.compile("^Hello Jo, "))
    assert kept(service) == []


def test_keys_work_again_when_the_reply_does_not_come(service: Service, visit: Visit) -> None:
    page = visit()
    held = hold_drafts(page)
    open_ticket(service, page)
    page.keyboard.press("t")
    page.keyboard.press("e")
    page.keyboard.press("0")
    expect(page.get_by_role("radio", name="None of these")).not_to_be_checked()
    held[0].abort()
    expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()
    page.keyboard.press("/")
    expect(page.get_by_label("Search contact types")).to_be_focused()


def test_enter_on_a_template_accepts_nothing(service: Service, page: Page) -> None:
    open_ticket(service, page)
    page.keyboard.press("t")
    expect(page.locator("#reply-text")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("?")  # still this ticket's page, and its keys work
    expect(page.get_by_role("dialog")).to_be_visible()
    assert kept(service) == []


def test_a_reply_outlasts_the_end_of_the_session(service: Service, visit: Visit, key: str) -> None:
    page = visit()
    open_ticket(service, page)
    page.keyboard.press("t")
    expect(page.locator("#reply-text")).not_to_have_value("")
    page.locator("#reply-text").fill("Hello Jo,\nreset it.")
    page.context.clear_cookies()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="You were signed out")).to_be_visible()
    expect(page.get_by_label("Your reply")).to_have_value("Hello Jo,\nreset it.")
    with page.expect_popup() as opening:
        page.get_by_role("link", name="Sign in").click()
    login = opening.value
    login.get_by_label("Key").fill(key)
    login.get_by_role("button", name="Sign in").click()
    expect(login).to_have_url(f"{service.address}/console")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("Feedback kept: accepted.")).to_be_visible()
    assert [row.action for row in kept(service)] == ["accepted"]
    assert kept(service)[0].template_id is not None
