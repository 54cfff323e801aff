"""The stream itself: days of tickets in date order.

A day's tickets depend on the configuration and the date alone, so any number of processes writes the same bytes. A
longer period begins with the same days as a shorter one, and an event changes no day before it starts.
"""

from __future__ import annotations

import hashlib
import math
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import accumulate
from random import Random
from typing import TypeVar

from tickets.errors import InputError
from tickets.records import AttributeValue, Outcome, Ticket
from tickets.simulate.agents import resolve
from tickets.simulate.catalogue import Situation, situation_by_path, situations
from tickets.simulate.customers import Customer, customer
from tickets.simulate.events import Event
from tickets.simulate.grammar import Wording
from tickets.simulate.writing import Occasion, write

MULTI_ISSUE = 0.07
AMBIGUOUS = 0.05
RESENT = 0.01  # written a second time, as it was or with a line of protest
REGULARS = 0.06  # of tickets come from the fiftieth of the customers who write most
STATUSES = ("completed", "cancelled_by_customer", "cancelled_by_partner", "in_progress", "not_started", "none")
CHUNK = 1_000  # tickets; the unit of work, and part of what a seed means: another value gives other tickets

_WEEKDAYS = (1.02, 0.95, 0.96, 1.0, 1.14, 1.08, 0.85)  # Monday to Sunday, mean 1
_WEEKDAY_HOURS = (2, 1, 1, 1, 1, 2, 4, 7, 9, 7, 6, 6, 8, 7, 6, 6, 7, 10, 12, 13, 11, 8, 6, 4)
_WEEKEND_HOURS = (7, 6, 4, 3, 2, 1, 1, 2, 3, 5, 6, 7, 9, 8, 7, 6, 7, 8, 11, 13, 12, 10, 9, 8)

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationConfig:
    """What is simulated. `tickets_per_day` is a mean; `customers` people write them, some often. Raises InputError."""

    seed: int
    start: date
    days: int
    tickets_per_day: int
    mislabel_rate: float = 0.05
    customers: int = 40_000
    events: tuple[Event, ...] = ()
    new_sentences_from: date | None = None  # before, nobody says things in the sentences that all say them in after

    def __post_init__(self) -> None:
        if self.days < 1 or self.tickets_per_day < 1 or self.customers < 1:
            raise InputError(
                "a simulation needs at least one day, one ticket a day and one customer.",
                hint="Raise the plan's days, tickets_per_day or customers.",
            )
        if not 0 <= self.mislabel_rate <= 1:
            raise InputError(
                f"mislabel_rate is {self.mislabel_rate}; it is a share, 0 to 1.", hint="For one label in twenty: 0.05."
            )

    def wording(self, day: date) -> Wording:
        """Which of the phrases customers use that day."""
        if self.new_sentences_from is None:
            return "any"
        return "new" if day >= self.new_sentences_from else "usual"

    @property
    def dates(self) -> tuple[date, ...]:
        return tuple(self.start + timedelta(days=number) for number in range(self.days))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTicket:
    """A ticket, what an agent recorded, and the truth. `events` names the events that shaped it.

    The ticket's text is raw. `requester` is the customer's name and e-mail address; the ticket holds a hash only.
    """

    ticket: Ticket
    true_contact_type: str
    right_template_id: str
    outcome: Outcome
    reply_text: str
    requester: tuple[str, str]
    language: str
    multi_issue: bool = False
    ambiguous: bool = False
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SimulatedDay:
    """One day (UTC) and its tickets in order of time."""

    day: date
    tickets: list[SimulatedTicket]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of one day: tickets `first` to `first + count` of the day's `total`."""

    day: date
    first: int
    count: int
    total: int


def simulate(config: SimulationConfig, *, processes: int = 1) -> Iterator[SimulatedDay]:
    """The days of the simulation in order. More processes make it faster and change nothing else."""
    gathered: dict[date, list[SimulatedTicket]] = {}
    for chunk, tickets in in_order(config, simulate_chunk, chunks(config), processes=processes):
        gathered.setdefault(chunk.day, []).extend(tickets)
        if chunk.first + chunk.count == chunk.total:
            yield SimulatedDay(chunk.day, gathered.pop(chunk.day))


def in_order(
    config: SimulationConfig,
    make: Callable[[SimulationConfig, Chunk], Made],
    work: Iterable[Chunk],
    *,
    processes: int,
) -> Iterator[tuple[Chunk, Made]]:
    """`make` for every chunk, in order, on several processes, a few chunks ahead of who reads."""
    if processes <= 1:
        for chunk in work:
            yield chunk, make(config, chunk)
        return
    # Spawned, not forked: the caller may run threads (a server, a JVM bridge) that do not survive a fork.
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[tuple[Chunk, Future[Made]]] = deque()
        for chunk in work:
            waiting.append((chunk, pool.submit(make, config, chunk)))
            if len(waiting) >= 3 * processes:
                ready, future = waiting.popleft()
                yield ready, future.result()
        while waiting:
            ready, future = waiting.popleft()
            yield ready, future.result()


def chunks(config: SimulationConfig) -> Iterator[Chunk]:
    """The whole simulation cut into pieces of work. A day without tickets is one empty chunk."""
    for day in config.dates:
        total = day_volume(config, day)
        for first in range(0, max(total, 1), CHUNK):
            yield Chunk(day, first, min(CHUNK, total - first), total)


def day_volume(config: SimulationConfig, day: date) -> int:
    """How many tickets a day brings: the weekly rhythm, chance, and outages on top."""
    rng = Random(f"{config.seed}/volume/{day}")
    expected = config.tickets_per_day * _WEEKDAYS[day.weekday()] * rng.gauss(1.0, 0.04)
    for event in config.events:
        if event.kind == "outage":
            expected /= 1.0 - event.share_on(day)
    return max(0, round(rng.gauss(expected, math.sqrt(expected))))  # Poisson in all but the smallest counts


def simulate_chunk(config: SimulationConfig, chunk: Chunk) -> list[SimulatedTicket]:
    """The tickets of one chunk, in order of time. Pure: the same chunk is the same tickets in any process."""
    rng = Random(f"{config.seed}/{chunk.day}/{chunk.first}")
    active = [(event, share) for event in config.events if (share := event.share_on(chunk.day))]
    tickets: list[SimulatedTicket] = []
    for number, at in enumerate(_times(chunk, rng), start=chunk.first):
        ticket_id = f"{chunk.day:%Y%m%d}-{number:06d}"
        if len(tickets) > 5 and rng.random() < RESENT:
            tickets.append(_resend(tickets[int(rng.random() * len(tickets))], ticket_id, at, rng))
        else:
            tickets.append(_simulate_ticket(config, active, ticket_id, at, rng))
    return tickets


def _times(chunk: Chunk, rng: Random) -> list[datetime]:
    """Sorted times: the chunk's slice of the day, by the day's hourly profile."""
    hours = _WEEKEND_HOURS if chunk.day.weekday() >= 5 else _WEEKDAY_HOURS
    bounds = [0, *accumulate(hours)]
    midnight = datetime(chunk.day.year, chunk.day.month, chunk.day.day, tzinfo=UTC)
    low, width = chunk.first / max(chunk.total, 1), chunk.count / max(chunk.total, 1)
    times = []
    hour = 0
    for place in sorted(low + width * rng.random() for _ in range(chunk.count)):
        target = place * bounds[-1]
        while target >= bounds[hour + 1] and hour < 23:
            hour += 1
        seconds = int(3600 * (hour + min(0.9999, (target - bounds[hour]) / hours[hour])))
        times.append(midnight + timedelta(seconds=seconds))
    return times


def _simulate_ticket(
    config: SimulationConfig, active: list[tuple[Event, float]], ticket_id: str, at: datetime, rng: Random
) -> SimulatedTicket:
    situation, cause = _choose_situation(active, rng)
    writer = customer(config.seed, _choose_customer(config.customers, rng))
    second = _draw(rng) if rng.random() < MULTI_ISSUE else None
    attributes, product, status = _attributes(situation, writer, config, at.date(), rng)
    occasion = Occasion(
        situation=situation,
        customer=writer,
        at=at,
        product=product,
        amount=_amount(situation, rng),
        channel=_channel(writer, rng),
        order=f"RD-{rng.getrandbits(28):07X}",
        second=second if second is not situation else None,
        vague=writer.language == "en" and rng.random() < AMBIGUOUS,
        outage=cause is not None and cause.kind == "outage" and rng.random() < 0.6,
        wording=config.wording(at.date()),
        renamed=any(event.kind == "wording" and rng.random() < share for event, share in active),
    )
    written = write(occasion, rng)
    events = [cause.name] if cause is not None else []
    if written.renamed:
        events += [event.name for event, _ in active if event.kind == "wording"]
    tenure = max(0, writer.signed_up + (at.date() - config.start).days)
    closed = resolve(occasion, status, tenure, config.mislabel_rate, rng)
    attributes["amount"] = occasion.amount if rng.random() < 0.96 else None
    return SimulatedTicket(
        ticket=Ticket(
            ticket_id=ticket_id,
            created_at=at,
            channel=occasion.channel,
            subject=written.subject,
            body=written.body,
            customer_key=hashlib.sha256(writer.email.encode()).hexdigest(),
            attributes=attributes,
        ),
        true_contact_type=situation.path,
        right_template_id=closed.right_template.template_id,
        outcome=Outcome(
            ticket_id=ticket_id,
            contact_type=closed.contact_type,
            template_id=closed.template.template_id,
            resolved_at=at + timedelta(seconds=int(rng.lognormvariate(9.0, 1.0) + closed.handle_seconds)),
            handle_seconds=closed.handle_seconds,
            source="import",
            labeler=closed.agent,
        ),
        reply_text=closed.reply,
        requester=(f"{writer.first} {writer.last}", writer.email),
        language=writer.language,
        multi_issue=occasion.second is not None,
        ambiguous=occasion.vague,
        events=tuple(events),
    )


def _resend(earlier: SimulatedTicket, ticket_id: str, at: datetime, rng: Random) -> SimulatedTicket:
    ticket = earlier.ticket
    body = ticket.body if rng.random() < 0.5 else f"I sent this already and got no answer!\n\n{ticket.body}"
    return replace(
        earlier,
        ticket=replace(ticket, ticket_id=ticket_id, created_at=at, body=body),
        outcome=replace(earlier.outcome, ticket_id=ticket_id, resolved_at=at + timedelta(hours=4)),
    )


def _choose_situation(active: list[tuple[Event, float]], rng: Random) -> tuple[Situation, Event | None]:
    """What the ticket is about, and the event that decided it, if one did; the earlier in the schedule goes first."""
    for event, share in active:
        if event.contact_types and rng.random() < share:
            paths = event.contact_types
            if event.kind == "outage":  # most of it is about the first contact type it names
                return situation_by_path()[paths[0] if rng.random() < 0.7 else rng.choice(paths)], event
            options = [situation_by_path()[path] for path in paths]
            return rng.choices(options, [option.weight for option in options])[0], event
    return _draw(rng), None


def _draw(rng: Random) -> Situation:
    options, weights = _weighted()
    return rng.choices(options, cum_weights=weights)[0]


@cache
def _weighted() -> tuple[tuple[Situation, ...], list[float]]:
    options = situations()
    return options, list(accumulate(option.weight for option in options))


def _choose_customer(customers: int, rng: Random) -> int:
    pool = max(1, customers // 50) if rng.random() < REGULARS else customers
    return int(rng.random() * pool)


def _channel(writer: Customer, rng: Random) -> str:
    weights = (10, 45, 40, 5) if writer.platform == "web" else (52, 29, 8, 11)
    return rng.choices(("app", "email", "web", "chat"), weights)[0]


def _amount(situation: Situation, rng: Random) -> float | None:
    low, high = situation.amount
    return round(low + (high - low) * rng.random() ** 1.6, 2) if high else None


def _attributes(
    situation: Situation, writer: Customer, config: SimulationConfig, day: date, rng: Random
) -> tuple[dict[str, AttributeValue], str, str]:
    """What the helpdesk knows (now and then wrong or missing), and the true product and status."""
    product, status = rng.choice(situation.products), rng.choice(situation.status)
    platform = writer.platform
    if situation.platform is not None and platform not in situation.platform:
        platform = rng.choice(situation.platform)
    payment = writer.payment if situation.payment is None else rng.choice(situation.payment)
    known: dict[str, AttributeValue] = {
        "product": _known(product, ("go", "eats", "send"), rng),
        "city": writer.city.name,
        "platform": platform,
        "trip_status": _known(status, STATUSES, rng),
        "payment_method": _known(payment, ("card", "wallet", "cash", "bank"), rng),
        "tenure_days": float(max(0, writer.signed_up + (day - config.start).days)) if rng.random() < 0.97 else None,
        "member": (writer.member or situation.member) if rng.random() < 0.97 else None,
    }
    return known, product, status


def _known(value: str, others: tuple[str, ...], rng: Random) -> str | None:
    """The helpdesk's view: right most of the time, missing in 3 %, of something else in 3 %."""
    draw = rng.random()
    if draw < 0.94:
        return value
    return None if draw < 0.97 else others[int(rng.random() * len(others))]
