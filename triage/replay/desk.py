"""Agents at work while history is replayed: the release suggests, agents answer, both go into the log as the service
writes them, a day at a time and without HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from random import Random

import numpy as np
import sqlalchemy as sa

from models.predictions import Predictions
from models.release import Release
from models.suggest import Suggester
from pipeline.text.clean import Refused, clean_ticket
from pipeline.text.redact import customer_hash
from tickets.contact_types import ContactTypeTree
from tickets.database import feedback, suggestions
from tickets.feedback_log import feedback_columns, insert_new, new_id, suggestion_columns
from tickets.records import Feedback, Suggestion, Ticket, to_json
from tickets.simulate import SimulatedDay, SimulatedTicket, respond

_ARRAYS = tuple(part.name for part in fields(Predictions) if part.name != "tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A ticket as it was suggested for and handled, judged by the truth. `suggestion` is None where cleaning refused
    the ticket, which counts as wrong."""

    ticket: Ticket
    suggestion: Suggestion | None
    right: bool
    accepted: bool


@dataclass
class Reader:
    """A release that reads each ticket once: a night looks at the same tickets as the six before it."""

    suggester: Suggester
    _read: dict[str, Predictions] = field(default_factory=dict)

    @property
    def release(self) -> Release:
        return self.suggester.release

    @property
    def tree(self) -> ContactTypeTree:
        return self.suggester.tree

    def detail_cleaned(self, tickets: Sequence[Ticket]) -> Predictions:
        """As the Suggester's, for tickets whose ids name their text."""
        new = [ticket for ticket in tickets if ticket.ticket_id not in self._read]
        if new or not tickets:
            predictions = self.suggester.detail_cleaned(new)
            self._read |= {ticket.ticket_id: _row(predictions, row) for row, ticket in enumerate(new)}
            if len(new) == len(tickets):
                return predictions
        return _joined([self._read[ticket.ticket_id] for ticket in tickets])


def work(engine: sa.Engine, day: SimulatedDay, suggester: Suggester, *, seed: int, salt: str) -> list[Answered]:
    """Suggest for every ticket of a day at its own time, let agents answer, and commit both.

    What an agent does is drawn from the ticket and the seed: under every policy the same agent meets the same ticket.
    Customers are hashed with `salt`, the dataset's name, as importer and service do: they stay the same customers.
    """
    known, answered, given = [], [], []
    for one in day.tickets:
        try:
            known.append((one, clean_ticket(_asked(one, salt), suggester.release.languages)))
        except Refused:
            answered.append(Answered(ticket=one.ticket, suggestion=None, right=False, accepted=False))
    made = suggester.suggest_cleaned([cleaned for _, cleaned in known])
    rows = []
    for (one, cleaned), undated in zip(known, made, strict=True):
        suggestion = replace(undated, created_at=cleaned.created_at)
        rows.append(
            {**suggestion_columns(cleaned, suggestion), "ticket": to_json(cleaned), "suggestion": to_json(suggestion)}
        )
        judged, said = _handle(one, cleaned, suggestion, seed)
        answered.append(judged)
        given.append(feedback_columns(said))
    if rows:
        with engine.begin() as connection:
            connection.execute(insert_new(engine, suggestions), rows)
            connection.execute(insert_new(engine, feedback), given)
    return answered


def _asked(one: SimulatedTicket, salt: str) -> Ticket:
    customer = one.requester[1]
    return replace(one.ticket, customer_key=customer_hash(customer, salt=salt) if customer else None)


def _handle(one: SimulatedTicket, cleaned: Ticket, suggestion: Suggestion, seed: int) -> tuple[Answered, Feedback]:
    action = respond(one, suggestion, Random(f"{seed}/{cleaned.ticket_id}"))
    said = Feedback(
        feedback_id=new_id(),
        suggestion_id=suggestion.suggestion_id,
        ticket_id=cleaned.ticket_id,
        action=action.action,
        at=cleaned.created_at + timedelta(seconds=action.handle_seconds),
        contact_type=None if action.action == "ignored" else action.contact_type,
        template_id=action.template_id or None,
        edit_distance=action.edit_distance,
        handle_seconds=action.handle_seconds,
        agent=one.outcome.labeler,
    )
    first = suggestion.contact_types[0].contact_type if suggestion.contact_types else None
    right, accepted = first == one.true_contact_type, action.action == "accepted"
    return Answered(ticket=cleaned, suggestion=suggestion, right=right, accepted=accepted), said


def _row(predictions: Predictions, row: int) -> Predictions:
    """One ticket's, in arrays of their own, so that the rest is not kept alive."""
    columns = {name: getattr(predictions, name)[row : row + 1].copy() for name in _ARRAYS}
    return Predictions(tokens=predictions.tokens[row : row + 1], **columns)


def _joined(rows: Sequence[Predictions]) -> Predictions:
    """Predictions of single tickets as those of all of them."""
    columns = {name: np.concatenate([getattr(row, name) for row in rows]) for name in _ARRAYS}
    return Predictions(tokens=[token for row in rows for token in row.tokens], **columns)
