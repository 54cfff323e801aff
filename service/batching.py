"""Micro-batching: tickets that wait at the same time are read by the model together, those of like length first.

Tickets of single requests go before those of large batches, which get every fourth turn however many singles wait. The
queue is bounded by the time it would take to empty it, so what is taken in is answered soon and the rest is told at
once to come back later.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from service.problems import Problem
from tickets.errors import TriageError

MOST_TOGETHER = 8  # single tickets in one inference: each waits for the slowest
MOST_BULK_TOGETHER = 32  # of large batches, where nobody waits for one: what is done once an inference costs them less
_CONSIDERED = 128  # waiting tickets that are looked through for some of like length
_ROOM = 3.0  # a ticket joins one that is longer by no more than this factor, or it would wait for the other's text
_SHORT = 64  # characters; differences below this cost nothing
_BULK_TURN = 4  # every so many-th inference is for large batches first
_SMOOTHING = 0.05  # weight of the newest inference in the running mean of seconds a ticket

Item = TypeVar("Item")
Result = TypeVar("Result")


class Meter(Protocol):
    """What the batcher tells of itself; service.telemetry.Metrics counts it."""

    def waiting(self, tickets: int) -> None: ...
    def inferred(self, *, tickets: int, seconds: float, waited: float) -> None: ...
    def refused(self, reason: str) -> None: ...


@dataclass(slots=True)
class _Waiting(Generic[Item, Result]):
    item: Item
    group: object  # only items of one group are read together, such as those of one release
    length: int
    since: float
    done: asyncio.Future[Result]


@dataclass(slots=True)
class _Lanes(Generic[Item, Result]):
    """The two queues. Each is in order of arrival; the oldest of a lane is always among those taken next."""

    single: deque[_Waiting[Item, Result]] = field(default_factory=deque)
    bulk: deque[_Waiting[Item, Result]] = field(default_factory=deque)
    turns: int = 0

    def __len__(self) -> int:
        return len(self.single) + len(self.bulk)

    def take(self) -> list[_Waiting[Item, Result]]:
        """Some of like length and one group, the oldest of the lane whose turn it is among them."""
        self.turns += 1
        lanes = (self.single, self.bulk) if self.turns % _BULK_TURN else (self.bulk, self.single)
        lane = lanes[0] or lanes[1]
        if not lane:
            return []
        return _of_like_length(lane, MOST_TOGETHER if lane is self.single else MOST_BULK_TOGETHER)


class MicroBatcher(Generic[Item, Result]):
    """Runs `infer` on waiting items in `threads` threads of its own. Use it from one event loop, inside `running()`.

    `longest_wait` (seconds) bounds the queue of single items; `most_bulk` (tickets) that of large batches.
    """

    def __init__(
        self,
        infer: Callable[[Sequence[Item]], Sequence[Result]],
        *,
        threads: int,
        longest_wait: float,
        most_bulk: int,
        meter: Meter,
    ) -> None:
        self._infer = infer
        self._threads = threads
        self._longest_wait = longest_wait
        self._most_bulk = most_bulk
        self._meter = meter
        self._lanes: _Lanes[Item, Result] = _Lanes()
        self._arrived = asyncio.Event()
        self._seconds_a_ticket = 0.0
        self._in_hand = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Inference threads work while the block lasts; at its end what waits is finished first."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="inference") as pool:
            workers = [asyncio.create_task(self._work(pool)) for _ in range(self._threads)]
            try:
                yield
            finally:
                while self._lanes or self._in_hand:
                    await asyncio.sleep(0.01)
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    def seconds_to_empty(self, *, bulk: bool = False) -> float:
        """How long an item that comes now would wait."""
        ahead = (len(self._lanes) if bulk else len(self._lanes.single)) + self._in_hand
        return ahead * self._seconds_a_ticket / self._threads

    def full(self) -> bool:
        """Whether a single item would be refused. There is always room for one inference."""
        return len(self._lanes.single) >= MOST_TOGETHER and self.seconds_to_empty() > self._longest_wait

    async def submit(
        self, items: Sequence[Item], lengths: Sequence[int], *, groups: Sequence[object], bulk: bool = False
    ) -> list[Result]:
        """The results of the items, in their order. Items of one group and of like length (characters) may be read
        together. `bulk` puts a single one behind the others, where several stand anyway.

        Raises Problem (503, with Retry-After) when the queue is full, and whatever `infer` raises.
        """
        bulk = bulk or len(items) > 1
        if self._refuses(len(items), bulk=bulk):
            self._meter.refused("queue full")
            raise busy(self.seconds_to_empty(bulk=bulk))
        loop, now = asyncio.get_running_loop(), time.perf_counter()
        waiting = [
            _Waiting[Item, Result](item, group, length, now, loop.create_future())
            for item, length, group in zip(items, lengths, groups, strict=True)
        ]
        (self._lanes.bulk if bulk else self._lanes.single).extend(waiting)
        self._meter.waiting(len(self._lanes))
        self._arrived.set()
        if not bulk:
            return [await waiting[0].done]
        return list(await asyncio.gather(*(one.done for one in waiting)))

    def _refuses(self, items: int, *, bulk: bool) -> bool:
        if not bulk:
            return self.full()
        return len(self._lanes.bulk) > 0 and len(self._lanes.bulk) + items > self._most_bulk

    async def _work(self, pool: ThreadPoolExecutor) -> None:
        while True:
            while not self._lanes:
                self._arrived.clear()
                await self._arrived.wait()
            taken = [one for one in self._lanes.take() if not one.done.cancelled()]
            if not taken:
                continue
            self._in_hand += len(taken)
            started = time.perf_counter()
            await self._run(pool, taken)
            self._in_hand -= len(taken)
            self._learn(len(taken), time.perf_counter() - started, waited=started - taken[0].since)

    async def _run(self, pool: ThreadPoolExecutor, taken: Sequence[_Waiting[Item, Result]]) -> None:
        """Infer, and tell each who waits. When several fail together each is tried alone: one must not spoil the
        others."""
        try:
            results = await asyncio.get_running_loop().run_in_executor(pool, self._infer, [one.item for one in taken])
        except Exception as error:
            if len(taken) > 1 and not isinstance(error, TriageError):  # such as a full disk, which is nobody's fault
                for one in taken:
                    await self._run(pool, [one])
                return
            for one in taken:
                if not one.done.done():
                    one.done.set_exception(error)
            return
        for one, result in zip(taken, results, strict=True):
            if not one.done.done():  # whoever asked may be gone
                one.done.set_result(result)

    def _learn(self, tickets: int, seconds: float, *, waited: float) -> None:
        each = seconds / tickets
        self._seconds_a_ticket += _SMOOTHING * (each - self._seconds_a_ticket) if self._seconds_a_ticket else each
        self._meter.inferred(tickets=tickets, seconds=seconds, waited=waited)
        self._meter.waiting(len(self._lanes))


def busy(seconds: float) -> Problem:
    """The answer to a request that the queue has no room for; `seconds` until it would be empty."""
    return Problem(
        503,
        "busy",
        "more tickets are waiting than can be answered soon.",
        hint="Wait as long as Retry-After says, then send it again.",
        retry_after=max(1.0, seconds),
    )


def _of_like_length(lane: deque[_Waiting[Item, Result]], most: int) -> list[_Waiting[Item, Result]]:
    """The oldest, and those near it in length among the next ones. They leave the lane."""
    oldest = lane[0]
    alike = sorted(
        (place for place in range(min(len(lane), _CONSIDERED)) if _alike(lane[place], oldest)),
        key=lambda place: (abs(lane[place].length - oldest.length), place),
    )[:most]
    chosen = [lane[place] for place in alike]
    for place in sorted(alike, reverse=True):
        del lane[place]
    return chosen


def _alike(one: _Waiting[Item, Result], other: _Waiting[Item, Result]) -> bool:
    short, long = sorted((max(one.length, _SHORT), max(other.length, _SHORT)))
    return one.group is other.group and long <= _ROOM * short
