"""Headers that are too large, or do not come."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy as sa

from service.app import create_app, running
from service.options import ServerOptions
from tickets.workspace import Workspace


@pytest.fixture
def address(served: Workspace, sqlite_engine: sa.Engine) -> Iterator[tuple[str, int]]:
    options = ServerOptions(max_header_bytes=4096, header_seconds=0.4)
    with running(create_app(served, sqlite_engine), options=options) as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


def answer_to(address: tuple[str, int], *parts: bytes) -> bytes:
    with socket.create_connection(address, timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.02)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


@pytest.mark.parametrize(
    "parts",
    [
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 5000 + b"\r\n\r\n",),
        (b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a" * 3000, b"a" * 3000),
        (b"GET /livez?" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",),
        (b"POST /v1/feedback HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nX-Long: " + b"a" * 5000 + b"\r\n\r\nbody",),
    ],
    ids=["in one piece", "without an end", "a long path", "with a body"],
)
def test_headers_over_the_limit_are_refused(address: tuple[str, int], parts: tuple[bytes, ...]) -> None:
    received = answer_to(address, *parts)
    assert received.startswith(b"HTTP/1.1 431 ")
    assert received.count(b"HTTP/1.1") == 1


def test_headers_that_do_not_come_are_given_up(address: tuple[str, int]) -> None:
    for parts in ((), (b"GET /livez HT",), (b"GET /livez HTTP/1.1\r\nHost: x\r\n",)):
        assert answer_to(address, *parts).startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_waits_between_requests_is_kept(address: tuple[str, int]) -> None:
    with httpx.Client(base_url="http://{}:{}".format(*address)) as client:
        assert client.get("/livez").status_code == 200
        time.sleep(0.6)
        assert client.get("/livez", headers={"X-Some": "a" * 3000}).status_code == 200
        body = {"ticket": {"body": "please refund my ride. " * 500}}
        assert client.post("/v1/suggestions", json=body).status_code == 200
