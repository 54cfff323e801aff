"""Sending from the ticket's page: the share that was changed, undo, held-out tickets, what comes back when it fails."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa

from service.access.options import AccessOptions
from service.app import create_app, running
from service.options import utc_now
from service.schemas import MAX_TEXT
from tests.logged import log_suggestions
from tests.service.conftest import OPTIONS
from tickets.catalogue import read_templates, write_templates
from tickets.database import feedback
from tickets.feedback_log import new_id, record_feedback
from tickets.records import Feedback, ReplyTemplate, Suggestion, Ticket, suggestion_from_json
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.conftest import Connect, Service, Start

SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
BROWSER = {"Accept": "text/html"}


def suggest(service: Service, **fields: object) -> Suggestion:
    ticket = {"body": "Hi team, I was charged twice and want my money back. Thanks."} | fields
    return suggestion_from_json(service.client.post("/v1/suggestions", json={"ticket": ticket}).json())


def form_of(service: Service, made: Suggestion) -> dict[str, str]:
    page = service.client.get(f"/console/suggestions/{made.suggestion_id}").text
    return dict(re.findall(r'<input type="hidden" name="(feedback_id|opened)" value="([^"]+)"', page))


def rows(service: Service) -> list[sa.Row[tuple[object, ...]]]:
    with service.engine.connect() as connection:
        return list(connection.execute(sa.select(feedback)).all())


def send(service: Service, made: Suggestion, **fields: str) -> httpx.Response:
    form = form_of(service, made) | {"action": "accepted", "suggested_type": "refund"} | fields
    return service.client.post(f"/console/suggestions/{made.suggestion_id}/feedback", data=form)


def test_the_changed_share_of_a_template_is_kept(service: Service) -> None:
    reply = {"template_id": "t-refund", "reply_of": "t-refund"}
    for written, share in (
        ("Hello Jo, we refund 12 EUR.", 0.0),
        ("Goodbye.", 0.95),
    ):
        send(service, suggest(service), **reply, reply=written)
        assert rows(service)[-1].edit_distance == pytest.approx(share, abs=0.15)
    for fields in ({"template_id": "t-refund"}, reply | {"reply_of": "t-login", "reply": "x"}, {"reply": "x"}):
        made = suggest(service)
        send(service, made, **fields)
        (row,) = [row for row in rows(service) if row.suggestion_id == made.suggestion_id]
        assert row.edit_distance is None  # no reply was written from the template that is named


def test_undo_brings_the_ticket_back_and_twice_is_once(service: Service) -> None:
    made = suggest(service, subject="Charged twice")
    form = form_of(service, made) | {"action": "accepted", "suggested_type": "refund"}
    address = f"/console/suggestions/{made.suggestion_id}/feedback?language=en"
    led = service.client.post(address, data=form).headers["location"]
    assert "language=en" in led
    page = service.client.get(led, follow_redirects=True).text
    (undo,) = re.findall(r'action="(/console/feedback/[^"]+/undo[^"]*)"', page)
    for _ in range(2):
        back = service.client.post(html.unescape(undo))
        assert back.status_code == 303
        assert back.headers["location"].startswith(f"/console/suggestions/{made.suggestion_id}?language=en")
    assert "taken back" in service.client.get(back.headers["location"]).text
    assert "Charged twice" in service.client.get("/console").text
    again = service.client.post(address, data=form)  # the page from before, sent once more
    other = service.client.post(address, data=form | {"action": "ignored"})
    assert [(answer.status_code, answer.json()["code"]) for answer in (again, other)] == [
        (409, "taken-back"),
        (409, "sent-already"),
    ]
    assert send(service, made).status_code == 303
    assert [row.withdrawn_at is None for row in rows(service)].count(True) == 1


@SQLITE
def test_undo_is_for_ten_minutes_and_for_who_gave_it(service: Service) -> None:
    made = suggest(service)
    service.settle()
    for name, minutes, agent in (("aa", 11, None), ("bb", 1, "Bea")):
        at = utc_now() - timedelta(minutes=minutes)
        given = Feedback(
            feedback_id=name,
            suggestion_id=made.suggestion_id,
            ticket_id=made.ticket_id,
            action="ignored",
            at=at,
            agent=agent,
        )
        assert record_feedback(service.engine, given)
    page = service.client.get("/console?done=ignored&undo=aa").text
    assert "Feedback kept: ignored." in page
    assert "/undo" not in page
    answers = [service.client.post(f"/console/feedback/{name}/undo") for name in ("aa", "bb", "cc")]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (409, "too-late"),
        (403, "not-yours"),
        (404, "unknown-feedback"),
    ]
    assert all(row.withdrawn_at is None for row in rows(service))


@SQLITE
def test_a_held_out_ticket_shows_nothing_of_what_the_model_says(service: Service) -> None:
    made = replace(suggest(service), suggestion_id=new_id(), ticket_id="held", arm="holdout")
    log_suggestions(service.engine, [(Ticket(ticket_id="held", created_at=utc_now(), body="twice, money back"), made)])
    page = service.client.get(f"/console/suggestions/{made.suggestion_id}").text
    assert "Suggestions are not shown for this ticket." in page
    for left_out in ('name="suggested_type"', "<mark", "Similar resolved", 'value="t-refund"', 'id="among"', "Accept"):
        assert left_out not in page
    assert "chosen without suggestions" in service.client.get("/console").text
    assert send(service, made, action="corrected", chosen_type="login").status_code == 303
    (row,) = rows(service)
    assert (row.action, row.contact_type) == ("corrected", "login")
    note = service.client.get(f"/console/suggestions/{made.suggestion_id}").text
    assert "has an answer already: corrected" in note


@SQLITE
def test_other_templates_are_found_by_words_language_and_contact_type(service: Service) -> None:
    extra = (
        ReplyTemplate(
            template_id="de", title="Erstattung", body="<p>Hallo {{name}}</p><script>x</script>", language="de"
        ),
        ReplyTemplate(template_id="pay", title="Refund terms", body="terms", contact_types=("payments",)),
        ReplyTemplate(template_id="old", title="Refund, old", body="old", active=False),
    )
    write_templates(service.workspace, (*read_templates(service.workspace), *extra))

    def found(**asked: str) -> set[str]:
        page = service.client.get("/console/templates", params=asked).text
        assert "<script" not in page
        return set(re.findall(r'name="template_id" value="([^"]+)"', page))

    assert found(words="refund") == {"t-refund", "pay"}
    assert found(words="HALLO") == found(template_language="de") == {"de"}
    assert found(words="terms", template_type="refund") == {"pay"}  # what serves the branch serves its leaves
    assert found(words="terms", template_type="login") == set()
    assert found() == set()


@SQLITE
def test_an_html_template_is_shown_clean_and_inserted_as_text(service: Service) -> None:
    body = '<p>Hello <b onclick="x()">{{name}}</b></p><script>steal()</script><img src="http://away.example/x">'
    write_templates(service.workspace, [ReplyTemplate(template_id="h", title="Styled", body=body)])
    made = suggest(service, attributes={"name": "Jo & Co"})
    page = service.client.get("/console/templates", params={"words": "styled"}).text
    assert "<p>Hello <b>{{name}}</b></p>" in page
    assert not re.search("script>|onclick|<img", page)
    address = f"/console/suggestions/{made.suggestion_id}/draft"
    box = service.client.post(address, data={"template_id": "h"}, headers={"HX-Request": "true"}).text
    (text,) = re.findall(r"<textarea[^>]*>\n(.*?)</textarea>", box, re.DOTALL)
    assert html.unescape(text) == "Hello Jo & Co"


def test_while_the_database_is_away_what_was_written_comes_back(served: Workspace) -> None:
    away = sa.create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    form = {"action": "accepted", "feedback_id": "abc", "opened": "1", "suggested_type": "refund", "q": ""}
    written = form | {"template_id": "t-refund", "reply_of": "t-refund", "reply": "Hello <Jo>,\nsorry."}
    app = create_app(served, away, replace(OPTIONS, access=AccessOptions(require_keys=False)))
    with running(app) as address, httpx.Client(base_url=address, timeout=30) as client:
        page = client.post("/console/suggestions/any/feedback?type=refund", data=written, headers=BROWSER)
        told = client.get("/console", headers=BROWSER)
    assert page.status_code == told.status_code == 503
    assert int(page.headers["retry-after"]) > 0
    assert "Try again in" in page.text
    assert "Hello &lt;Jo&gt;,\nsorry." in page.text
    assert 'action="/console/suggestions/any/feedback?type=refund"' in page.text
    again = dict(re.findall(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)"', page.text))
    assert again.items() >= {key: value for key, value in written.items() if value and key != "reply"}.items()
    assert "Try again in" in told.text


@SQLITE
def test_without_a_model_a_pasted_ticket_comes_back_with_when_to_try_again(
    start: Start, connect: Connect, workspace: Workspace, engine: sa.Engine
) -> None:
    with start(workspace, engine) as address, connect(address) as client:
        answer = client.post("/console/tickets", data={"body": "Kept <b>", "subject": "s"})
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert "Kept &lt;b&gt;" in answer.text
    assert "What you wrote is still here" in answer.text


@SQLITE
def test_a_pasted_ticket_that_is_too_long_comes_back_with_its_text(service: Service) -> None:
    assert f'maxlength="{MAX_TEXT}"' in service.client.get("/console/tickets/new").text
    long = service.client.post("/console/tickets", data={"body": "money back " * (MAX_TEXT // 10)}, headers=BROWSER)
    assert long.status_code == 422
    assert "at most 200,000 are read" in long.text
    assert "money back " * (MAX_TEXT // 10) in long.text
    lines = "\r\n".join(["money back"] * (MAX_TEXT // 11))  # as a browser writes the ends of lines
    assert len(lines) > MAX_TEXT
    letters = "\u20ac" * (MAX_TEXT - 11) + " money back"
    for text in (lines, letters):
        sent = service.client.post("/console/tickets", files={"body": (None, text)}, headers=BROWSER)
        assert sent.status_code == 303


@SQLITE
def test_an_address_that_cannot_be_read_says_so(service: Service) -> None:
    page = service.client.get("/console?since=31.3.2026", headers=BROWSER)
    assert page.status_code == 422
    assert "`since` is no day" in page.text
    assert 'value="31.3.2026"' in page.text
    assert service.client.get("/console?text=%00&type=%00&after=unknown").status_code == 200
    assert service.client.get("/console?sureness=very", headers=BROWSER).status_code == 422


@SQLITE
def test_a_template_that_only_has_brackets_is_laid_out_as_text(service: Service) -> None:
    bodies = {"t-refund": "Write to <EMAIL>\nif 1 < 2.", "t-login": "<p>Reset it at <b>{{link}}</b>.</p>"}
    kept = read_templates(service.workspace)
    write_templates(service.workspace, [replace(one, body=bodies.get(one.template_id, one.body)) for one in kept])
    made = suggest(service)
    found = service.client.get("/console/templates", params={"words": "reset"})
    page = service.client.get(f"/console/suggestions/{made.suggestion_id}").text + found.text
    assert "<blockquote>Write to &lt;EMAIL&gt;" in page
    assert '<blockquote class="html"><p>Reset it at' in page


@SQLITE
@pytest.mark.parametrize("action", ["accepted", "corrected"])
def test_without_a_contact_type_what_was_written_comes_back(service: Service, action: str) -> None:
    made = suggest(service, subject="Charged twice")
    reply = {"template_id": "t-login", "reply_of": "t-login", "reply": "Hello <Jo>,\nsorry."}
    written = form_of(service, made) | {"action": action} | reply
    page = service.client.post(f"/console/suggestions/{made.suggestion_id}/feedback", data=written, headers=BROWSER)
    assert page.status_code == 422
    assert "This was not sent: no contact type was chosen." in page.text
    assert "Hello &lt;Jo&gt;,\nsorry." in page.text
    assert re.search('value="t-login"[^>]* checked', page.text)
    assert f'name="feedback_id" value="{written["feedback_id"]}"' in page.text
    assert rows(service) == []


@SQLITE
def test_a_field_that_cannot_be_is_named_as_the_api_names_it(service: Service) -> None:
    answer = send(service, suggest(service), action="corrected", chosen_type="a\x00b")
    assert answer.status_code == 422
    assert [(error["in"], error["pointer"]) for error in answer.json()["errors"]] == [("body", "/contact_type")]
