"""/labels over plain HTTP: blind where it measures, one label a person, disputes, suspects, undo, what comes next."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from monitoring.label_quality import label_quality
from tickets.api_keys import create_key
from tickets.contact_types import ContactTypeTree
from tickets.database import labels, monitor_runs
from tickets.label_queue import LabelRequest, Share, answer, claim, counts, enqueue, labels_between
from tickets.monitor_log import MonitorRun, record_run
from tickets.records import Ticket, suggestion_from_json

if TYPE_CHECKING:
    from tests.service.conftest import Service

SQLITE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
DOUBT = {
    **{"likelier": "invoice", "given_probability": 0.03, "likelier_probability": 0.91, "source": "agent"},
    "model_version": "v",
}
EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))


def ask(service: Service, share: Share, *, needed: int = 1, priority: float = 1.0, **fields: Any) -> str:
    answered = service.client.post("/v1/suggestions", json={"ticket": {"body": "I want my money back."}})
    name = f"{share}{needed}"
    request = LabelRequest(
        ticket=Ticket(ticket_id=name, created_at=datetime.now(UTC), body=f"about {name}, <b>refund</b>"),
        **{"share": share, "priority": priority, "needed": needed, "item_id": f"i-{name}"},
        suggestion=suggestion_from_json(answered.json()),
        **fields,
    )
    assert enqueue(service.engine, [request], at=datetime.now(UTC)) == 1
    return request.item_id


def be(service: Service, name: str) -> None:
    service.client.post("/person", data={"name": name})


def offered(page: str) -> list[str]:
    return re.findall(r'name="suggested_type" value="([^"]+)"', page)


def send(service: Service, address: str, contact_type: str = "", **fields: str) -> Mapping[str, str]:
    page = service.client.get(address.rpartition("/")[0]).text
    form = dict(re.findall(r'<input type="hidden" name="(opened|only)" value="([^"]*)"', page))
    form |= {"action": "label", "chosen_type": contact_type} | fields
    answer = service.client.post(address, data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers


def final(service: Service) -> dict[str, str]:
    return {row["ticket_id"]: row["contact_type"] for row in labels_between(service.engine, *EVER)}


@SQLITE
def test_labels_that_measure_are_given_blind_and_gold_looks_like_any_other(service: Service) -> None:
    be(service, "Bea")
    seen = {}
    for share, needed in (("random", 1), ("gold", 1), ("unsure", 2), ("unsure", 1), ("diverse", 1)):
        item = ask(service, share, needed=needed, known_type="refund" if share == "gold" else None)  # type: ignore[arg-type]
        page = service.client.get("/labels").text
        assert f"about {share}{needed}" in page
        assert "<b>refund" not in page
        seen[share, needed] = page
        assert (len(offered(page)) > 0) == (needed == 1 and share in ("unsure", "diverse"))
        send(service, f"/labels/{item}", "refund")

    def told(page: str) -> str:
        """The page without what tells any two tickets apart."""
        body = re.sub(r"(random|gold)1|\d+|percent", "", page.split("<main", 1)[1])
        return body.split('aria-labelledby="standing"', 1)[0]

    assert told(seen["random", 1]) == told(seen["gold", 1])


def test_two_people_disagree_and_a_third_settles(service: Service) -> None:
    item = ask(service, "random", needed=2)
    for person, contact_type in (("Ann", "refund"), ("Bob", "invoice")):
        be(service, person)
        assert "about random2" in service.client.get("/labels").text
        send(service, f"/labels/{item}", contact_type)
        again = service.client.post(f"/labels/{item}", data={"action": "label", "chosen_type": "login"})
        assert again.status_code == 422
    assert "No dispute waits for you" in service.client.get("/labels/disputes").text
    assert final(service) == {}
    be(service, "Eve")
    page = service.client.get("/labels/disputes").text
    assert sorted(offered(page)) == ["invoice", "refund"]
    assert "Ann" not in page
    assert "Bob" not in page
    told = send(service, f"/labels/disputes/{item}", "invoice")
    assert final(service) == {"random2": "invoice"}
    assert "Undo" in service.client.get(told["location"]).text
    undone = service.client.post(f"/labels/{item}/undo")
    assert undone.headers["location"].startswith("/labels/disputes?done=undone")
    assert final(service) == {}
    assert "Undo" not in service.client.get(told["location"]).text
    send(service, f"/labels/disputes/{item}", action="skip")
    assert counts(service.engine) == {"skipped": 1}


def test_a_label_taken_back_waits_again_and_is_counted_once(service: Service) -> None:
    be(service, "Ann")
    item, other = ask(service, "unsure", priority=0.5), ask(service, "diverse", priority=0.1)
    led = send(service, f"/labels/{item}", "refund")["location"]
    page = service.client.get(led).text
    (undo,) = re.findall(r'action="(/labels/[^"]+/undo)"', page)
    assert "about diverse1" in page
    be(service, "Bob")
    refused = service.client.post(undo)
    assert refused.status_code == 422
    be(service, "Ann")
    back = service.client.post(html.unescape(undo))
    assert "about unsure1" in service.client.get(back.headers["location"]).text
    assert final(service) == {}
    send(service, f"/labels/{item}", "login")
    send(service, f"/labels/{other}", action="skip")
    service.client.post(f"/labels/{other}/undo")
    assert final(service) == {"unsure1": "login"}
    assert counts(service.engine) == {"done": 1, "claimed": 1}
    for address in ("/labels/unknown", "/labels/unknown/undo", "/labels/disputes/unknown", "/labels/a%00b/undo"):
        answer = service.client.post(address, data={"action": "label", "chosen_type": "login"})
        assert answer.status_code == 422


@SQLITE
def test_a_doubted_label_is_shown_beside_what_the_model_says(service: Service) -> None:
    be(service, "Ann")
    assert "None waits." in service.client.get("/labels/suspects").text
    ask(service, "random", priority=1.0)
    item = ask(service, "suspect", priority=0.5, known_type="refund", doubt=DOUBT)
    listed = service.client.get("/labels/suspects").text
    assert "Invoice" in listed
    assert "91 %" in listed
    page = service.client.get("/labels?only=suspect").text
    assert offered(page) == ["refund", "invoice"]
    assert "given by an agent" in page
    where = send(service, f"/labels/{item}", "invoice", only="suspect")["location"]
    assert "only=suspect" in where
    assert "No doubted label waits for you" in service.client.get(where).text
    assert final(service) == {"suspect1": "invoice"}


@SQLITE
def test_an_empty_queue_says_when_the_next_batch_comes(service: Service) -> None:
    be(service, "Ann")
    assert "first night" in service.client.get("/labels").text
    for days, words in ((0.5, "The next batch is due about"), (1.4, "is due about"), (1.6, "is late")):
        at = datetime.now(UTC) - timedelta(days=days)
        record_night(service, at, {"labels_asked": 40})
        page = service.client.get("/labels").text
        assert words in page
        assert "for 40 tickets" in page
    ask(service, "random", needed=2)
    send(service, "/labels/i-random2", "refund")
    assert "1 ticket waits for somebody else" in service.client.get("/labels").text


@SQLITE
def test_how_good_all_labels_are_is_told_as_the_night_found_it(service: Service) -> None:
    be(service, "Ann")
    assert told_by_night(service) == {}

    labelled(service, "random", 12, ann="refund", bob="refund")  # always one and the same: chance explains all
    assert told_by_night(service) == {"Agreement of all": "100 % of 12 tickets (76 % to 100 %)"}

    labelled(service, "random", 12, ann="login", bob="refund")
    labelled(service, "gold", 4, ann="login", bob="refund")
    told = told_by_night(service)
    assert told["Agreement of all"].startswith("50 % of 24 tickets (31 % to 69 %); Cohen's kappa 0.00 on 24 tickets (")
    assert "; Krippendorff's alpha -0.31 on 24 tickets (" in told["Agreement of all"]
    assert told["Known answers, all people"] == "50 % of 8 labels (22 % to 78 %)"


def labelled(service: Service, share: Share, tickets: int, **said: str) -> None:
    """So many tickets that each of these people labelled half an hour ago; of gold the answer is refund."""
    at, name = datetime.now(UTC) - timedelta(minutes=30), f"{share}-{'-'.join(said.values())}"
    requests = [
        LabelRequest(
            ticket=Ticket(ticket_id=f"{name}-{number}", created_at=at, body="Where is my refund?"),
            **{"share": share, "priority": 1.0, "needed": len(said), "item_id": f"i-{name}-{number}"},
            known_type="refund",
        )
        for number in range(tickets)
    ]
    assert enqueue(service.engine, requests, at=at) == tickets
    for request, (person, contact_type) in product(requests, said.items()):
        answer(service.engine, request.item_id, contact_type=contact_type, labeler=person, at=at)


def told_by_night(service: Service) -> dict[str, str]:
    """What the page says of all people's labels after a night."""
    now = datetime.now(UTC)
    record_night(service, now, label_quality(service.engine, ContactTypeTree(nodes=()), at=now))
    page = html.unescape(service.client.get("/labels").text)
    pairs = re.findall(r"<dt>([^<]*)</dt><dd>(.*?)</dd>", page, re.DOTALL)
    plain = {name: " ".join(re.sub("<[^>]*>", "", said).split()) for name, said in pairs}
    return {name: said for name, said in plain.items() if name in ("Agreement of all", "Known answers, all people")}


def record_night(service: Service, at: datetime, summary: Mapping[str, Any]) -> None:
    """The only one there is."""
    run = MonitorRun(
        **{"run_id": "r", "as_of": f"{at:%Y-%m-%d}", "started_at": at, "seconds": 1.0, "status": "quiet"},
        **{"model_version": "v", "windows": {}, "summary": dict(summary)},
    )
    with service.engine.begin() as connection:
        connection.execute(sa.delete(monitor_runs))
    record_run(service.engine, run, [], [])


@SQLITE
def test_names_of_labelers_are_for_administrators(service: Service) -> None:
    _, key = create_key(service.engine, "Lena", "labeler", at=datetime.now(UTC))
    own = {"Authorization": f"Bearer {key}"}
    assert service.client.get("/labels/people", headers=own).status_code == 403
    assert "/labels/people" not in service.client.get("/labels", headers=own).text
    be(service, "Ann")
    assert "/labels/people" in service.client.get("/labels").text
    assert "Nobody labelled" in service.client.get("/labels/people").text


@SQLITE
def test_own_work_agreement_and_gold_are_told(service: Service) -> None:
    for person, contact_type in (("Ann", "refund"), ("Bob", "refund"), ("Joe", "login")):
        be(service, person)
        if person == "Ann":
            item, gold = ask(service, "random", needed=3), ask(service, "gold", known_type="login")
        send(service, f"/labels/{item}", contact_type)
    send(service, f"/labels/{gold}", "login")
    page = service.client.get("/labels").text
    assert page.count("not known yet") == 2  # as long as the label can be taken back, nothing tells gold from others
    assert "2 today, 2 in all" in page
    with service.engine.begin() as connection:
        connection.execute(sa.update(labels).values(at=datetime.now(UTC) - timedelta(minutes=11)))
    page = service.client.get("/labels").text
    assert "0 of 2 times" in page
    assert "1 of 1 right" in page
    listed = re.sub(r"<[^>]+>|\s+", " ", service.client.get("/labels/people").text)
    assert re.search(r"Joe +2 .*?0 of 2 times .*?1 of 1 right", listed)
    assert re.search(r"Ann +1 .*?1 of 2 times", listed)
    assert final(service) == {"random3": "refund"}
    assert claim(service.engine, "Ann", at=datetime.now(UTC)) == []


@SQLITE
def test_the_notice_says_what_became_of_a_ticket_that_was_passed_over(service: Service) -> None:
    item = ask(service, "random", needed=2)
    for person in ("Ann", "Bob"):
        be(service, person)
        if person == "Ann":
            send(service, f"/labels/{item}", "refund")
    page = service.client.get(send(service, f"/labels/{item}", action="skip")["location"]).text
    assert "the label that somebody else gave it counts" in page
    assert final(service) == {"random2": "refund"}
    back = service.client.post(f"/labels/{item}/undo").headers["location"]
    page = service.client.get(back).text
    assert "waits for you again" in page
    assert "about random2" in page
    assert final(service) == {}


@SQLITE
def test_a_settled_dispute_that_is_taken_back_is_shown_again(service: Service) -> None:
    first, other = ask(service, "unsure", needed=2, priority=0.1), ask(service, "random", needed=2, priority=0.9)
    for person, contact_type in (("Ann", "refund"), ("Bob", "invoice")):
        be(service, person)
        for item in (first, other):
            send(service, f"/labels/{item}", contact_type)
    be(service, "Eve")
    send(service, f"/labels/disputes/{first}", "invoice")
    back = service.client.post(f"/labels/{first}/undo").headers["location"]
    assert "about unsure2" in service.client.get(back).text


@SQLITE
def test_what_a_theme_became_is_offered_first(service: Service) -> None:
    be(service, "Ann")
    ask(service, "theme", known_type="login")
    first, *others = offered(service.client.get("/labels").text)
    assert first == "login"
    assert others
    assert "login" not in others


@SQLITE
def test_undo_stays_with_the_doubted_labels_and_is_offered_no_longer_than_it_is_possible(service: Service) -> None:
    be(service, "Ann")
    item = ask(service, "suspect", known_type="refund", doubt=DOUBT)
    assert 'name="only" value="suspect"' in service.client.get("/labels?only=suspect").text
    led = send(service, f"/labels/{item}", "invoice", only="suspect")["location"]
    page = service.client.get(led).text
    assert "Undo" in page
    kept = page.split("/undo", 1)[1].split("</form>", 1)[0]
    (only,) = re.findall(r'name="only" value="([^"]*)"', kept)
    back = service.client.post(f"/labels/{item}/undo", data={"only": only}).headers["location"]
    assert back == f"/labels?done=undone&item={item}&only=suspect"
    send(service, f"/labels/{item}", "invoice", only="suspect")
    with service.engine.begin() as connection:
        connection.execute(sa.update(labels).values(at=datetime.now(UTC) - timedelta(minutes=11)))
    page = service.client.get(led).text
    assert "Label kept." in page
    assert "Undo" not in page.replace("undo</dd>", "")
