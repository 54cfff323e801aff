"""Cleaning before the model: what is long is cleaned in a thread, so that other requests go on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from service.answering import Wanted, cleaned
from tickets.records import Ticket


class Counted(ThreadPoolExecutor):
    """A pool that knows how often it was given work."""

    given = 0

    def submit(self, work: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        self.given += 1
        return super().submit(work, *args, **named)


@pytest.mark.parametrize(
    ("subject", "body", "threads"),
    [("Refund", "Please refund my ride.", 0), ("Refund", "please " * 2_000, 1), ("please " * 2_000, "Refund me.", 1)],
)
def test_long_texts_leave_the_event_loop_to_others(subject: str, body: str, threads: int) -> None:
    ticket = Ticket(ticket_id="t", created_at=datetime(2026, 3, 2, tzinfo=UTC), subject=subject, body=body)

    async def story() -> int:
        pool = Counted()
        asyncio.get_running_loop().set_default_executor(pool)
        (found,) = await cleaned([Wanted(ticket=ticket)], ("en",))
        assert found.ticket_id == "t"
        return pool.given

    assert asyncio.run(story()) == threads
