"""The current window: tickets that got a suggestion in the last days, looked at again by the current release.

Suggestions may come from an earlier champion; comparing those with this champion's reference would call the change of
model a drift. So the sampled tickets are predicted afresh, which gives their embeddings too.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Protocol

import numpy as np
import sqlalchemy as sa

from models.predictions import Predictions
from models.release import Release
from monitoring.windows import Window
from pipeline.text.clean import Refused, clean_ticket
from pipeline.text.features import model_text
from tickets.contact_types import ContactTypeTree
from tickets.feedback_log import count_suggestions, suggestions_between
from tickets.records import Suggestion, Ticket, suggestion_from_json, ticket_from_json


class Reads(Protocol):
    """What monitoring needs of models.suggest.Suggester."""

    @property
    def release(self) -> Release: ...
    @property
    def tree(self) -> ContactTypeTree: ...
    def detail_cleaned(self, tickets: Sequence[Ticket]) -> Predictions: ...


@dataclass(frozen=True, slots=True)
class Logged:
    """A ticket with the newest suggestion that it got."""

    ticket: Ticket
    suggestion: Suggestion


@dataclass(frozen=True, slots=True)
class Period:
    """A period of the log: how many different tickets it had, and a random sample of them."""

    start: datetime
    end: datetime
    tickets: int
    logged: tuple[Logged, ...]


def period_of(as_of: date, days: int) -> tuple[datetime, datetime]:
    """The last `days` days up to and including `as_of`, in UTC: start <= time < end."""
    end = datetime.combine(as_of + timedelta(days=1), time(), UTC)
    return end - timedelta(days=days), end


def read_period(engine: sa.Engine, start: datetime, end: datetime, *, size: int, seed: int) -> Period:
    """Read a period in one pass, keeping `size` tickets at random: those with the smallest hashes, the same every
    time.
    """
    seen: set[str] = set()
    kept: dict[str, Mapping[str, Any]] = {}
    largest: list[tuple[int, str]] = []  # a heap of what is kept, the largest hash first
    for row in suggestions_between(engine, start, end):
        ticket_id = row["ticket_id"]
        if ticket_id in kept:
            kept[ticket_id] = row  # rows come oldest first, so the newest suggestion stays
        if ticket_id in seen:
            continue
        seen.add(ticket_id)
        rank = -_hash(ticket_id, seed)
        if len(kept) < size:
            heapq.heappush(largest, (rank, ticket_id))
        elif largest and rank > largest[0][0]:
            del kept[heapq.heapreplace(largest, (rank, ticket_id))[1]]
        else:
            continue
        kept[ticket_id] = row
    logged = [Logged(ticket_from_json(row["ticket"]), suggestion_from_json(row["suggestion"])) for row in kept.values()]
    logged.sort(key=lambda item: (item.ticket.created_at, item.ticket.ticket_id))
    return Period(start, end, len(seen), tuple(logged))


def daily_tickets(engine: sa.Engine, start: datetime, end: datetime) -> dict[date, int]:
    """Different tickets a day, from the first day that has one and was whole: the day the service started is left
    out.
    """
    days = [start + timedelta(days=n) for n in range((end - start).days)]
    counts = {day.date(): count_suggestions(engine, day, day + timedelta(days=1)) for day in days}
    began = next((day for day, count in counts.items() if count), None)
    return {day: count for day, count in counts.items() if began is not None and day > began}


def days_needed(daily: Mapping[date, int], as_of: date, *, tickets: int, most: int) -> int:
    """The fewest days up to and including `as_of` that brought so many tickets; `most` when they did not."""
    brought = 0
    for days in range(1, most + 1):
        brought += daily.get(as_of - timedelta(days=days - 1), 0)
        if brought >= tickets:
            return days
    return most


def look_at(period: Period, reads: Reads) -> tuple[Window, tuple[Logged, ...]]:
    """The sample of a period as the current release sees it, and the tickets in the same order.

    Tickets that cleaning refuses today, which a change of its rules can bring about, are left out.
    """
    logged, cleaned = [], []
    for item in period.logged:
        try:
            cleaned.append(clean_ticket(item.ticket, reads.release.languages))
        except Refused:
            continue
        logged.append(item)
    predictions = reads.detail_cleaned(cleaned)
    nodes = reads.tree.nodes
    window = Window(
        counted=period.tickets,
        start=period.start,
        end=period.end,
        ticket_ids=tuple(ticket.ticket_id for ticket in cleaned),
        created_at=tuple(ticket.created_at for ticket in cleaned),
        texts=tuple(model_text(ticket) for ticket in cleaned),
        languages=tuple(ticket.language or "" for ticket in cleaned),
        channels=tuple(ticket.channel for ticket in cleaned),
        attributes=tuple(ticket.attributes for ticket in cleaned),
        predicted=tuple(nodes[node].id for node in predictions.predicted.tolist()),
        probability=predictions.probability.astype(np.float64),
        out_of_scope=predictions.out_of_scope.astype(np.float64),
        abstained=predictions.abstained,
        embeddings=predictions.embeddings,
    )
    return window, tuple(logged)


def _hash(ticket_id: str, seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}:{ticket_id}".encode(), digest_size=8).digest())
