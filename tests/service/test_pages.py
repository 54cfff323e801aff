"""The pages over plain HTTP: they work without scripts, show tickets as text, and keep what people do."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import pytest
import sqlalchemy as sa

from monitoring.alarms import SIGNS
from monitoring.detectors import label_shift
from service.pages import environment, words
from service.problems import Problem
from tests.logged import log_suggestions
from tickets.database import feedback, labels
from tickets.feedback_log import new_id
from tickets.label_queue import LabelRequest, Share, counts, enqueue
from tickets.monitor_log import EventKind
from tickets.records import AnswerSet, Ticket, suggestion_from_json

if TYPE_CHECKING:
    from tests.service.conftest import Service

NASTY = "<script>alert(1)</script> refund & \"more\" '{{7*7}}'"


def suggest(service: Service, **fields: str) -> dict[str, object]:
    ticket = {"body": "Hi team, I was charged twice and want my money back. Thanks."} | fields
    answer: dict[str, object] = service.client.post("/v1/suggestions", json={"ticket": ticket}).json()
    return answer


def hidden(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(feedback_id|opened)" value="([^"]+)"', page))


def test_the_queue_shows_waiting_tickets_until_feedback_comes(service: Service) -> None:
    made = suggest(service, subject="Charged twice")
    assert "Charged twice" in service.client.get("/console").text
    service.client.post("/v1/feedback", json={"suggestion_id": made["suggestion_id"], "action": "ignored"})
    page = service.client.get("/console").text
    assert "Charged twice" not in page
    assert "No ticket waits" in page


def test_the_queue_has_pages(service: Service) -> None:
    tickets = [{"body": "please refund my ride", "subject": f"number {row:02}"} for row in range(30)]
    assert service.client.post("/v1/suggestions/batch", json={"tickets": tickets}).status_code == 200
    first = service.client.get("/console").text
    (after,) = re.findall(r'href="(/console\?after=[^"]+)">After these', first)
    second = service.client.get(after).text
    assert len(set(re.findall(r"number \d\d", first))) == 25
    assert len(set(re.findall(r"number \d\d", second))) == 5
    assert not set(re.findall(r"number \d\d", first)) & set(re.findall(r"number \d\d", second))


def test_a_ticket_is_shown_as_text(service: Service) -> None:
    body = {"ticket": {"body": "please refund &lt;script&gt;alert(1)&lt;/script&gt;", "attributes": {NASTY: NASTY}}}
    made = service.client.post("/v1/suggestions", json=body).json()
    page = service.client.get(f"/console/suggestions/{made['suggestion_id']}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "49" not in re.findall(r"<dd>.*?</dd>", page)[0]


def test_an_agent_reads_among_which_types_the_answer_is(service: Service) -> None:
    made = suggestion_from_json(suggest(service))
    first, *others = [ranked.contact_type for ranked in made.contact_types]
    paths = {ranked.contact_type: ranked.path for ranked in made.contact_types}
    one_shown = replace(made, contact_types=made.contact_types[:1])
    cases = (
        (made, AnswerSet(coverage=0.9, contact_types=(first,)), "90% sure: it is the first of these."),
        (
            made,
            AnswerSet(coverage=0.9, contact_types=(first, others[0])),
            "90% sure: it is among the first 2 of these.",
        ),
        (one_shown, AnswerSet(coverage=0.8, contact_types=(first, others[0])), f"one of these, or {paths[others[0]]}."),
        (made, AnswerSet(coverage=0.9, under=first), f"it is something under {paths[first]}."),
        (made, AnswerSet(coverage=0.9), "More contact types may be right than can be named here."),
    )
    ticket = Ticket(ticket_id="t", created_at=made.created_at, body="please refund my ride")
    for shown, answer_set, said in cases:
        kept = replace(shown, suggestion_id=new_id(), ticket_id="t", answer_set=answer_set)
        log_suggestions(service.engine, [(ticket, kept)])
        page = service.client.get(f"/console/suggestions/{kept.suggestion_id}").text
        (among,) = re.findall(r'<p class="soft" id="among">(.*?)</p>', page, re.DOTALL)
        told = " ".join(html.unescape(re.sub(r"<[^>]+>", "", among)).replace("›", "::").split())
        assert said.replace(" ", "") in told.replace(" ", ""), told
    without = replace(made, suggestion_id=new_id(), answer_set=None)
    log_suggestions(service.engine, [(ticket, without)])
    assert 'id="among"' not in service.client.get(f"/console/suggestions/{without.suggestion_id}").text


def test_what_the_agent_sends_is_kept_like_feedback_of_the_api(service: Service) -> None:
    made = suggest(service)
    address = f"/console/suggestions/{made['suggestion_id']}"
    service.client.post("/person", data={"name": "Ana Lúcia", "back": "/console"})
    page = service.client.get(address).text
    form = hidden(page) | {"action": "accepted", "suggested_type": "refund", "template_id": "t-refund"}
    for _ in range(2):  # pressing twice is sending once
        answer = service.client.post(f"{address}/feedback", data=form)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/console/next?done=accepted&undo=")
    with service.engine.connect() as connection:
        (row,) = connection.execute(sa.select(feedback)).all()
    assert (row.action, row.contact_type, row.template_id, row.agent) == ("accepted", "refund", "t-refund", "Ana Lúcia")
    assert 0 <= row.handle_seconds < 60


def test_pressing_twice_with_a_pause_is_sending_once(service: Service) -> None:
    address = f"/console/suggestions/{suggest(service)['suggestion_id']}"
    form = hidden(service.client.get(address).text) | {"action": "accepted", "suggested_type": "refund"}
    earlier = form | {"opened": str(float(form["opened"]) - 7)}  # as if the second press came seven seconds later
    assert [service.client.post(f"{address}/feedback", data=sent).status_code for sent in (form, earlier)] == [303, 303]


def test_accepting_without_choosing_accepts_nothing(service: Service) -> None:
    address = f"/console/suggestions/{suggest(service)['suggestion_id']}"
    form = hidden(service.client.get(address).text) | {"action": "accepted"}
    answer = service.client.post(f"{address}/feedback", data=form)
    assert answer.status_code == 422
    assert "no contact type was chosen" in answer.json()["detail"]
    with service.engine.connect() as connection:
        assert connection.execute(sa.select(feedback)).all() == []


def test_a_name_given_on_an_error_page_leads_back_to_a_page(service: Service) -> None:
    page = service.client.post("/labels/any", data={"action": "skip"}, headers={"Accept": "text/html"}).text
    (back,) = re.findall(r'name="back" value="([^"]+)"', page)
    assert back == "/labels"
    assert service.client.get(back).status_code == 200


def test_correcting_without_choosing_says_so(service: Service) -> None:
    made = suggest(service)
    address = f"/console/suggestions/{made['suggestion_id']}"
    form = hidden(service.client.get(address).text) | {"action": "corrected"}
    answer = service.client.post(f"{address}/feedback", data=form, headers={"Accept": "text/html"})
    assert answer.status_code == 422
    assert "no contact type was chosen" in answer.text


def test_a_pasted_ticket_leads_to_its_suggestions(service: Service) -> None:
    answer = service.client.post("/console/tickets", data={"subject": "Login", "body": "I cannot sign in"})
    assert answer.status_code == 303
    page = service.client.get(answer.headers["location"]).text
    assert "I cannot sign in" in page
    assert "Login" in page


def test_a_pasted_ticket_without_words_comes_back_with_the_reason(service: Service) -> None:
    answer = service.client.post("/console/tickets", data={"subject": "Kept <b>", "body": "   "})
    assert answer.status_code == 422
    assert "empty body" in answer.text
    assert 'value="Kept &lt;b&gt;"' in answer.text


def test_contact_types_are_found_by_any_of_their_words(service: Service) -> None:
    def found(query: str) -> list[str]:
        page = service.client.get("/pick/contact-types", params={"q": query}).text
        return re.findall(r'name="chosen_type" value="([^"]+)"', page)

    assert found("pay ref") == ["refund"]
    assert found("RECEIPT") == ["invoice"]
    assert found("account") == ["login", "delete"]
    assert found("nothing like it") == []
    assert found("") == ["refund", "invoice", "login", "delete"]


def test_the_page_to_return_to_stays_on_this_service(service: Service) -> None:
    for back in ("//elsewhere.example", "/\\elsewhere.example", "https://elsewhere.example", "/a\r\nb: c"):
        answer = service.client.post("/person", data={"name": "Ana", "back": back})
        assert answer.headers["location"] == "/console"
    assert service.client.post("/person", data={"name": "Ana", "back": "/labels"}).headers["location"] == "/labels"


@pytest.mark.parametrize("address", ["/console?type=payments&since=2026-01-02", "/labels?only=suspect", "/dashboard"])
def test_who_says_their_name_stays_with_the_filters(service: Service, address: str) -> None:
    (back,) = re.findall(r'name="back" value="([^"]+)"', service.client.get(address).text)
    answer = service.client.post("/person", data={"name": "Ana", "back": html.unescape(back)})
    assert answer.headers["location"] == address


def test_an_address_too_long_to_return_to_is_returned_to_without_its_query(service: Service) -> None:
    page = service.client.get("/dashboard", params={"unknown": "x" * 5000}).text
    assert re.findall(r'name="back" value="([^"]+)"', page) == ["/dashboard"]


def ask_labels(service: Service) -> None:
    made = suggestion_from_json(suggest(service))
    requests = [
        LabelRequest(
            ticket=Ticket(ticket_id=f"L-{share}", created_at=datetime.now(UTC), body=f"about {share}, refund"),
            share=share,
            priority=priority,
            suggestion=made,
        )
        for share, priority in (("unsure", 3.0), ("random", 2.0), ("diverse", 1.0))
    ]
    enqueue(service.engine, requests, at=datetime.now(UTC))


def test_labels_are_worked_through_one_by_one(service: Service) -> None:
    ask_labels(service)
    assert "Write your name" in service.client.get("/labels").text
    assert counts(service.engine) == {"open": 3}
    service.client.post("/person", data={"name": "Bea"})

    unsure = service.client.get("/labels").text
    assert "about unsure" in unsure
    assert 'name="suggested_type"' in unsure
    action = re.search(r'action="(/labels/[^"]+)"', unsure)
    assert action is not None
    refused = service.client.post(action[1], data={"action": "label", "chosen_type": "no such type"})
    assert refused.status_code == 422
    assert service.client.post(action[1], data={"action": "label", "chosen_type": "login"}).status_code == 303
    again = service.client.post(action[1], data={"action": "label", "chosen_type": "refund"})
    assert again.status_code == 422
    assert "done already" in again.json()["detail"]

    random = service.client.get("/labels").text
    assert "about random" in random
    assert 'name="suggested_type"' not in random  # an audit that shows the model's answer would agree with it
    action = re.search(r'action="(/labels/[^"]+)"', random)
    assert action is not None
    assert service.client.post(action[1], data={"action": "skip"}).status_code == 303

    with service.engine.connect() as connection:
        (row,) = connection.execute(sa.select(labels)).all()
    assert (row.ticket_id, row.contact_type, row.labeler, row.share) == ("L-unsure", "login", "Bea", "unsure")
    assert counts(service.engine) == {"done": 1, "skipped": 1, "open": 1}


def test_all_that_monitoring_names_shortly_has_plain_words() -> None:
    assert set(SIGNS) | {label_shift.NAME} <= set(words.DETECTORS)
    assert set(get_args(EventKind)) == set(words.EVENTS)
    assert set(get_args(Share)) == set(words.SHARES)


@pytest.mark.parametrize(("seconds", "said"), [(1, "1 second"), (5, "5 seconds"), (None, "")])
def test_pages_say_how_long_to_wait(seconds: float | None, said: str) -> None:
    parts: Any = environment().get_template("parts.html").make_module({})
    assert str(parts.wait(Problem(503, "busy", "busy.", retry_after=seconds))) == said
