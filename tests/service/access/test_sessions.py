"""Signing in: the link of the first start, the form, what the cookie is like, and when the session ends."""

from __future__ import annotations

import stat
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from starlette.responses import Response

from service.access.sessions import Sessions
from tickets.api_keys import ApiKey, create_key, revoke_keys
from tickets.errors import MachineError
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from tests.service.access.conftest import House

PAGE = {"Accept": "text/html"}


def cookie_of(house: House, key: str) -> dict[str, str]:
    answer = house.ask("POST", "/login", data={"key": key})
    assert answer.status_code == 303, answer.text
    return {"Cookie": f"triage_session={answer.cookies['triage_session']}"}


def test_a_page_leads_to_the_login_and_back(house: House) -> None:
    answer = house.ask("GET", "/console?page=2", headers=PAGE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/console%3Fpage%3D2"
    form = house.ask("GET", answer.headers["location"]).text
    assert '<input type="hidden" name="next" value="/console?page=2">' in form
    signed_in = house.ask("POST", "/login", data={"key": house.keys["agent"], "next": "/console?page=2"})
    assert signed_in.headers["location"] == "/console?page=2"


def test_the_cookie_is_kept_from_scripts_and_from_other_sites(house: House) -> None:
    answer = house.ask("GET", "/login", params={"key": house.keys["agent"]})
    assert answer.status_code == 303
    assert house.keys["agent"] not in answer.headers["location"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    written = answer.headers["set-cookie"]
    assert "; HttpOnly" in written
    assert "; SameSite=strict" in written
    assert "; Path=/" in written
    assert house.keys["agent"].split("_")[2] not in written


def test_a_wrong_key_gets_the_form_again(house: House) -> None:
    for key in ("", "triage_no", f"triage_0123456789ab_{'0' * 64}"):
        answer = house.ask("POST", "/login", data={"key": key})
        assert answer.status_code == 401
        assert "not valid here" in answer.text
        assert "set-cookie" not in answer.headers


def test_a_session_has_the_role_of_its_key(house: House) -> None:
    cookie = cookie_of(house, house.keys["labeler"])
    statuses = [house.ask("GET", path, headers=cookie).status_code for path in ("/console", "/labels", "/dashboard")]
    assert statuses == [200, 200, 403]


def test_pages_link_to_what_their_reader_may_open(house: House) -> None:
    for role, links in (("agent", 0), ("labeler", 1), ("admin", 2)):
        page = house.ask("GET", "/console", headers=cookie_of(house, house.keys[role])).text
        assert [f'<a href="{address}"' in page for address in ("/labels", "/dashboard")].count(True) == links


def test_a_proxys_own_authorization_does_not_hide_the_session(house: House) -> None:
    cookie = cookie_of(house, house.keys["agent"])
    assert house.ask("GET", "/console", headers=cookie | {"Authorization": "Basic YTpi"}).status_code == 200


def test_a_link_from_another_site_comes_again_as_it_was(house: House) -> None:
    elsewhere = PAGE | {"Sec-Fetch-Site": "cross-site"}
    answer = house.ask("GET", "/console?text=refund+card&band=high", headers=elsewhere)
    assert answer.headers["refresh"] == "0; url=/console?text=refund+card&band=high"


def test_a_session_ends_with_its_key(house: House) -> None:
    made, written = create_key(house.engine, "on leave", "agent", at=datetime.now(UTC))
    cookie = cookie_of(house, written)
    assert house.ask("GET", "/console", headers=cookie).status_code == 200
    revoke_keys(house.engine, made.key_id, at=datetime.now(UTC))
    time.sleep(0.15)
    assert house.ask("GET", "/console", headers=cookie | PAGE).headers["location"].startswith("/login")
    assert house.ask("GET", "/console", headers=cookie).status_code == 401


FORM = PAGE | {"Sec-Fetch-Site": "same-origin", "Origin": "http://here.example"}


def test_a_form_that_is_sent_after_the_session_ended_comes_back(house: House) -> None:
    sent = {"action": "accepted", "reply": "Hello <Jo>,\nsorry.", "words": '"><script>'}
    answer = house.ask("POST", "/console/suggestions/any/feedback?type=a%26b", headers=FORM, data=sent)
    assert answer.status_code == 401
    assert "You were signed out" in answer.text
    assert "Hello &lt;Jo&gt;,\nsorry." in answer.text
    assert '<input type="hidden" name="action" value="accepted">' in answer.text
    assert "><script>" not in answer.text
    assert 'action="/console/suggestions/any/feedback?type=a%26b"' in answer.text
    assert 'href="/login?next=/console"' in answer.text
    many = house.ask("POST", "/console/tickets", headers=FORM, data={f"f{number}": "" for number in range(200)})
    assert (many.status_code, "You were signed out" in many.text) == (401, False)


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {}])
def test_a_form_of_another_site_does_not_come_back(house: House, headers: dict[str, str]) -> None:
    """Whoever then signs in and presses the button would send what a stranger wrote."""
    answer = house.ask("POST", "/console/tickets", headers=PAGE | headers, data={"body": "of a stranger"})
    assert answer.status_code == 401
    assert "of a stranger" not in answer.text
    assert "Sign in" in answer.text


def test_signing_out_takes_the_cookie_away(house: House) -> None:
    cookie = cookie_of(house, house.keys["agent"])
    answer = house.ask("POST", "/logout", headers=cookie | {"Origin": house.address})
    assert answer.status_code == 303
    assert 'triage_session=""' in answer.headers["set-cookie"]
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_htmx_without_a_session_is_led_to_the_login(house: House) -> None:
    answer = house.ask("GET", "/pick/contact-types", headers=PAGE | {"HX-Request": "true"})
    assert answer.status_code == 401
    assert answer.headers["hx-redirect"] == "/login"
    written_on = f"{house.address}/console/suggestions/s-1?type=refund"
    stays = PAGE | {"HX-Request": "true", "HX-Current-URL": written_on}
    answer = house.ask("GET", "/pick/contact-types", headers=stays)
    assert (answer.status_code, "hx-redirect" in answer.headers) == (401, False)  # what is being written is not left


def test_a_personal_key_names_its_person_and_a_shared_one_does_not(house: House) -> None:
    now = datetime.now(UTC)
    for name, shared in (("Ana Lúcia", False), ("front desk", True)):
        _, written = create_key(house.engine, name, "labeler", at=now, shared=shared)
        cookie = cookie_of(house, written)
        cookie["Cookie"] += "; triage_person=Somebody"
        page = house.ask("GET", "/labels", headers=cookie).text
        assert ("You are Ana Lúcia" in page) == (not shared)
        assert ('value="Somebody"' in page) == shared
        assert "Sign out" in page


def test_several_replicas_that_start_at_once_share_one_secret(workspace: Workspace) -> None:
    now = datetime.now(UTC)
    facts = {"key_id": "0123456789ab", "name": "a", "role": "agent", "shared": False, "hash": "", "created_at": now}
    key = ApiKey(**facts, expires_at=None, revoked_at=None, last_used_at=None)
    cookies: list[str] = []
    start = threading.Barrier(8)

    def replica() -> None:
        start.wait()
        answer = Response()
        Sessions(workspace, hours=1).begin(answer, key, secure=False)
        cookies.append(answer.headers["set-cookie"].split(";")[0].removeprefix("triage_session="))

    threads = [threading.Thread(target=replica) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other = Sessions(workspace, hours=1)
    assert [other.key_id(cookie) for cookie in cookies] == ["0123456789ab"] * 8
    secret = workspace.root / "session.secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert not list(workspace.root.glob(".session.secret*"))


def test_a_spoilt_secret_is_told(workspace: Workspace) -> None:
    (workspace.root / "session.secret").write_bytes(b"short")
    with pytest.raises(MachineError, match="holds 5 bytes instead of 32"):
        Sessions(workspace, hours=1).key_id("a.b.c")


def test_a_page_that_is_refused_says_why_and_offers_the_way_out(house: House) -> None:
    page = house.ask("GET", "/dashboard", headers=cookie_of(house, house.keys["agent"]) | PAGE)
    assert page.status_code == 403
    assert "asks for the role admin; the key has the role agent" in page.text
    assert "Sign out" in page.text


@pytest.mark.parametrize("named", ["Referer", "Origin"])
def test_over_plain_http_a_link_on_another_site_signs_nobody_in_either(house: House, named: str) -> None:
    """Browsers send no Sec-Fetch-Site there."""
    for elsewhere in ("https://evil.example/page", "http://evil.example:8000", "null"):
        answer = house.ask("GET", "/login", params={"key": house.keys["agent"]}, headers={named: elsewhere})
        assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)
    for here in ({}, {named: house.address}):
        assert house.ask("GET", "/login", params={"key": house.keys["agent"]}, headers=here).status_code == 303
