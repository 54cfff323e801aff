"""The console in a real browser, by keyboard alone: filter, choose, correct, reply, accept, undo."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, Route, expect

from tickets.database import feedback

if TYPE_CHECKING:
    from tests.service.conftest import Service
    from tests.service.console.conftest import Visit

ARTEFACTS = Path(__file__).parents[2] / "artefacts"
SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
REFUND = "Hi team, I was charged twice and want my money back. Thanks."
LOGIN = "Hello, I cannot sign in. What can I do?"


def send(service: Service, subject: str, body: str, **more: object) -> str:
    ticket = {"subject": subject, "body": body, "channel": "email", **more}
    answer = service.client.post("/v1/suggestions", json={"ticket": ticket})
    suggestion_id: str = answer.json()["suggestion_id"]
    return suggestion_id


def kept(service: Service, *, standing: bool = True) -> list[sa.Row[tuple[object, ...]]]:
    query = sa.select(feedback).order_by(feedback.c.at)
    with service.engine.connect() as connection:
        return list(connection.execute(query.where(feedback.c.withdrawn_at.is_(None)) if standing else query).all())


def picture(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"console-{name}.png", full_page=True)


def opened(page: Page, subject: str) -> None:
    """The ticket is open, and its scripts listen."""
    expect(page.get_by_role("heading", name=subject)).to_be_visible()
    page.wait_for_load_state("load")


def say_name(page: Page, name: str) -> None:
    page.goto("/console")
    page.get_by_label("You are").fill(name)
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()


def test_from_the_queue_to_a_sent_reply_by_keyboard_alone(service: Service, page: Page) -> None:
    send(service, "Sign in", LOGIN)
    send(service, "Charged twice", REFUND, attributes={"customer_name": "Maria", "city": "Lisbon"})
    send(service, "Über 100% charged", REFUND, channel="chat")
    say_name(page, "Ana")
    picture(page, "queue")

    page.keyboard.press("/")
    page.keyboard.type("charged TWICE")  # all three words of two tickets, whatever the case
    expect(page.locator("#queue a.open")).to_have_count(2)
    expect(page).to_have_url(re.compile("text=charged"))
    expect(page.get_by_label("Search subject")).to_be_focused()
    page.keyboard.press("Tab")
    page.get_by_label("Channel").focus()
    page.keyboard.type("email")
    expect(page.locator("#queue a.open")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    opened(page, "Charged twice")
    page.keyboard.press("1")
    page.keyboard.press("t")
    reply = page.get_by_label("Reply", exact=False).and_(page.locator("textarea"))
    expect(reply).to_have_value(re.compile("Hello Maria, "))
    page.keyboard.press("e")
    expect(reply).to_be_focused()
    picture(page, "ticket")
    page.keyboard.type("12 EUR")  # the first open place is selected
    expect(page.get_by_text("Nothing is left to fill.")).to_be_visible()
    page.keyboard.press("End")
    page.keyboard.type(" Sorry!")
    page.keyboard.press("Escape")
    page.keyboard.press("a")

    expect(page.get_by_text("Feedback kept: accepted.")).to_be_visible()
    page.wait_for_load_state("load")
    (row,) = kept(service)
    assert (row.action, row.agent) == ("accepted", "Ana")
    assert row.template_id is not None
    assert 0.05 < row.edit_distance < 0.5
    page.keyboard.press("u")
    expect(page.get_by_text("Feedback taken back.")).to_be_visible()
    opened(page, "Charged twice")
    assert kept(service) == []
    page.keyboard.press("q")
    expect(page.locator("#queue a.open")).to_have_text(["Charged twice"])  # the filter was kept all the way


@SQLITE
def test_a_type_is_found_in_the_tree_and_sent_by_keyboard(service: Service, page: Page) -> None:
    send(service, "Sign in", LOGIN)
    say_name(page, "Ana")
    page.keyboard.press("n")
    opened(page, "Sign in")
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Search contact types")
    expect(field).to_be_focused()
    below = "([tree, bar]) => bar.getBoundingClientRect().top - tree.getBoundingClientRect().bottom"
    ends = [page.locator(one).element_handle() for one in ("#found", "#actions")]
    assert page.evaluate(below, ends) >= 0  # the tree is in sight, not behind the buttons
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowLeft")  # closes Payments
    expect(page.get_by_role("treeitem", name="Payments", exact=False).first).to_have_attribute("aria-expanded", "false")
    page.keyboard.type("closed shall")  # words of the description
    page.keyboard.press("Enter")  # before the list has come
    expect(page.get_by_role("button", name="Correct")).to_be_focused()
    expect(page.locator("#found-said")).to_contain_text("Chosen: Close account")
    assert page.locator("input[name=suggested_type]:checked").count() == 0
    picture(page, "correct")
    page.keyboard.press("a")  # accepts nothing: no suggested type is chosen any more
    assert kept(service) == []
    page.keyboard.press("c")
    expect(page.get_by_text("No ticket waits")).to_be_visible()
    (row,) = kept(service)
    assert (row.action, row.contact_type, row.agent) == ("corrected", "delete", "Ana")

    send(service, "Again", LOGIN)
    page.goto("/console")
    page.keyboard.press("n")
    expect(page.get_by_role("tree").get_by_role("treeitem").first).to_contain_text("Recently used")
    expect(page.get_by_role("tree").get_by_role("treeitem").nth(1)).to_contain_text("Close account")


@SQLITE
def test_tab_jumps_between_open_places_and_a_draft_is_not_lost(service: Service, page: Page) -> None:
    suggestion = send(service, "Charged twice", REFUND)
    page.goto(f"/console/suggestions/{suggestion}")
    page.get_by_role("radio", name="Refund on its way").check()
    reply = page.locator("#reply-text")
    expect(reply).to_have_value("Hello {{name}}, we refund {{amount}}.")
    reply.focus()
    reply.evaluate("box => box.setSelectionRange(0, 0)")
    selected = "(box) => box.value.slice(box.selectionStart, box.selectionEnd)"
    for wanted in ("{{name}}", "{{amount}}"):
        page.keyboard.press("Tab")
        assert reply.evaluate(selected) == wanted
    page.keyboard.press("Shift+Tab")
    assert reply.evaluate(selected) == "{{name}}"
    page.keyboard.type("Jo")
    expect(page.locator("#reply-missing mark")).to_have_text(["{{amount}}"])
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(reply).not_to_be_focused()  # past the last one, Tab leaves

    page.keyboard.press("f")
    page.keyboard.type("password")
    found = page.locator("#found-templates").get_by_role("radio", name="Reset your password")
    found.check()
    expect(reply).to_have_value("Hello {{name}}, reset it at {{link}}.")
    page.get_by_role("radio", name="Refund on its way").check()
    expect(reply).to_have_value("Hello Jo, we refund {{amount}}.")

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.keyboard.press("x")
    expect(page.get_by_text("Copied. 1 place is still to fill.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "Hello Jo, we refund {{amount}}."


@SQLITE
def test_the_list_refreshes_without_losing_the_focus_and_the_address_is_a_bookmark(
    service: Service, page: Page
) -> None:
    send(service, "First", REFUND)
    page.goto("/console")
    page.keyboard.press("j")
    send(service, "Second", LOGIN)
    page.evaluate("htmx.ajax('GET', '/console', {target: '#queue', select: '#queue', swap: 'outerMorph'})")
    expect(page.locator("#queue a.open")).to_have_text(["Second", "First"])
    expect(page.get_by_role("link", name="First", exact=True)).to_be_focused()
    page.get_by_label("Contact type").select_option("payments")  # a whole branch
    expect(page.locator("#queue a.open")).to_have_count(1)
    page.get_by_label("Order").select_option("oldest")
    expect(page).to_have_url(re.compile(r"type=payments&order=oldest"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"type=payments$"))
    expect(page.get_by_label("Order")).to_have_value("newest")
    page.go_back()
    expect(page.locator("#queue a.open")).to_have_count(2)

    page.wait_for_load_state("load")
    page.get_by_label("Search subject").fill("first")
    expect(page).to_have_url(re.compile("text=first"))
    with page.expect_response("**/console?*"):  # leaving the field asks again, which is no step to go back by
        page.keyboard.press("Tab")
    page.go_back()
    expect(page).to_have_url(re.compile("/console$"))


@SQLITE
def test_two_steps_back_at_once_show_the_list_of_the_address(service: Service, page: Page) -> None:
    send(service, "First", REFUND)
    send(service, "Second", LOGIN)
    page.goto("/console")
    page.get_by_label("Contact type").select_option("payments")
    expect(page).to_have_url(re.compile(r"type=payments$"))
    page.get_by_label("Order").select_option("oldest")
    expect(page).to_have_url(re.compile(r"order=oldest"))
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/htmx.min.js", hold)  # so the page of the first step is still loading when the second one comes
    page.go_back(wait_until="commit")
    expect(page.get_by_label("Order")).to_have_value("newest")
    page.go_back(wait_until="commit")
    expect(page).to_have_url(re.compile("/console$"))
    assert held
    page.unroute("**/htmx.min.js")  # lets go what was held
    expect(page.locator("#queue a.open")).to_have_text(["Second", "First"])


@SQLITE
def test_help_and_colours(service: Service, page: Page) -> None:
    send(service, "Sign in", LOGIN)
    page.goto("/console")
    page.keyboard.press("n")
    opened(page, "Sign in")
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("correct: send the type chosen in the tree")
    page.keyboard.press("q")  # the dialog has the keys
    expect(dialog).to_be_visible()
    picture(page, "keys")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()

    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Dark colours").click()
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    assert page.evaluate(background) == dark
    page.emulate_media(color_scheme="dark")
    page.get_by_role("button", name="Light colours").click()
    page.reload()
    assert page.evaluate(background) == light


def test_the_api_page_works_without_the_internet(page: Page) -> None:
    page.goto("/docs")
    expect(page.get_by_role("heading", name="Ticket triage")).to_be_visible()
    expect(page.get_by_text("/v1/suggestions/batch")).to_be_visible()


@SQLITE
def test_without_scripts_all_of_it_works_by_plain_forms(service: Service, visit: Visit) -> None:
    send(service, "Charged twice", REFUND, attributes={"customer_name": "Maria"})
    page = visit(java_script_enabled=False)
    page.goto("/console")
    page.get_by_label("Search subject").fill("charged")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Charged twice").click()
    page.locator("summary", has_text="Find another template").click()
    page.get_by_label("Words of the template").fill("refund")
    page.get_by_label("Search contact types").fill("closed shall")
    page.get_by_role("button", name="Find templates").click()
    page.get_by_role("radio", name="Close account The account").check()
    page.get_by_role("radio", name="Refund on its way").first.check()
    page.get_by_role("button", name="Insert the chosen template").click()
    expect(page.locator("#reply-text")).to_have_value(re.compile("we refund"))
    expect(page.get_by_role("radio", name="Close account The account")).to_be_checked()
    page.locator("#reply-text").fill("Hello Maria, we refund 5.")
    page.get_by_role("button", name="Correct").click()
    expect(page.get_by_text("Feedback kept: corrected.")).to_be_visible()
    (row,) = kept(service)
    assert (row.action, row.contact_type, row.template_id) == ("corrected", "delete", "t-refund")
    assert row.edit_distance is not None
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Feedback taken back.")).to_be_visible()
    assert kept(service) == []


@SQLITE
def test_it_is_readable_at_200_per_cent_and_on_a_phone(service: Service, visit: Visit) -> None:
    suggestion = send(service, "Charged twice", "please refund my ride " + "x" * 300)
    for name, width, height, factor in (("zoomed", 640, 450, 2.0), ("phone", 375, 700, 1.0)):
        # 200 % zoom is a window of half the size with twice the pixels.
        page = visit(viewport={"width": width, "height": height}, device_scale_factor=factor)
        for path in ("/console", f"/console/suggestions/{suggestion}", "/console/tickets/new", "/labels"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, path)
        page.goto(f"/console/suggestions/{suggestion}")
        page.get_by_role("radio", name="Refund on its way").check()
        expect(page.locator("#reply-text")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.emulate_media(color_scheme="dark")
        picture(page, f"{name}-dark")
        page.context.close()


@SQLITE
def test_a_piece_that_cannot_be_fetched_is_told_and_nothing_is_lost(service: Service, visit: Visit) -> None:
    suggestion = send(service, "Sign in", LOGIN)
    page = visit()
    page.goto(f"/console/suggestions/{suggestion}")
    page.get_by_role("radio", name="Reset your password").check()
    expect(page.locator("#reply-text")).to_have_value(re.compile("reset it"))
    page.route("**/draft", lambda route: route.fulfill(status=503, headers={"Retry-After": "7"}, body="busy"))
    page.get_by_role("radio", name="None of these").check()
    expect(page.get_by_role("alert").filter(has_text="Try again in 7 seconds")).to_be_visible()
    expect(page.locator("#reply-text")).to_have_value(re.compile("reset it"))
    page.unroute("**/draft")
    page.route("**/draft", lambda route: route.abort())
    page.get_by_role("radio", name="Account closed").check()
    expect(page.get_by_role("alert").filter(has_text="cannot be reached")).to_be_visible()


@SQLITE
def test_pressing_twice_sends_once(service: Service, page: Page) -> None:
    suggestion = send(service, "Sign in", LOGIN)
    page.goto(f"/console/suggestions/{suggestion}")
    page.get_by_role("button", name="Accept").dblclick()
    expect(page.get_by_text("Feedback kept: accepted.")).to_be_visible()
    assert len(kept(service, standing=False)) == 1
