"""Requests that are too deep, too large or too slow: the attacks of docs/security.md on a connection."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from tests.service.access.test_attacks import is_refused

if TYPE_CHECKING:
    from tests.service.access.conftest import House


def deep(levels: int) -> bytes:
    return b'{"ticket": {"body": "x", "attributes": ' + b"[" * levels + b"]" * levels + b"}}"


def test_deep_json_is_refused_before_it_is_parsed(house: House) -> None:
    key, kind = house.keys["agent"], {"Content-Type": "application/json"}
    for body in (deep(100_000), b'{"a":' * 40 + b"1" + b"}" * 40, b"[" * 1000):
        is_refused(house.ask("POST", "/v1/suggestions", key, content=body, headers=kind), 400, "too-deep")
    hidden = json.dumps({"ticket": {"body": "x"}}).replace("x", "[" * 500)
    assert house.ask("POST", "/v1/suggestions", key, content=hidden, headers=kind).status_code in (422, 503)
    utf_16 = deep(500).decode().encode("utf-16-le")
    is_refused(house.ask("POST", "/v1/suggestions", key, content=utf_16, headers=kind), 400, "not-utf-8")


def test_deep_json_in_small_pieces_is_refused_as_well(house: House) -> None:
    def pieces() -> Any:
        body = b'{"ticket": {"body": "\\\\\\"[[[", "attributes": ' + b"[" * 50
        yield from (body[start : start + 1] for start in range(len(body)))

    answer = house.ask(
        "POST",
        "/v1/suggestions",
        house.keys["agent"],
        content=pieces(),
        headers={"Content-Type": "application/json"},
    )
    is_refused(answer, 400, "too-deep")


def test_a_huge_body_is_refused_announced_or_not(house: House) -> None:
    key = house.keys["agent"]
    is_refused(house.ask("POST", "/v1/suggestions", key, content=b"x" * 1_200_000), 413, "too-large")

    def pieces() -> Any:
        for _ in range(40):
            yield b" " * 50_000

    kind = {"Content-Type": "application/json"}
    is_refused(house.ask("POST", "/v1/suggestions", key, content=pieces(), headers=kind), 413, "too-large")


def test_a_slow_body_is_ended_and_its_connection_closed(house: House) -> None:
    head = (
        f"POST /v1/suggestions HTTP/1.1\r\nHost: {house.host}\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {house.keys['agent']}\r\nContent-Length: 1000\r\n\r\n"
    )
    started = time.monotonic()
    answer = house.say(head.encode(), b'{"ticket"')
    assert answer.startswith(b"HTTP/1.1 408 "), answer[:200]
    assert b"connection: close" in answer.lower()
    assert 0.9 < time.monotonic() - started < 5


def test_slow_headers_are_ended(house: House) -> None:
    started = time.monotonic()
    assert house.say(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ").startswith(b"HTTP/1.1 408 ")
    assert house.say(b"") == b""  # it asked for nothing
    assert time.monotonic() - started < 8


def test_a_body_that_goes_on_after_the_answer_is_not_waited_for_long(house: House) -> None:
    started = time.monotonic()
    answer = house.say(b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")
    assert answer.endswith(b'{"status":"alive"}')
    assert time.monotonic() - started < 4


def test_a_body_that_goes_on_after_the_answer_is_not_read_for_ever(house: House) -> None:
    head = f"POST /v1/suggestions HTTP/1.1\r\nHost: {house.host}\r\nContent-Length: 100000000\r\n\r\n"
    started = time.monotonic()
    house.say(head.encode(), *[b" " * 1_000_000] * 40)
    assert time.monotonic() - started < 4


@pytest.mark.parametrize(
    ("headers", "status"),
    [("Content-Type: application/json", 401), ("Content-Type: text/plain\r\nAuthorization: Bearer {key}", 415)],
)
def test_a_refusal_is_read_though_the_body_comes_after_it_and_the_connection_goes_on(
    house: House, headers: str, status: int
) -> None:
    """A client sends headers and body apart. Closing between the two would reset the connection over the refusal."""
    host, _, port = house.host.partition(":")
    written = headers.format(key=house.keys["agent"])
    head = f"POST /v1/suggestions HTTP/1.1\r\nHost: {house.host}\r\n{written}\r\nContent-Length: 400000\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as line:
        for _ in range(2):
            line.sendall(head.encode())
            time.sleep(0.2)  # by now it is refused
            for _ in range(4):
                line.sendall(b" " * 100_000)
                time.sleep(0.02)
            assert line.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())
        line.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert line.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "flood",
    [
        "".join(f"X-{number}: a\r\n" for number in range(5000)),
        f"X-Long: {'a' * 200_000}\r\n",
        "".join(f"X-{number}: {'a' * 8000}\r\n" for number in range(60)),
    ],
    ids=["many", "one long", "large"],
)
def test_a_flood_of_headers_is_refused(house: House, flood: str) -> None:
    answer = house.say(f"GET /livez HTTP/1.1\r\nHost: x\r\n{flood}".encode(), b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b"", answer[:200]
    assert b"alive" not in answer
    assert house.ask("GET", "/livez").status_code == 200


def test_a_long_address_is_refused(house: House) -> None:
    answer = house.say(f"GET /livez?{'a' * 100_000} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""


def test_a_request_id_cannot_forge_a_line_of_the_log(house: House) -> None:
    with capture_logs() as events:
        for forged in ('x" level="error', "a\x1b[31m", "x" * 500, "{}", "<script>"):
            house.ask("GET", "/livez", headers={"X-Request-ID": forged.encode()})
        assert b" 400 " in house.say(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\nevent: b\x00\r\n\r\n")[:20]
    ids = [event["request_id"] for event in events if "request_id" in event]
    assert all(re.fullmatch(r"[0-9a-f]{32}", made) for made in ids)
