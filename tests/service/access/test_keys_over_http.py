"""Keys at work: recognised, rotated, limited in rate, and what becomes of them while the database is away."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa

from service.access.rates import Rates
from tickets import audit
from tickets.api_keys import create_key, find_key, id_of, revoke_keys, rotate_key

if TYPE_CHECKING:
    from tests.service.access.conftest import House, OpenHouse

PATH = "/v1/contact-types"


def test_an_old_key_goes_on_for_its_grace_and_no_longer(house: House) -> None:
    _, old = create_key(house.engine, "helpdesk", "agent", at=datetime.now(UTC))
    _, new = rotate_key(house.engine, "helpdesk", at=datetime.now(UTC), grace=timedelta(seconds=1))
    assert [house.ask("GET", PATH, key).status_code for key in (old, new)] == [200, 200]
    time.sleep(1.05)
    assert [house.ask("GET", PATH, key).status_code for key in (old, new)] == [401, 200]


def test_when_a_key_was_last_used_is_kept(house: House) -> None:
    made, written = create_key(house.engine, "watched", "agent", at=datetime.now(UTC))
    wrong = written[:-4] + ("0000" if written[-4:] != "0000" else "1111")
    assert house.ask("GET", PATH, wrong).status_code == 401

    def used() -> datetime | None:
        found = find_key(house.engine, made.key_id)
        assert found is not None
        return found.last_used_at

    time.sleep(0.2)
    assert used() is None  # whoever does not know the secret has not used it
    house.ask("GET", PATH, written)
    deadline = time.monotonic() + 10
    while used() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    kept = used()
    assert kept is not None
    assert datetime.now(UTC) - kept < timedelta(seconds=20)


def test_with_the_database_away_known_keys_go_on_and_others_wait(open_house: OpenHouse) -> None:
    with open_house(fresh_seconds=0.05) as house:
        known, unknown = house.keys["agent"], house.keys["labeler"]
        cookie = {
            "Cookie": f"triage_session={house.ask('POST', '/login', data={'key': known}).cookies['triage_session']}"
        }
        with house.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE api_keys RENAME TO elsewhere"))
        time.sleep(0.1)
        assert house.ask("GET", PATH, known).status_code == 200
        assert house.ask("GET", "/metrics", known).status_code == 200
        assert house.ask("GET", PATH, headers=cookie).status_code == 200
        assert house.ask("GET", PATH, known[:-2] + "zz").status_code == 401
        answer = house.ask("GET", PATH, unknown)
        assert answer.status_code == 503
        assert answer.json()["code"] == "database-unavailable"
        assert int(answer.headers["retry-after"]) > 0
        assert house.ask("GET", "/livez").status_code == 200
        with house.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO api_keys"))
        time.sleep(0.1)
        assert house.ask("GET", PATH, unknown).status_code == 200


def test_a_key_seen_too_long_ago_waits_for_the_database_as_well(open_house: OpenHouse) -> None:
    with open_house(fresh_seconds=0.05, outage_seconds=0.2) as house:
        assert house.ask("GET", PATH, house.keys["agent"]).status_code == 200
        with house.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE api_keys RENAME TO elsewhere"))
        time.sleep(0.3)
        assert house.ask("GET", PATH, house.keys["agent"]).status_code == 503


def test_a_database_that_hangs_holds_up_nobody_else(open_house: OpenHouse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        address = f"postgresql+psycopg://nobody@127.0.0.1:{silent.getsockname()[1]}/none?connect_timeout=3"
        with open_house(sa.create_engine(address), lookup_seconds=0.5) as house:
            waiting: list[httpx.Response] = []

            def wait() -> None:
                waiting.append(house.ask("GET", PATH, f"triage_0123456789ab_{'0' * 64}"))

            thread = threading.Thread(target=wait)
            thread.start()
            time.sleep(0.1)
            started = time.monotonic()
            assert house.ask("GET", "/livez").status_code == 200
            assert time.monotonic() - started < 0.3
            thread.join()
            assert waiting[0].status_code == 503


def test_many_requests_with_one_key_look_it_up_once(open_house: OpenHouse) -> None:
    with open_house() as house:
        asked: Counter[str] = Counter()

        def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            asked["keys"] += "FROM api_keys" in statement

        sa.event.listen(house.engine, "before_cursor_execute", count)
        with httpx.Client(base_url=house.address, headers={"Authorization": f"Bearer {house.keys['agent']}"}) as client:
            assert {client.get(PATH).status_code for _ in range(20)} == {200}
        assert asked["keys"] == 1


def test_a_key_that_asks_too_often_is_told_when_to_come_back(open_house: OpenHouse) -> None:
    with open_house(requests_per_minute=3) as house:
        answers = [house.ask("GET", PATH, house.keys["agent"]) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [answer.headers["ratelimit-remaining"] for answer in answers[:3]] == ["2", "1", "0"]
        assert answers[0].headers["ratelimit-limit"] == "3"
        page = house.ask("GET", "/console?type=payments", house.keys["agent"], headers={"Accept": "text/html"})
        assert (page.status_code, '<a class="button" href="">Try again</a>' in page.text) == (429, True)
        refused = answers[-1]
        assert refused.json()["code"] == "too-often"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert refused.headers["ratelimit-remaining"] == "0"
        assert house.ask("GET", PATH, house.keys["labeler"]).status_code == 200  # each key has its own count


def test_a_minute_later_the_count_begins_anew() -> None:
    now = [100.0]
    rates = Rates(2, clock=lambda: now[0])
    assert [rates.count("a") for _ in range(3)] == [True, True, False]
    assert rates.is_over("a")
    assert rates.remaining("a") == (0, 60)
    now[0] += 60
    assert not rates.is_over("a")
    assert rates.count("a")


def test_more_requests_at_once_than_allowed_are_told_to_wait(open_house: OpenHouse) -> None:
    with open_house(max_requests=2, body_seconds=5.0) as house:
        head = (
            f"POST /v1/suggestions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {house.keys['agent']}\r\nContent-Length: 9\r\n\r\n"
        ).encode()
        host, _, port = house.host.partition(":")
        lines = [socket.create_connection((host, int(port))) for _ in range(2)]
        for line in lines:
            line.sendall(head)  # and no body: both are under way
        time.sleep(0.3)
        answer = house.ask("GET", "/v1/model", house.keys["agent"])
        assert answer.status_code == 503
        assert answer.json()["code"] == "too-busy"
        assert int(answer.headers["retry-after"]) > 0
        assert house.ask("GET", "/livez").status_code == 200  # busy is not dead
        for line in lines:
            line.close()
        time.sleep(0.3)
        assert house.ask("GET", "/v1/model", house.keys["agent"]).json()["code"] == "no-release"


def test_more_connections_than_allowed_are_turned_away(open_house: OpenHouse) -> None:
    with open_house(max_connections=3) as house:
        host, _, port = house.host.partition(":")
        lines = [socket.create_connection((host, int(port))) for _ in range(3)]
        time.sleep(0.2)
        assert house.say(b"").startswith(b"HTTP/1.1 503 ")
        for line in lines:
            line.close()
        time.sleep(0.2)
        assert house.ask("GET", "/livez").status_code == 200


def test_metrics_can_be_opened(open_house: OpenHouse, house: House) -> None:
    assert house.ask("GET", "/metrics").status_code == 401
    with open_house(metrics="open") as opened:
        assert opened.ask("GET", "/metrics").status_code == 200
        assert opened.ask("GET", "/dashboard").status_code == 401


def test_a_refused_role_and_a_sign_in_are_in_the_audit_log(open_house: OpenHouse) -> None:
    with open_house() as house:
        for path in ("/dashboard/runs/secret-name", "/dashboard", "/one", "/two"):  # many refusals, one line
            house.ask("GET", path, house.keys["agent"])
        house.ask("POST", "/login", data={"key": house.keys["admin"]}, headers={"X-Request-ID": "sign-in-1"})
        refused, signed_in = audit.entries(house.engine)
    assert (refused.actor, refused.action, refused.target) == ("the agent", "role refused", "/dashboard")
    assert dict(refused.details) == {"key": id_of(house.keys["agent"]), "role": "agent", "needed": "admin"}
    assert (signed_in.actor, signed_in.action, signed_in.request_id) == ("the admin", "signed in", "sign-in-1")
    assert signed_in.target == id_of(house.keys["admin"])


def test_the_description_tells_every_answer_of_the_guard(house: House) -> None:
    described = house.ask("GET", "/openapi.json", house.keys["agent"]).json()
    assert described["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert described["security"] == [{"key": []}, {"session": []}]
    for path, item in described["paths"].items():
        for method, operation in item.items():
            answers = set(operation["responses"])
            if path in ("/livez", "/readyz") or path.startswith(("/v2/health", "/webhooks/")):
                assert operation["security"] == []
            else:
                assert {"401", "403", "429", "503"} <= answers, (method, path)
                assert "security" not in operation
            if "requestBody" in operation:
                assert {"400", "408", "413"} <= answers, (method, path)
    assert described["paths"]["/v1/suggestions"]["post"]["x-triage-role"] == "agent"


@pytest.mark.parametrize("require", [True, False])
def test_every_answer_carries_the_security_headers(open_house: OpenHouse, require: bool) -> None:
    with open_house(require_keys=require) as house:
        for path in ("/console", "/livez", "/nowhere", "/static/triage.css", "//", "/login"):
            headers = house.ask("GET", path).headers
            assert headers["content-security-policy"].endswith("frame-ancestors 'none'")
            assert "unsafe" not in headers["content-security-policy"]
            assert "camera=()" in headers["permissions-policy"]
            assert headers["cross-origin-opener-policy"] == "same-origin"
            assert headers["x-content-type-options"] == "nosniff"
            assert "strict-transport-security" not in headers
        framed = house.ask("GET", "/sidebar").headers["content-security-policy"]
        assert framed.endswith("frame-ancestors 'none'")  # nobody, until somebody is named


def test_over_https_cookies_are_secure_and_browsers_are_told_to_stay(open_house: OpenHouse) -> None:
    with open_house(trusted_proxies=("127.0.0.1",)) as house:
        behind = {"X-Forwarded-Proto": "https", "Origin": house.address.replace("http:", "https:")}
        answer = house.ask("POST", "/login", data={"key": house.keys["agent"]}, headers=behind)
        assert answer.status_code == 303
        assert "; Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"].startswith("max-age=")
    with open_house() as house:  # without a trusted proxy anybody could say so
        answer = house.ask("POST", "/login", data={"key": house.keys["agent"]}, headers={"X-Forwarded-Proto": "https"})
        assert "Secure" not in answer.headers["set-cookie"]
        assert "strict-transport-security" not in answer.headers


def test_a_revoked_key_ends_within_seconds_though_it_is_used_all_the_time(open_house: OpenHouse) -> None:
    with open_house(fresh_seconds=0.3) as house:
        made, written = create_key(house.engine, "busy", "agent", at=datetime.now(UTC))
        with httpx.Client(base_url=house.address, headers={"Authorization": f"Bearer {written}"}) as client:
            assert client.get(PATH).status_code == 200
            revoke_keys(house.engine, made.key_id, at=datetime.now(UTC))
            revoked = time.monotonic()
            while client.get(PATH).status_code == 200:
                assert time.monotonic() - revoked < 2
