"""Signing in with a real browser: the link of the first start, pages of other sites, scripts in tickets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Page, expect

from tickets.catalogue import load_templates, write_templates
from tickets.records import ReplyTemplate

if TYPE_CHECKING:
    from tests.service.conftest import Service

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the browser sees no database

NASTY = "<script>window.broken = 1</script><img src=x onerror='window.broken = 1'>"


@pytest.fixture
def evil() -> Iterator[tuple[str, list[str]]]:
    """Another site, with the page it shows; another host name, so it is another site to the browser too."""
    shown = [""]

    class Shows(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the name that http.server calls
            content = shown[0].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Shows) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://localhost:{server.server_port}", shown
        server.shutdown()
        thread.join()


def test_the_link_signs_in_and_its_key_leaves_the_address(service: Service, page: Page, key: str) -> None:
    expect(page).to_have_url(f"{service.address}/console")  # the fixture opened the link
    assert page.evaluate("document.cookie") == ""
    assert key not in page.evaluate("document.referrer + location.href")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{service.address}/login")
    page.goto("/labels")
    expect(page.get_by_label("Key")).to_be_visible()
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{service.address}/labels")


def test_forms_and_links_of_another_site(service: Service, page: Page, evil: tuple[str, list[str]], key: str) -> None:
    address, shown = evil
    shown[0] = f"""
        <form method="post" action="{service.address}/console/tickets">
          <input name="body" value="please refund"><button>post</button></form>
        <a href="{service.address}/dashboard">link</a>
        <iframe src="{service.address}/console"></iframe>"""
    assert page.context.browser is not None
    other = page.context.browser.new_page()  # the page of the fixture may ask for nothing elsewhere
    other.goto(f"{service.address}/login?key={key}")
    other.goto(address)
    with other.expect_response("**/console/tickets") as posted:
        other.get_by_role("button", name="post").click()
    assert posted.value.status in (401, 403)
    other.goto(address)
    assert all("Tickets that wait" not in (frame.content()) for frame in other.frames)
    other.get_by_role("link", name="link").click()  # whoever is signed in arrives where the link leads
    other.wait_for_url(f"{service.address}/dashboard")
    expect(other.get_by_role("link", name="Dashboard")).to_be_visible()
    other.close()
    assert "No ticket waits" in service.client.get("/console").text


def test_scripts_in_tickets_and_templates_are_shown_and_not_run(service: Service, page: Page) -> None:
    kept = load_templates(service.workspace.catalogue / "templates.json")
    write_templates(
        service.workspace,
        [
            ReplyTemplate(template_id=one.template_id, title=f"{NASTY} {one.title}", body=f"{NASTY} {one.body}")
            for one in kept
        ],
    )
    ticket = {
        "subject": f"refund {NASTY}",
        "body": "please refund &lt;script&gt;window.broken = 1&lt;/script&gt; &lt;img src=x onerror=x&gt;",
        "channel": NASTY[:200],
        "attributes": {NASTY: NASTY, "city": NASTY},
    }
    made = service.client.post("/v1/suggestions", json={"ticket": ticket}).json()
    for path in ("/console", f"/console/suggestions/{made['suggestion_id']}"):
        page.goto(path)
        assert page.evaluate("window.broken") is None
        assert page.locator("main script, main img").count() == 0
    for summary in page.get_by_text("Read it").all():
        summary.click()
    expect(page.locator("blockquote").first).to_contain_text("<script>window.broken = 1</script>")
    assert page.evaluate("window.broken") is None
