"""The sidebar in a real browser, framed as Chatwoot and Zendesk frame it, each page on a port of its own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from playwright.sync_api import FrameLocator, Page, Route, expect, sync_playwright

from service.app import create_app, running
from service.helpdesks.options import HelpdeskOptions, Helpdesks
from service.options import ServiceOptions
from tests.service.conftest import KEY, admit
from tickets.catalogue import read_templates, write_templates
from tickets.database import feedback, suggestions
from tickets.workspace import Workspace

if TYPE_CHECKING:
    import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[3]
ZENDESK_APP = ROOT / "deploy" / "helpdesks" / "zendesk"
ARTEFACTS = ROOT / "tests" / "artefacts"
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
CONTEXT = {
    "event": "appContext",
    "data": {
        "conversation": {
            "id": 612,
            "meta": {"channel": "Channel::WebWidget", "sender": {"id": 29}},
            "additional_attributes": {},
            "messages": [
                {"id": 2, "content": "Are you there?", "message_type": 0, "created_at": 1772443900},
                {
                    "id": 1,
                    "content": "Hello, please close my account. Thanks.",
                    "message_type": 0,
                    "created_at": 1772443800,
                },
                {"id": 3, "content": "We are looking into it.", "message_type": 1, "created_at": 1772444000},
            ],
        },
        "contact": {"id": 29, "name": "still-river-201"},
        "currentAgent": {"id": 5, "name": "Emma", "email": "emma@rondo.example"},
    },
}
_CHATWOOT = """<!doctype html><title>Chatwoot</title><link rel="icon" href="data:,">
<iframe id="app" width="360" height="800" src="{sidebar}"></iframe>
<script>
  const context = {context};
  window.addEventListener("message", (event) => {{
    if (event.data === "chatwoot-dashboard-app:fetch-info")
      document.getElementById("app").contentWindow.postMessage(JSON.stringify(context), "*");
  }});
</script>"""
_INTRUDER = """<!doctype html><title>Intruder</title>
<script>parent.frames[0].postMessage({context}, "*"); document.title = "sent";</script>"""
_SDK = """
window.ZAFClient = {{ init: () => ({{
  metadata: async () => ({{ settings: {{ triage_url: "{url}", triage_key: "{key}" }} }}),
  get: async () => ({{ "ticket.id": 5158, "ticket.subject": "Charged twice", "ticket.via": {{ channel: "email" }},
    "ticket.description": "Hi team, I was charged twice and want my money back. Thanks.",
    "ticket.createdAt": "2026-03-02T09:30:00Z", "ticket.requester.id": 844, "currentUser.name": "Ana" }}),
  invoke: async (name, ...given) => {{ (window.invoked ??= []).push([name, ...given]); }},
  on: () => {{}},
}}) }};
"""


@pytest.fixture
def browser_page() -> Iterator[Page]:
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = browser.new_page(viewport={"width": 420, "height": 860})
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        opened.complaints = complaints  # type: ignore[attr-defined]
        yield opened
        browser.close()


@contextlib.contextmanager
def pages(*routes: tuple[str, Callable[[], str]]) -> Iterator[str]:
    """HTML pages on a port of their own; each is written when it is asked for."""
    app = FastAPI()
    for path, written in routes:
        app.add_api_route(path, lambda written=written: HTMLResponse(written()))
    app.add_api_route("/assets/{name}", lambda name: FileResponse(ZENDESK_APP / "assets" / name))
    app.state.options = ServiceOptions()  # the limits of connections that `running` sets
    with running(app) as address:
        yield address


@contextlib.contextmanager
def service_for(trained: Workspace, engine: sa.Engine, *origins: str, prefix: str = "") -> Iterator[str]:
    admit(engine)
    one = HelpdeskOptions(ticket_prefix=prefix)
    options = ServiceOptions(frame_ancestors=origins, helpdesks=Helpdesks(zendesk=one, chatwoot=one))
    with running(create_app(trained, engine, options)) as address:
        yield address


def kept(engine: sa.Engine) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        joined = feedback.join(suggestions, feedback.c.suggestion_id == suggestions.c.suggestion_id)
        columns = (feedback.c.action, feedback.c.contact_type, feedback.c.template_id, feedback.c.agent)
        rows = connection.execute(
            joined.select().with_only_columns(*columns, suggestions.c.ticket_id).order_by(feedback.c.at)
        ).all()
    return [tuple(row) for row in rows]


def test_an_agent_accepts_in_chatwoot(browser_page: Page, trained: Workspace, lite: sa.Engine) -> None:
    told: dict[str, str] = {}
    asked: list[tuple[str, str | None]] = []
    browser_page.on("request", lambda made: asked.append((made.url, made.headers.get("authorization"))))
    host = _CHATWOOT.replace("{context}", json.dumps(CONTEXT).replace("{", "{{").replace("}", "}}"))
    with (
        pages(("/", lambda: host.format(sidebar=told["service"] + f"/sidebar#key={KEY}"))) as chatwoot,
        service_for(trained, lite, "https://*.example.com", chatwoot) as service,
    ):
        told["service"] = service
        browser_page.goto(chatwoot)
        sidebar = browser_page.frame_locator("#app")
        expect(sidebar.get_by_text("Account › Close account").first).to_be_visible()
        ARTEFACTS.mkdir(exist_ok=True)
        browser_page.screenshot(path=ARTEFACTS / "sidebar-chatwoot.png")
        sidebar.get_by_role("button", name="Copy Account closed").press("Enter")
        expect(sidebar.get_by_role("status")).to_have_text("Copied: Account closed")
        browser_page.evaluate("document.body.append(document.createElement('textarea'))")
        browser_page.locator("body > textarea").press("Control+v")
        assert browser_page.locator("body > textarea").input_value() == "Hello {{name}}, your account is closed."
        sidebar.get_by_role("button", name="Accept Account › Close account").press("Enter")
        expect(sidebar.get_by_role("status")).to_have_text("Feedback kept: accepted.")
        browser_page.emulate_media(color_scheme="dark")
        browser_page.screenshot(path=ARTEFACTS / "sidebar-chatwoot-dark.png")
        inside = [(url, key) for url, key in asked if url.startswith(service)]
        assert all(url.startswith((service, chatwoot)) for url, _ in asked), "nothing is fetched from elsewhere"
        assert {key for url, key in inside if "/v1/" in url} == {f"Bearer {KEY}"}
        assert not any(KEY in url for url, _ in inside)
    assert kept(lite) == [("accepted", "delete", "t-delete", "Emma", "612")]
    assert browser_page.complaints == []  # type: ignore[attr-defined]


def test_html_is_copied_as_text_and_tickets_have_the_ids_of_the_webhooks(
    browser_page: Page, served: Workspace, lite: sa.Engine
) -> None:
    body = "<p>Hello {{name}},</p><p>your account is <b>closed</b>.</p><script>window.broken = 1</script>"
    write_templates(served, [dataclasses.replace(one, body=body) for one in read_templates(served)])
    told: dict[str, str] = {}
    host = _CHATWOOT.replace("{context}", json.dumps(CONTEXT).replace("{", "{{").replace("}", "}}"))
    with (
        pages(("/", lambda: host.format(sidebar=told["service"] + f"/sidebar#key={KEY}"))) as chatwoot,
        service_for(served, lite, chatwoot, prefix="chat-") as service,
    ):
        told["service"] = service
        browser_page.goto(chatwoot)
        sidebar = browser_page.frame_locator("#app")
        shown = sidebar.get_by_label("Account closed", exact=True).input_value()
        assert shown == "Hello {{name}},\n\nyour account is closed."
        sidebar.get_by_role("button", name="Accept Account › Close account").press("Enter")
        expect(sidebar.get_by_role("status")).to_have_text("Feedback kept: accepted.")
    assert kept(lite) == [("accepted", "delete", None, "Emma", "chat-612")]
    assert browser_page.complaints == []  # type: ignore[attr-defined]


@contextlib.contextmanager
def _in_chatwoot(page: Page, trained: Workspace, engine: sa.Engine) -> Iterator[FrameLocator]:
    """The sidebar beside the conversation of CONTEXT."""
    told: dict[str, str] = {}
    host = _CHATWOOT.replace("{context}", json.dumps(CONTEXT).replace("{", "{{").replace("}", "}}"))
    with (
        pages(("/", lambda: host.format(sidebar=told["service"] + f"/sidebar#key={KEY}"))) as chatwoot,
        service_for(trained, engine, chatwoot) as service,
    ):
        told["service"] = service
        page.goto(chatwoot)
        yield page.frame_locator("#app")


def test_an_agent_corrects_by_search(browser_page: Page, trained: Workspace, lite: sa.Engine) -> None:
    with _in_chatwoot(browser_page, trained, lite) as sidebar:
        sidebar.get_by_text("Another contact type").click()
        sidebar.get_by_label("Search").fill("Payments::Invoice")
        sidebar.get_by_label("Search").press("Enter")
        expect(sidebar.get_by_role("status")).to_have_text("Feedback kept: corrected.")
    assert kept(lite) == [("corrected", "invoice", None, "Emma", "612")]


def test_a_mind_changed_back_is_kept_and_a_failed_send_is_kept_once(
    browser_page: Page, trained: Workspace, lite: sa.Engine
) -> None:
    with _in_chatwoot(browser_page, trained, lite) as sidebar:
        accept = sidebar.get_by_role("button", name="Accept Account › Close account")
        accept.click()
        expect(sidebar.get_by_role("status")).to_have_text("Feedback kept: accepted.")
        sidebar.get_by_text("Another contact type").click()
        sidebar.get_by_label("Search").fill("Payments::Invoice")
        sidebar.get_by_role("button", name="Correct").click()
        expect(sidebar.get_by_role("status")).to_have_text("Feedback kept: corrected.")

        def keep_and_lose_the_answer(route: Route) -> None:
            route.fetch()
            route.abort()

        browser_page.route("**/v1/feedback", keep_and_lose_the_answer)
        accept.click()
        expect(sidebar.get_by_role("status")).to_contain_text("Feedback not kept")
        browser_page.unroute("**/v1/feedback")
        accept.click()
        expect(sidebar.get_by_role("status")).to_have_text("Feedback kept: accepted.")
    assert [row[:2] for row in kept(lite)] == [("accepted", "delete"), ("corrected", "invoice"), ("accepted", "delete")]


def test_a_foreign_page_is_not_listened_to_and_may_not_frame_it(
    browser_page: Page, trained: Workspace, lite: sa.Engine
) -> None:
    """The host says nothing; a foreign frame in it sends a whole context, and a foreign page frames the sidebar."""
    told: dict[str, str] = {}

    def silent_host() -> str:
        return (
            f'<iframe id="app" src="{told["service"]}/sidebar"></iframe>'
            f'<button onclick="document.getElementById(`other`).src=`{told["foreign"]}/intruder`">let in</button>'
            '<iframe id="other"></iframe>'
        )

    with (
        pages(
            ("/intruder", lambda: _INTRUDER.replace("{context}", json.dumps(json.dumps(CONTEXT)))),
            ("/frame", lambda: f'<iframe id="app" src="{told["service"]}/sidebar"></iframe>'),
        ) as foreign,
        pages(("/", silent_host)) as host,
        service_for(trained, lite, host) as service,
    ):
        told |= {"service": service, "foreign": foreign}
        browser_page.goto(host)
        sidebar = browser_page.frame_locator("#app")
        expect(sidebar.get_by_role("status")).to_contain_text("Waiting for the helpdesk")
        browser_page.get_by_role("button").click()
        frame = browser_page.wait_for_selector("#other").content_frame()  # type: ignore[union-attr]
        frame.wait_for_function("document.title === 'sent'")  # type: ignore[union-attr]
        browser_page.wait_for_timeout(300)
        expect(sidebar.get_by_role("status")).to_contain_text("Waiting for the helpdesk")

        browser_page.goto(f"{foreign}/frame")
        browser_page.wait_for_timeout(300)
        expect(browser_page.frame_locator("#app").get_by_role("status")).to_have_count(0)
        assert any("frame-ancestors" in said for said in browser_page.complaints)  # type: ignore[attr-defined]
    with lite.connect() as connection:
        assert connection.execute(suggestions.select()).all() == []


def test_the_zendesk_app_passes_the_ticket_and_inserts_a_template(
    browser_page: Page, trained: Workspace, lite: sa.Engine
) -> None:
    """The app as it is packed, with a stand-in for the SDK that Zendesk serves."""
    told: dict[str, str] = {}

    def sdk(route: Route) -> None:
        body = _SDK.format(url=told["service"], key=KEY)
        route.fulfill(body=body, content_type="text/javascript")

    browser_page.route("https://static.zdassets.com/**", sdk)
    page = (ZENDESK_APP / "assets" / "iframe.html").read_text(encoding="utf-8")
    page = page.replace("<head>", '<head><link rel="icon" href="data:,">')  # it lives in a frame, which asks for none
    with (
        pages(("/assets/iframe.html", lambda: page)) as zendesk,
        service_for(trained, lite, zendesk) as service,
    ):
        told["service"] = service
        browser_page.goto(f"{zendesk}/assets/iframe.html")
        sidebar = browser_page.frame_locator("#sidebar")
        expect(sidebar.get_by_text("Payments › Refund").first).to_be_visible()
        sidebar.get_by_role("button", name="Insert Refund on its way").click()
        browser_page.wait_for_function("(window.invoked ?? []).some(([name]) => name === 'ticket.comment.appendText')")
        invoked = browser_page.evaluate("window.invoked")
        assert ["ticket.comment.appendText", "Hello {{name}}, we refund {{amount}}."] in invoked
        sidebar.get_by_role("button", name="Accept Payments › Refund").click()
        expect(sidebar.get_by_role("status")).to_have_text("Feedback kept: accepted.")
    assert kept(lite) == [("accepted", "refund", "t-refund", "Ana", "5158")]
    assert browser_page.complaints == []  # type: ignore[attr-defined]
