"""Load over HTTP/1.1, as lean as Python allows, since it shares two cores with the server it measures.

Requests are bytes made beforehand, connections stay open, and latencies are kept whole. A closed loop sends the next
request when the last is answered; an open loop sends at its own pace and counts from when a request was due, so a
server that stalls is charged for all who would have waited (Tene, "How NOT to Measure Latency").
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import uvloop

_CONNECTIONS = 128  # of an open loop, at most; more requests than that wait for one, on the clock


@dataclass(slots=True)
class Measured:
    """What came of a load: seconds of every request by status (0: no connection, or it broke), and one body of each."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    wall: float = 0.0

    def add(self, status: int, seconds: float, body: bytes) -> None:
        self.seconds.setdefault(status, []).append(seconds)
        self.bodies.setdefault(status, body)

    @property
    def statuses(self) -> Counter[int]:
        return Counter({status: len(times) for status, times in self.seconds.items()})

    def per_second(self, status: int = 200) -> float:
        return len(self.seconds.get(status, ())) / self.wall

    def milliseconds(self, percent: float, status: int = 200) -> float:
        """A percentile of the latency of requests that ended with this status."""
        return float(np.percentile(self.seconds[status], percent)) * 1000


class _Connection(asyncio.Protocol):
    """One open connection with at most one request under way."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._received) < end + 4 + length:
            return
        body = bytes(self._received[end + 4 : end + 4 + length])
        del self._received[: end + 4 + length]
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((int(head[9:12]), body))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol hands it over
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((0, b""))

    @property
    def open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Status and body; status 0 when the connection broke."""
        self._answer = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.open:
            return 0, b""
        self._transport.write(request)
        return await self._answer


def request_bytes(path: str, body: bytes, *, key: str | None = None) -> bytes:
    head = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if key:
        head.append(f"Authorization: Bearer {key}")
    return ("\r\n".join(head) + "\r\n\r\n").encode() + body


def closed_loop(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Measured:
    """So many connections, each sending as soon as it is answered."""
    return uvloop.run(_closed(port, itertools.cycle(requests), connections, seconds))


def open_loop(port: int, requests: Sequence[bytes], *, per_second: float, seconds: float) -> Measured:
    """Requests at even intervals, whatever the server does."""
    return uvloop.run(_open(port, itertools.cycle(requests), per_second, seconds))


async def _connect(port: int) -> _Connection:
    _, connection = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", port)
    return connection


async def _ask(port: int, connection: _Connection, request: bytes) -> tuple[_Connection, int, bytes]:
    """Status and body over the connection, or over a new one where it is closed; 0 where none can be had."""
    if not connection.open:
        try:
            connection = await _connect(port)
        except OSError:
            return connection, 0, b""
    return connection, *await connection.send(request)


async def _closed(port: int, requests: Iterator[bytes], connections: int, seconds: float) -> Measured:
    measured, started = Measured(), time.perf_counter()

    async def work() -> None:
        connection = await _connect(port)
        while time.perf_counter() - started < seconds:
            sent = time.perf_counter()
            connection, status, body = await _ask(port, connection, next(requests))
            measured.add(status, time.perf_counter() - sent, body)

    await asyncio.gather(*(work() for _ in range(connections)))
    measured.wall = time.perf_counter() - started
    return measured


async def _open(port: int, requests: Iterator[bytes], per_second: float, seconds: float) -> Measured:
    measured = Measured()
    idle: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        idle.put_nowait(await _connect(port))
    started = time.perf_counter()

    async def one(due: float, request: bytes) -> None:
        connection = await idle.get()
        connection, status, body = await _ask(port, connection, request)
        idle.put_nowait(connection)
        measured.add(status, time.perf_counter() - due, body)

    under_way = set()
    for number in range(int(per_second * seconds)):
        due = started + number / per_second
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        task = asyncio.create_task(one(due, next(requests)))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    measured.wall = time.perf_counter() - started
    return measured
