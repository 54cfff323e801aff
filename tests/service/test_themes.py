"""/themes over HTTP on both databases, and in a browser: shown, made a contact type, dismissed, opened again."""

from __future__ import annotations

import html
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.logged import log_suggestions
from tests.service.conftest import sent_by_two_presses
from tests.service.console.test_axe import AXE, faults
from tickets import audit, label_queue, theme_log
from tickets.api_keys import create_key
from tickets.catalogue import read_tree
from tickets.records import Suggestion, Ticket
from tickets.theme_log import Theme

if TYPE_CHECKING:
    from tests.service.conftest import Service

ARTEFACTS = Path(__file__).parents[1] / "artefacts"
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
TEXTS = (
    "The scooter battery exploded while it was charging overnight. <NAME>",
    "My scooter battery is hot & smells of smoke <script>alert(1)</script>",
    "Scooter will not charge, the battery stays at zero",
)


def keep_theme(service: Service, theme_id: str = "t1", name: str = "Scooter battery", *, tickets: int = 12) -> Theme:
    """A theme as a night records it, with its tickets in the log."""
    logged = []
    for number in range(tickets):
        ticket = Ticket(
            ticket_id=f"{theme_id}-{number}",
            created_at=MONDAY + timedelta(hours=9 * number),
            body=TEXTS[number % len(TEXTS)],
        )
        suggestion = Suggestion(
            suggestion_id=f"s-{ticket.ticket_id}",
            ticket_id=ticket.ticket_id,
            model_version="m",
            created_at=ticket.created_at,
            contact_types=(),
            templates=(),
        )
        logged.append((ticket, suggestion))
    log_suggestions(service.engine, logged)
    days: dict[str, int] = {}
    for ticket, _ in logged:
        day = ticket.created_at.date().isoformat()
        days[day] = days.get(day, 0) + 1
    theme = Theme(
        theme_id=theme_id,
        name=name,
        words=("scooter", "battery", "charging"),
        tickets=tickets,
        share=0.04,
        days=days,
        examples=[{"ticket_id": f"{theme_id}-{row}", "text": text} for row, text in enumerate(TEXTS)],
        ticket_ids=[ticket.ticket_id for ticket, _ in logged],
        nearest={"refund": 0.6, "login": 0.3},
        centroid=(1.0, 0.0),
        model_version="m",
        first_seen=logged[0][0].created_at,
        last_seen=logged[-1][0].created_at,
        run_id="night",
    )
    theme_log.record(service.engine, [theme])
    return theme


def form_of(page: str) -> dict[str, str]:
    """What the form of a theme holds when it opens."""
    return {
        "name": html.unescape(re.findall(r'<input id="name"[^>]* value="([^"]*)"', page)[0]),
        "parent": (re.findall(r'<option value="([^"]*)" selected>', page) or [""])[0],
        "description": html.unescape(re.findall(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)[0]),
        "tickets": re.findall(r'<input id="tickets"[^>]* value="(\d+)"', page)[0],
    }


def test_open_themes_are_listed_biggest_first_as_text(service: Service) -> None:
    assert "No theme is open" in service.client.get("/themes").text
    keep_theme(service)
    keep_theme(service, "t2", "Unknown fees <b>", tickets=20)
    page = service.client.get("/themes").text
    assert page.index("Unknown fees &lt;b&gt;") < page.index("Scooter battery")
    assert "<script>alert" not in page
    assert "12 tickets, 4 % of the last window" in page
    assert "seen 2026-03-02 to 2026-03-06" in page
    assert "Tickets a day: 2026-03-02 2, 2026-03-03 3, 2026-03-04 2, 2026-03-05 3, 2026-03-06 2" in page
    assert "Payments › Refund (60 %)" in page
    assert 'href="/themes" aria-current="page"' in page


def test_an_accepted_theme_is_a_contact_type_at_once_and_its_tickets_wait_for_labels(service: Service) -> None:
    theme = keep_theme(service)
    service.client.post("/person", data={"name": "Ana"})
    form = form_of(service.client.get("/themes/t1").text)
    assert form["name"] == "Scooter battery"
    assert form["parent"] == "payments"  # most of its tickets got a type of this branch
    assert form["description"].startswith(
        "About scooter, battery, charging. Customers write: “The scooter battery expl"
    )
    assert "<NAME>" not in form["description"]
    before = read_tree(service.workspace)

    form |= {"name": " Scooter  batteries ", "parent": "account", "tickets": "5"}
    answer = service.client.post("/themes/accept/t1", data=form)
    assert answer.status_code == 303
    page = service.client.get(answer.headers["location"]).text
    assert "Account › Scooter batteries is a contact type now" in page
    assert "5 of its tickets were sent" in page

    after = read_tree(service.workspace)
    made = after["Account::Scooter batteries"]
    assert (made.name, made.parent, made.active) == ("Scooter batteries", "account", True)
    assert made.description == " ".join(form["description"].split())
    assert after.version == before.version + 1
    assert {node.id for node in after.leaves()} == {node.id for node in before.leaves()} | {made.id}
    assert made.id in service.client.get("/pick/contact-types", params={"q": "scooter batt"}).text
    assert made.id in {node["id"] for node in service.client.get("/v1/contact-types").json()["contact_types"]}

    items = label_queue.claim(service.engine, "Bea", at=MONDAY, count=20)
    assert [(item.ticket.ticket_id, item.share) for item in items] == [
        (ticket_id, "theme") for ticket_id in theme.ticket_ids[:5]
    ]
    service.client.post("/person", data={"name": "Bea"})
    label = service.client.get("/labels").text
    assert re.findall(r'name="suggested_type" value="([^"]+)"', label) == [made.id]  # the model suggested nothing
    chosen = {"action": "label", "chosen_type": made.id}
    assert service.client.post(f"/labels/{items[0].item_id}", data=chosen).status_code == 303

    (kept,) = theme_log.latest_themes(service.engine)
    assert (kept.status, kept.contact_type, kept.decided_by) == ("accepted", made.id, "Ana")
    (line,) = [entry for entry in audit.entries(service.engine) if entry.action.startswith("theme")]
    assert (line.action, line.target, line.details["contact_type"]) == ("theme accepted", "t1", made.id)
    assert "smoke" not in str(line)

    assert service.client.post("/themes/accept/t1", data=form).status_code == 409
    assert service.client.post("/themes/t1/dismiss").status_code == 409
    assert service.client.post("/themes/t1/undo").status_code == 409
    assert service.client.get("/themes/t1").headers["location"] == "/themes"


def test_a_label_page_says_why_a_ticket_of_a_theme_is_asked(service: Service) -> None:
    keep_theme(service)
    service.client.post("/person", data={"name": "Ana"})
    service.client.post("/themes/accept/t1", data=form_of(service.client.get("/themes/t1").text))
    assert "it belongs to a new theme" in service.client.get("/labels").text


def test_what_cannot_be_a_contact_type_comes_back_with_the_reason(service: Service) -> None:
    keep_theme(service)
    service.client.post("/person", data={"name": "Ana"})
    before = read_tree(service.workspace)
    for wrong, said in (
        ({"name": "  "}, "cannot name a contact type"),
        ({"name": "Payments::Batteries"}, "cannot name a contact type"),
        ({"name": "a\x00b"}, "cannot name a contact type"),
        ({"name": "refund", "parent": "payments"}, "is in the tree already"),
        ({"parent": "refund"}, "is no branch of the tree"),
        ({"parent": "nowhere"}, "is no branch of the tree"),
    ):
        form = {"name": "Batteries", "parent": "", "description": "Kept <words>", "tickets": "3"} | wrong
        answer = service.client.post("/themes/accept/t1", data=form)
        assert answer.status_code == 422, wrong
        assert said in html.unescape(answer.text), wrong
        assert "Kept &lt;words&gt;" in answer.text
    assert read_tree(service.workspace) == before
    assert label_queue.counts(service.engine) == {}
    assert theme_log.find_theme(service.engine, "t1").status == "open"


def test_a_half_done_acceptance_is_finished_by_the_next(service: Service) -> None:
    theme = keep_theme(service)
    service.client.post("/person", data={"name": "Ana"})
    form = {"name": "Batteries", "parent": "", "description": "Hot ones.", "tickets": "12"}
    assert service.client.post("/themes/accept/t1", data=form).status_code == 303
    version = read_tree(service.workspace).version
    # As if the process had died before its last step.
    with service.engine.begin() as connection:
        connection.execute(theme_log.themes.update().values(status="open", contact_type=None))
    assert service.client.post("/themes/accept/t1", data=form).status_code == 303
    assert read_tree(service.workspace).version == version
    assert label_queue.counts(service.engine) == {"open": len(theme.ticket_ids)}
    assert theme_log.find_theme(service.engine, "t1").status == "accepted"


def test_of_two_people_who_accept_at_once_one_does(service: Service) -> None:
    keep_theme(service)
    service.client.post("/person", data={"name": "Ana"})
    before = read_tree(service.workspace)
    with ThreadPoolExecutor(2) as both:
        sent = [
            both.submit(service.client.post, "/themes/accept/t1", data={"name": name, "tickets": "12"})
            for name in ("Batteries", "Hot batteries")
        ]
        assert sorted(one.result().status_code for one in sent) == [303, 409]
    assert len(read_tree(service.workspace).nodes) == len(before.nodes) + 1
    assert label_queue.counts(service.engine) == {"open": 12}


def test_a_theme_that_is_being_accepted_cannot_be_dismissed_meanwhile(service: Service) -> None:
    keep_theme(service)
    service.client.post("/person", data={"name": "Ana"})
    with ThreadPoolExecutor(1) as other:
        with service.workspace.catalogue_lock():  # as accepting holds it
            sent = other.submit(service.client.post, "/themes/t1/dismiss")
            with pytest.raises(TimeoutError):
                sent.result(timeout=0.5)
            theme_log.decide(service.engine, "t1", "accepted", by="Bea", at=MONDAY, contact_type="refund")
        assert sent.result().status_code == 409
    assert theme_log.find_theme(service.engine, "t1").status == "accepted"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_labelers_read_and_dismiss_themes_and_administrators_accept_them(service: Service) -> None:
    keep_theme(service)
    before = read_tree(service.workspace)
    _, key = create_key(service.engine, "Lena", "labeler", at=datetime.now(UTC))
    own = {"Authorization": f"Bearer {key}"}
    page = service.client.get("/themes/t1", headers=own).text
    assert "Administrators add contact types." in page
    assert "Add the contact type" not in page
    assert service.client.post("/themes/accept/t1", headers=own, data=form_of(page)).status_code == 403
    assert read_tree(service.workspace) == before
    assert service.client.post("/themes/t1/dismiss", headers=own).status_code == 303
    assert theme_log.find_theme(service.engine, "t1").decided_by == "Lena"


def test_a_dismissed_theme_can_be_opened_again(service: Service) -> None:
    keep_theme(service)
    assert service.client.post("/themes/t1/dismiss").status_code == 422  # nobody's name is known
    service.client.post("/person", data={"name": "Ana"})
    answer = service.client.post("/themes/t1/dismiss")
    page = service.client.get(answer.headers["location"]).text
    assert "Dismissed: Scooter battery." in page
    assert "No theme is open" in page
    for _ in range(2):  # pressing twice is undoing once
        assert service.client.post("/themes/t1/undo").status_code == 303
    assert theme_log.find_theme(service.engine, "t1").status == "open"
    actions = [entry.action for entry in audit.entries(service.engine) if entry.action.startswith("theme")]
    assert actions == ["theme dismissed", "theme opened again"]


def test_unknown_themes_are_not_found(service: Service) -> None:
    service.client.post("/person", data={"name": "Ana"})
    for path in ("/themes/none", "/themes/%00"):
        assert service.client.get(path).status_code == 404
        assert service.client.post(f"{path}/dismiss").status_code == 404
        assert service.client.post(path.replace("/themes/", "/themes/accept/"), data={"name": "x"}).status_code == 404
    assert service.client.get("/themes?dismissed=none&accepted=none").status_code == 200


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_theme_becomes_a_contact_type_by_keyboard_alone(service: Service, page: Page) -> None:
    keep_theme(service)
    other = keep_theme(service, "t2", "Parking fine", tickets=30)
    days = {f"2026-03-{day:02}": count for day, count in enumerate((1, 1, 3, 4, 6, 7, 8), start=2)}
    theme_log.record(service.engine, [replace(other, words=("parking", "fine", "sign", "moved"), days=days)])
    page.goto("/themes")
    page.get_by_label("You are").fill("Ana")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    source = (AXE / "axe.min.js").read_text(encoding="utf-8")
    page.evaluate(source)
    assert faults(page) == []
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "themes.png", full_page=True)

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Scooter battery")).to_be_visible()
    page.evaluate(source)
    assert faults(page) == []
    page.emulate_media(color_scheme="dark")
    assert faults(page, rules=["color-contrast"]) == []
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_label("Name").focus()
    page.keyboard.press("End")
    page.keyboard.type(" on fire")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    expect(page.get_by_text("Payments › Scooter battery on fire is a contact type now")).to_be_visible()

    page.get_by_role("button", name="Dismiss Parking fine").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Dismissed: Parking fine.")).to_be_visible()
    page.evaluate(source)
    assert faults(page) == []
    page.keyboard.press("u")
    expect(page.get_by_role("heading", name="Parking fine")).to_be_visible()
    assert theme_log.find_theme(service.engine, "t2").status == "open"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_theme_dismissed_twice_is_dismissed_once(service: Service, page: Page) -> None:
    keep_theme(service)
    page.goto("/themes")
    page.get_by_label("You are").fill("Ana")
    with page.expect_navigation():
        page.get_by_role("button", name="Save").click()
    page.goto("/themes/t1")
    assert sent_by_two_presses(page, "d", "**/dismiss") == 1
    expect(page.get_by_text("Dismissed: Scooter battery.")).to_be_visible()
    assert sent_by_two_presses(page, "u", "**/undo") == 1
    expect(page.get_by_role("link", name="Scooter battery")).to_be_visible()
