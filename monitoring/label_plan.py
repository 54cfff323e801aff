"""A night's budget of labels, shared out: doubted labels, gold, second labels, and new tickets for the rest.

The budget counts labels, not tickets: whatever is asked of two people is paid for twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import sqlalchemy as sa

from monitoring.policy import Policy
from monitoring.relabel import Budget, split_budget
from tickets.contact_types import ContactTypeTree
from tickets.label_answers import conclude_waiting
from tickets.label_queue import REMEMBERED, LabelRequest
from tickets.label_work import known_answers, labelers_since
from tickets.records import Ticket

_RECENT = timedelta(days=28)
_PATIENCE = timedelta(days=14)  # for somebody who labels now and then
_OF_THE_PAST = 0.1  # of a budget at most: what is new comes first


def plan_labels(
    engine: sa.Engine,
    policy: Policy,
    *,
    at: datetime,
    tree: ContactTypeTree,
    doubts: Sequence[LabelRequest],
    choose: Callable[[Budget], Sequence[LabelRequest]],
) -> list[LabelRequest]:
    """Requests that cost `policy.label_budget` labels at most. `tree` is today's, `choose` picks new tickets for what
    suspects, gold and second labels leave."""
    doubts = doubts[: policy.label_budget]
    gold = gold_requests(
        engine,
        tree,
        at=at,
        count=min(int(policy.label_budget * policy.gold_share), policy.label_budget - len(doubts)),
        seed=policy.seed,
    )
    rest = policy.label_budget - len(doubts) - len(gold)
    shares = {"unsure_share": policy.unsure_share, "diverse_share": policy.diverse_share}
    twice = 0
    if len(labelers_since(engine, at - _RECENT)) > 1:
        twice = min(rest, int(policy.double_share * (split_budget(rest, **shares).random + len(doubts))))
    chosen = choose(split_budget(rest - twice, **shares))
    return [*label_twice([*doubts, *chosen], count=twice, seed=policy.seed), *gold]


def end_vain_waiting(engine: sa.Engine, *, at: datetime) -> int:
    """Items that nobody who labelled lately can finish, as when one of two people has left, do without: else they would
    wait for ever, and the tickets that people find hard would be missing from the audit. Returns how many."""
    people = labelers_since(engine, at - _RECENT)
    return conclude_waiting(engine, people, given_before=at - _PATIENCE, at=at)


def suspects_wanted(policy: Policy, tickets: Iterable[Ticket]) -> int:
    """How many doubted labels to ask about: a small part of the budget, and none where the database keeps no words of
    the tickets it is given (TRIAGE_PRIVACY__KEEP_TEXT), since the queue would keep theirs."""
    most = min(policy.suspects_per_night, int(policy.label_budget * _OF_THE_PAST))
    return most if any(ticket.body for ticket in tickets) else 0


def label_twice(requests: Sequence[LabelRequest], *, count: int, seed: int) -> list[LabelRequest]:
    """The requests, `count` of the random and suspect ones drawn to be labelled by two people."""
    where = [row for row, request in enumerate(requests) if request.share in ("random", "suspect")]
    drawn = set(np.random.default_rng(seed).permutation(where)[:count].tolist())
    return [replace(request, needed=2) if row in drawn else request for row, request in enumerate(requests)]


def gold_requests(
    engine: sa.Engine, tree: ContactTypeTree, *, at: datetime, count: int, seed: int
) -> list[LabelRequest]:
    """Tickets whose answer several people agreed on, long enough ago to be forgotten, for the queue to mix in."""
    if count <= 0:
        return []
    known = known_answers(engine, tree, until=at - REMEMBERED, limit=count)
    places = np.random.default_rng(seed).random(len(known)).tolist()
    return [
        LabelRequest(ticket=item.ticket, share="gold", priority=place, known_type=contact_type)
        for (item, contact_type), place in zip(known, places, strict=True)
    ]
