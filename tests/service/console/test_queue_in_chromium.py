"""The queue in a real browser: held keys, filters that are typed, a list that comes late, steps back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.service.console.test_console_in_chromium import LOGIN, REFUND, kept, opened, say_name, send

if TYPE_CHECKING:
    from tests.service.conftest import Service
    from tests.service.console.conftest import Visit

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


def test_a_day_is_typed_into_a_filter_digit_by_digit(service: Service, page: Page) -> None:
    send(service, "First", LOGIN)
    page.goto("/console")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/console?" in request.url else None)
    since = page.get_by_label("Received since")
    since.focus()
    page.keyboard.type("01022026", delay=50)
    expect(page).to_have_url(re.compile(r"/console\?since=2026-01-02$"))
    expect(since).to_have_value("2026-01-02")
    expect(since).to_be_focused()
    assert len(asked) == 1  # nothing about the years 2, 20 and 202
    expect(page.locator("#queue a.open")).to_have_text(["First"])


def test_a_day_that_cannot_be_is_no_step_to_go_back_to(service: Service) -> None:
    by_filters = {"HX-Request": "true", "HX-Source": "form#filters"}
    answers = {
        day: service.client.get(f"/console?since={day}", headers=by_filters) for day in ("2026-01-02", "0002-01-02")
    }
    assert [(answer.status_code, "HX-Push-Url" in answer.headers) for answer in answers.values()] == [
        (200, True),
        (422, False),
    ]


def test_a_list_asked_for_before_a_filter_changed_does_not_come_after_it(service: Service, page: Page) -> None:
    send(service, "Refund", REFUND)
    send(service, "Sign in", LOGIN)
    page.clock.install()
    page.goto("/console")
    page.wait_for_load_state("load")
    late: list[Route] = []

    def by_the_list(request: Request) -> bool:
        return request.headers.get("hx-source") == "section#queue"

    page.route(
        lambda url: url.endswith("/console"), lambda r: late.append(r) if by_the_list(r.request) else r.continue_()
    )
    with page.expect_request(by_the_list):
        page.clock.fast_forward(20_500)
    page.get_by_label("Contact type").select_option("payments")
    expect(page.locator("#queue a.open")).to_have_text(["Refund"])
    for route in late:
        route.continue_()
    page.wait_for_timeout(500)
    assert late
    expect(page.locator("#queue a.open")).to_have_text(["Refund"])


@pytest.mark.parametrize("browser", ["", "Firefox/140.0"])  # htmx listens in another way there
def test_a_step_to_a_place_on_the_page_and_back_loses_no_draft(service: Service, visit: Visit, browser: str) -> None:
    suggestion = send(service, "Sign in", LOGIN)
    page = visit(user_agent=browser) if browser else visit()
    page.goto(f"/console/suggestions/{suggestion}")
    page.get_by_role("radio", name="Reset your password").check()
    reply = page.locator("#reply-text")
    expect(reply).to_have_value(re.compile("reset it"))
    reply.fill("A draft.")
    page.evaluate("window.unloaded = false")
    page.get_by_role("link", name="Skip to the content").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#main$"))
    page.go_back()
    expect(page).to_have_url(re.compile(f"{suggestion}$"))
    page.wait_for_timeout(500)
    assert page.evaluate("window.unloaded") is False
    expect(reply).to_have_value("A draft.")


def test_an_empty_page_of_the_queue_is_no_empty_queue(service: Service) -> None:
    tickets = [{"body": LOGIN, "subject": f"number {row:02}"} for row in range(27)]
    assert service.client.post("/v1/suggestions/batch", json={"tickets": tickets}).status_code == 200
    first = service.client.get("/console").text
    newest = re.findall(r'id="open-([^"]+)"', first)[0]
    (after,) = re.findall(r'href="(/console\?after=[^"]+)">After these', first)
    for suggestion in re.findall(r'id="open-([^"]+)"', service.client.get(after).text):
        service.client.post("/v1/feedback", json={"suggestion_id": suggestion, "action": "ignored"})
    for address in (after, f"/console?before={newest}"):
        page = service.client.get(address).text
        assert "No ticket waits" not in page
        assert "25 tickets wait" in page
        assert 'hx-get="/console"' in page  # and so it goes on where it is


def test_a_form_whose_sending_was_stopped_can_be_sent_again(service: Service, page: Page) -> None:
    suggestion = send(service, "Sign in", LOGIN)
    page.clock.install()
    page.goto(f"/console/suggestions/{suggestion}")
    page.wait_for_load_state("load")
    page.route("**/feedback", lambda route: route.fulfill(status=204))  # as after the browser's Stop, the page stays
    with page.expect_response("**/feedback"):
        page.keyboard.press("i")
    page.unroute("**/feedback")
    page.clock.fast_forward(11_000)
    page.keyboard.press("i")
    expect(page.get_by_text("Feedback kept: ignored.")).to_be_visible()
    assert [row.action for row in kept(service)] == ["ignored"]
