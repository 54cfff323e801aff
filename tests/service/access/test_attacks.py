"""The table of attacks of docs/security.md, each refused as it says there."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from tickets.api_keys import create_key, id_of, revoke_keys

if TYPE_CHECKING:
    from tests.service.access.conftest import House, OpenHouse

GUARDED = (
    ("GET", "/v1/contact-types"),
    ("POST", "/v1/suggestions"),
    ("POST", "/v1/feedback"),
    ("GET", "/console"),
    ("POST", "/console/tickets"),
    ("GET", "/labels"),
    ("GET", "/dashboard"),
    ("GET", "/dashboard/experiments.csv"),
    ("GET", "/metrics"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/pick/contact-types"),
    ("GET", "/"),
    ("POST", "/person"),
    ("GET", "/nowhere"),
    ("DELETE", "/v1/contact-types"),
    ("TRACE", "/v1/contact-types"),
    ("PROPFIND", "/console"),
)


def is_refused(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == code


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_without_a_key_every_address_is_closed(house: House, method: str, path: str) -> None:
    answer = house.ask(method, path)
    is_refused(answer, 401, "no-key")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/livez", "/login", "/static/triage.css"])
def test_what_holds_no_data_is_open(house: House, path: str) -> None:
    assert house.ask("GET", path).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        *("Bearer", "Bearer x", "Bearer triage_", "Bearer triage_0123456789ab_", "Basic YTpi", "x" * 5000),
        f"Bearer triage_0123456789ab_{'0' * 64}",
        f"Bearer triage_0123456789ab_{'0' * 64}' OR 1=1 --",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
        f"Bearer {'a' * 20}é",
    ],
)
def test_a_malformed_or_unknown_key_is_refused(house: House, authorization: str) -> None:
    answer = house.ask("GET", "/v1/contact-types", headers={"Authorization": authorization.encode("latin-1")})
    is_refused(answer, 401, "wrong-key")


def test_a_right_id_with_another_secret_is_refused(house: House) -> None:
    key = house.keys["admin"]
    assert house.ask("GET", "/v1/contact-types", key).status_code == 200  # now it is remembered
    other = key[:-1] + ("0" if key[-1] != "0" else "1")
    is_refused(house.ask("GET", "/v1/contact-types", other), 401, "wrong-key")
    is_refused(house.ask("GET", "/v1/contact-types", key.upper()), 401, "wrong-key")


def test_a_revoked_key_is_refused_within_the_time_it_is_remembered(house: House) -> None:
    made, written = create_key(house.engine, "leaver", "agent", at=datetime.now(UTC))
    assert house.ask("GET", "/v1/contact-types", written).status_code == 200
    revoke_keys(house.engine, made.key_id, at=datetime.now(UTC))
    time.sleep(0.15)
    is_refused(house.ask("GET", "/v1/contact-types", written), 401, "wrong-key")


def test_an_expired_key_is_refused_at_once(house: House) -> None:
    second = 1 / 86_400
    _, written = create_key(house.engine, "guest", "agent", at=datetime.now(UTC), days=second)
    assert house.ask("GET", "/v1/contact-types", written).status_code == 200
    time.sleep(1.05)
    is_refused(house.ask("GET", "/v1/contact-types", written), 401, "wrong-key")


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        *(("agent", path, 200) for path in ("/v1/contact-types", "/console", "/docs", "/openapi.json", "/metrics")),
        *(("agent", path, 403) for path in ("/labels", "/themes", "/dashboard", "/dashboard/experiments", "/nowhere")),
        *(("labeler", path, 200) for path in ("/v1/contact-types", "/console", "/labels", "/themes")),
        *(("labeler", path, 403) for path in ("/dashboard", "/nowhere")),
        *(("admin", path, 200) for path in ("/v1/contact-types", "/console", "/labels", "/dashboard", "/metrics")),
        *(("admin", path, 404) for path in ("/nowhere", "/v1/nothing", "/labels/x/y", "/sidebar/x")),
    ],
)
def test_each_role_reaches_its_addresses_and_no_other(house: House, role: str, path: str, status: int) -> None:
    assert house.ask("GET", path, house.keys[role]).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        *("/static/../dashboard", "/static/..%2fdashboard", "/static/%2e%2e/dashboard", "/static/..%2f..%2fapp.py"),
        *("//dashboard", "//evil.example/%2e%2e", "/v1/../dashboard", "/v1//contact-types", "/livez/../metrics"),
        *("/login/..%2fdashboard", "/static//etc/passwd", "/webhooks/../v1/contact-types", "/./dashboard", "/v1/."),
        *("/static/%2e%2e%2f%2e%2e%2fapp.py", "/static/..", "/webhooks/%2e%2e/dashboard"),
    ],
)
def test_paths_that_try_to_look_open_lead_nowhere(house: House, path: str) -> None:
    answer = house.say(f"GET {path} HTTP/1.1\r\nHost: {house.host}\r\nConnection: close\r\n\r\n".encode())
    assert b" 404 " in answer.split(b"\r\n", 1)[0], answer[:300]


@pytest.mark.parametrize(
    "path",
    [
        *("/DASHBOARD", "/dashboard;x=/static/", "/dashboard%00/static/", "/dashboard%20", "/%64ashboard", "/livez%2f"),
        *("/livez/", "/static", "/metrics/", "/login%00", "/static%2f..", "/%2fdashboard%3f", "/readyz%0a", "*"),
    ],
)
def test_paths_that_are_near_an_open_one_ask_for_a_key(house: House, path: str) -> None:
    answer = house.say(f"GET {path} HTTP/1.1\r\nHost: {house.host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ", 2)[1] in (b"401", b"404", b"400"), answer[:300]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"])
def test_other_methods_do_nothing(house: House, method: str) -> None:
    line = f"{method} /v1/contact-types HTTP/1.1\r\nHost: {house.host}\r\n"
    key = f"Authorization: Bearer {house.keys['admin']}\r\nConnection: close\r\n\r\n"
    answer = house.say((line + key).encode(), seconds=2)
    assert answer.split(b" ", 2)[1] in (b"405", b"400"), answer[:200]


def test_a_method_cannot_be_overridden_by_a_header(house: House) -> None:
    headers = {"X-HTTP-Method-Override": "GET", "X-Original-URL": "/livez", "X-Rewrite-URL": "/livez"}
    is_refused(house.ask("POST", "/dashboard", headers=headers), 401, "no-key")
    assert house.ask("POST", "/dashboard", house.keys["admin"], headers=headers).status_code == 405


def test_a_header_cannot_name_another_address_of_the_client(open_house: OpenHouse) -> None:
    with open_house(failures_per_minute=3) as house:
        statuses = [
            house.ask("GET", "/v1/model", "wrong", headers={"X-Forwarded-For": f"10.0.0.{row}"}).status_code
            for row in range(5)
        ]
        assert statuses == [401, 401, 401, 429, 429]
        # Whoever has a key that works is let in: other people of this address may be guessing.
        assert house.ask("GET", "/v1/contact-types", house.keys["agent"]).status_code == 429  # not seen before
    with open_house(failures_per_minute=1) as house:
        assert house.ask("GET", "/v1/contact-types", house.keys["agent"]).status_code == 200
        assert [house.ask("GET", "/v1/model", "wrong").status_code for _ in range(3)] == [401, 429, 429]
        assert house.ask("GET", "/v1/contact-types", house.keys["agent"]).status_code == 200


def session_of(house: House, role: str = "agent") -> str:
    answer = house.ask("POST", "/login", data={"key": house.keys[role]})
    assert answer.status_code == 303
    return answer.cookies["triage_session"]


def forged_cookies(house: House) -> dict[str, str]:
    right = session_of(house)
    head, claims, signature = right.split(".")
    secret = (house.workspace.root / "session.secret").read_bytes()
    soon = datetime.now(UTC) + timedelta(hours=1)
    admin = {"sub": id_of(house.keys["admin"]), "aud": "triage session", "exp": soon}
    return {
        "no signature": f"{head}.{claims}.",
        "another's claims": f"{head}.{jwt.encode(admin, 'x' * 32).split('.')[1]}.{signature}",
        "signed by another": jwt.encode(admin, "x" * 32),
        "algorithm none": jwt.encode(admin, None, algorithm="none"),
        "another algorithm": jwt.encode(admin, secret * 2, algorithm="HS512"),
        "for another audience": jwt.encode(admin | {"aud": "other"}, secret),
        "over": jwt.encode(admin | {"exp": datetime.now(UTC) - timedelta(seconds=1)}, secret),
        "without an end": jwt.encode({name: value for name, value in admin.items() if name != "exp"}, secret),
        "of a key that never was": jwt.encode(admin | {"sub": "ffffffffffff"}, secret),
        "chosen by an attacker": "0123456789abcdef",
    }


def test_a_forged_or_planted_cookie_lets_nobody_in(house: House) -> None:
    for name, cookie in forged_cookies(house).items():
        answer = house.ask("GET", "/dashboard", headers={"Cookie": f"triage_session={cookie}"})
        assert answer.status_code == 401, name


def test_signing_in_replaces_a_planted_cookie(house: House) -> None:
    planted = session_of(house)
    answer = house.ask(
        "POST", "/login", data={"key": house.keys["admin"]}, headers={"Cookie": f"triage_session={planted}"}
    )
    assert answer.cookies["triage_session"] not in ("", planted)


@pytest.mark.parametrize("role", ["agent", "admin"])
@pytest.mark.parametrize(
    "from_elsewhere",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Referer": "https://evil.example/page"},
        {"Sec-Fetch-Site": "cross-site", "HX-Request": "true"},
        {},
    ],
    ids=str,
)
def test_a_form_of_another_site_changes_nothing(house: House, role: str, from_elsewhere: dict[str, str]) -> None:
    cookie = {"Cookie": f"triage_session={session_of(house, role)}"}
    for path in ("/console/tickets", "/person", "/logout", "/labels/x", "/v1/feedback"):
        if role == "agent" and path == "/labels/x":
            continue
        answer = house.ask("POST", path, headers=cookie | from_elsewhere, data={"name": "Eve"})
        is_refused(answer, 403, "cross-site")
    here = {"Origin": house.address}
    assert house.ask("POST", "/person", headers=cookie | here, data={"name": "Ana"}).status_code == 303


def test_without_keys_a_form_of_another_site_changes_nothing_either(open_house: OpenHouse) -> None:
    with open_house(require_keys=False) as house:
        evil = {"Sec-Fetch-Site": "cross-site"}
        is_refused(house.ask("POST", "/person", headers=evil, data={"name": "Eve"}), 403, "cross-site")
        is_refused(house.ask("POST", "/v1/suggestions", headers=evil, json={}), 403, "cross-site")
        assert house.ask("POST", "/person", data={"name": "Ana"}).status_code == 303  # a program
        assert house.ask("GET", "/dashboard").status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "/a\r\nSet-Cookie: x=y",
        "javascript:1",
        "",
    ],
)
def test_signing_in_leads_to_no_other_site(house: House, elsewhere: str) -> None:
    for answer in (
        house.ask("POST", "/login", data={"key": house.keys["agent"], "next": elsewhere}),
        house.ask("GET", "/login", params={"key": house.keys["agent"], "next": elsewhere}),
    ):
        assert answer.status_code == 303
        assert answer.headers["location"] == "/console"
    page = house.ask("GET", "/login", params={"next": elsewhere}).text
    assert '<input type="hidden" name="next" value="/console">' in page


def test_a_link_on_another_site_signs_nobody_in(house: House) -> None:
    """Otherwise one could be made to work, unaware, in the attacker's name."""
    from_elsewhere = {"Sec-Fetch-Site": "cross-site"}
    answer = house.ask("GET", "/login", params={"key": house.keys["agent"]}, headers=from_elsewhere)
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    posted = house.ask("POST", "/login", data={"key": house.keys["agent"]}, headers=from_elsewhere)
    is_refused(posted, 403, "cross-site")


def test_a_query_with_a_script_comes_back_as_text(house: House) -> None:
    nasty = "/<script>alert(1)</script>\"'"
    for answer in (
        house.ask("GET", "/login", params={"next": nasty}),
        house.ask("GET", "/console" + nasty, house.keys["admin"], headers={"Accept": "text/html"}),
    ):
        assert "<script>alert" not in answer.text
