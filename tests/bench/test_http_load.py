"""Load over HTTP: every request is counted, whatever becomes of the server."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator

import pytest

pytestmark = pytest.mark.usefixtures("bench_folder")


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def dying_port() -> Iterator[int]:
    """A server that takes all connections, answers one request, and is gone."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)

    def serve() -> None:
        connections = [listener.accept()[0]]
        while connections[0] not in (ready := select.select([listener, connections[0]], [], [])[0]):
            connections += [listener.accept()[0] for _ in ready]
        connections[0].recv(1000)
        connections[0].sendall(ANSWER)
        listener.close()
        for connection in connections:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1]
    thread.join()


def test_requests_to_a_server_that_is_gone_are_counted_as_broken(dying_port: int) -> None:
    from http_load import open_loop, request_bytes

    measured = open_loop(dying_port, [request_bytes("/", b"{}")], per_second=500, seconds=1)
    assert sum(measured.statuses.values()) == 500
    assert measured.statuses[0] >= 499


def test_a_client_goes_on_when_no_new_connection_can_be_had(dying_port: int) -> None:
    from http_load import closed_loop, request_bytes

    measured = closed_loop(dying_port, [request_bytes("/", b"{}")], connections=1, seconds=1)
    assert measured.statuses[200] == 1
    assert measured.statuses[0] > 1
