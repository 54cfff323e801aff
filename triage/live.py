"""Simulated agents at work: tickets arrive at the running service over HTTP, agents look, answer, give feedback."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import numpy as np

from service.client import TriageClient
from tickets.records import Suggestion, to_json
from tickets.simulate import SimulatedDay, SimulatedTicket, respond


@dataclass
class SimulatedClock:
    """The service's clock while history is replayed: it shows the time of the ticket at hand."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """One ticket as an agent handled it, judged by the truth that only the simulator knows."""

    top_1: bool
    top_3: bool
    template_top_3: bool
    accepted: bool
    milliseconds: float  # of the suggestion, over HTTP
    handle_seconds: float


@dataclass
class SimulatedDesk:
    """Agents of the simulated company, working through the service's HTTP API."""

    client: TriageClient
    clock: SimulatedClock
    rng: Random
    handled: list[Handled] = field(default_factory=list)

    def work(self, days: Iterable[SimulatedDay]) -> list[Handled]:
        """Handle every ticket of the days, in order of arrival.

        Raises TriageProblem or TriageUnreachable when the service fails one.
        """
        done = [self._handle(ticket) for day in days for ticket in day.tickets]
        self.handled.extend(done)
        return done

    def _handle(self, simulated: SimulatedTicket) -> Handled:
        ticket = simulated.ticket
        self.clock.now = ticket.created_at
        started = time.perf_counter()
        asked = {**to_json(ticket), "customer_key": simulated.requester[1]}  # the service hashes the e-mail address
        suggestion = self.client.suggest(asked)
        milliseconds = 1000 * (time.perf_counter() - started)
        action = respond(simulated, suggestion, self.rng)
        self.clock.now = ticket.created_at + timedelta(seconds=action.handle_seconds)
        self.client.give_feedback(
            suggestion.suggestion_id,
            action.action,
            contact_type=None if action.action == "ignored" else action.contact_type,
            template_id=action.template_id,
            edit_distance=action.edit_distance,
            handle_seconds=action.handle_seconds,
            agent=simulated.outcome.labeler,
            key=suggestion.suggestion_id,
        )
        return _judge(simulated, suggestion, action.action == "accepted", milliseconds, action.handle_seconds)


def _judge(
    simulated: SimulatedTicket, suggestion: Suggestion, accepted: bool, milliseconds: float, handle_seconds: float
) -> Handled:
    types = [ranked.contact_type for ranked in suggestion.contact_types]
    templates = [ranked.template_id for ranked in suggestion.templates]
    return Handled(
        top_1=types[:1] == [simulated.true_contact_type],
        top_3=simulated.true_contact_type in types[:3],
        template_top_3=simulated.right_template_id in templates[:3],
        accepted=accepted,
        milliseconds=milliseconds,
        handle_seconds=handle_seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """How suggestions did over a stretch of days, as shares of tickets."""

    name: str
    tickets: int
    top_1: float
    top_3: float
    template_top_3: float
    accepted: float
    handle_seconds: float  # mean


def summarise(name: str, handled: Sequence[Handled]) -> Period:
    """What was handled in one period; zeros where nothing was."""
    return Period(
        name=name,
        tickets=len(handled),
        top_1=_share([one.top_1 for one in handled]),
        top_3=_share([one.top_3 for one in handled]),
        template_top_3=_share([one.template_top_3 for one in handled]),
        accepted=_share([one.accepted for one in handled]),
        handle_seconds=float(np.mean([one.handle_seconds for one in handled])) if handled else 0.0,
    )


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else 0.0
