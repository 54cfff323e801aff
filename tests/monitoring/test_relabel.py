"""The relabel queue: the budget is split as told, no ticket is asked about twice, and the random share is random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Set
from datetime import date

import numpy as np
import pytest

from models.release import Release
from monitoring.current import Logged, Period, look_at
from monitoring.relabel import Budget, choose, split_budget
from monitoring.windows import Window
from tickets.label_queue import LabelRequest
from tickets.records import Suggestion, Ticket

Drawn = tuple[Window, tuple[Logged, ...]]


@pytest.fixture
def drawn(
    release: Release, reader_of: Callable[[Release], object], draw: Callable[..., list[tuple[Ticket, str]]]
) -> Drawn:
    tickets = [ticket for ticket, _ in draw(200, day=date(2026, 3, 2), days=7, seed=5, new_topic=0.1)]
    logged = tuple(
        Logged(
            ticket,
            Suggestion(
                suggestion_id=f"s-{ticket.ticket_id}",
                ticket_id=ticket.ticket_id,
                model_version="v",
                created_at=ticket.created_at,
                contact_types=(),
                templates=(),
            ),
        )
        for ticket in tickets
    )
    period = Period(tickets[0].created_at, tickets[-1].created_at, len(tickets), logged)
    return look_at(period, reader_of(release))  # type: ignore[arg-type]


def ask(
    drawn: Drawn,
    *,
    budget: Budget,
    queued: Set[str] = frozenset(),
    answered: Set[str] = frozenset(),
    fresh: Set[str] | None = None,
    seed: int = 0,
) -> list[LabelRequest]:
    every = set(drawn[0].ticket_ids)
    return choose(
        *drawn, budget=budget, fresh=every if fresh is None else fresh, queued=queued, answered=answered, seed=seed
    )


def test_a_budget_is_split_to_the_last_ticket() -> None:
    assert split_budget(50, unsure_share=0.5, diverse_share=0.25) == Budget(25, 12, 13)
    assert split_budget(1, unsure_share=0.5, diverse_share=0.25) == Budget(0, 0, 1)
    assert split_budget(0, unsure_share=0.5, diverse_share=0.25) == Budget(0, 0, 0)


def test_each_share_gets_its_number_and_no_ticket_comes_twice(drawn: Drawn) -> None:
    requests = ask(drawn, budget=Budget(20, 10, 15))
    assert Counter(request.share for request in requests) == {"unsure": 20, "diverse": 10, "random": 15}
    assert len({request.ticket.ticket_id for request in requests}) == 45


def test_the_unsure_share_holds_the_least_sure(drawn: Drawn) -> None:
    window, _ = drawn
    requests = ask(drawn, budget=Budget(10, 0, 0))
    doubt = np.maximum(1 - window.probability, window.out_of_scope)
    chosen = [doubt[window.ticket_ids.index(request.ticket.ticket_id)] for request in requests]
    assert chosen == sorted(chosen, reverse=True)
    assert min(chosen) >= np.sort(doubt)[-10]


def test_the_diverse_share_covers_more_ground_than_chance(drawn: Drawn) -> None:
    window, _ = drawn

    def farthest(requests: list[str]) -> float:
        rows = [window.ticket_ids.index(ticket_id) for ticket_id in requests]
        return float(
            np.max(np.min(np.linalg.norm(window.embeddings[:, None] - window.embeddings[rows], axis=2), axis=1))
        )

    diverse, by_chance = (
        [r.ticket.ticket_id for r in ask(drawn, budget=budget)] for budget in (Budget(0, 12, 0), Budget(0, 0, 12))
    )
    assert farthest(diverse) < farthest(by_chance)


def test_queued_tickets_are_never_asked_about_again(drawn: Drawn) -> None:
    window, _ = drawn
    queued = set(window.ticket_ids[:150])
    requests = ask(drawn, budget=Budget(50, 50, 50), queued=queued)
    assert len(requests) == 50
    assert not queued & {request.ticket.ticket_id for request in requests}


def test_answered_tickets_are_left_out_except_from_the_random_share(drawn: Drawn) -> None:
    window, _ = drawn
    unanswered = set(window.ticket_ids[:50])
    requests = ask(drawn, budget=Budget(20, 20, 20), answered=set(window.ticket_ids) - unanswered)
    asked = {
        share: {r.ticket.ticket_id for r in requests if r.share == share} for share in ("unsure", "diverse", "random")
    }
    assert asked["unsure"] | asked["diverse"] <= unanswered
    assert asked["random"] - unanswered
    assert {share: len(those) for share, those in asked.items()} == {"unsure": 20, "diverse": 20, "random": 20}


def test_what_no_unanswered_ticket_can_use_goes_to_the_random_share(drawn: Drawn) -> None:
    requests = ask(drawn, budget=Budget(20, 20, 20), answered=set(drawn[0].ticket_ids))
    assert Counter(request.share for request in requests) == {"random": 60}


def test_the_random_share_takes_only_tickets_that_no_earlier_night_could_choose(drawn: Drawn) -> None:
    fresh = set(drawn[0].ticket_ids[-10:])
    requests = ask(drawn, budget=Budget(20, 10, 15), fresh=fresh)
    assert {request.ticket.ticket_id for request in requests if request.share == "random"} == fresh
    assert Counter(request.share for request in requests) == {"unsure": 25, "diverse": 10, "random": 10}


def test_the_random_share_does_not_depend_on_how_sure_the_model_is(drawn: Drawn) -> None:
    window, _ = drawn
    drawn_often = Counter(
        request.ticket.ticket_id for seed in range(200) for request in ask(drawn, budget=Budget(0, 0, 20), seed=seed)
    )
    unsure = [ticket_id for ticket_id, out in zip(window.ticket_ids, window.abstained, strict=True) if out]
    share = sum(drawn_often[ticket_id] for ticket_id in unsure) / sum(drawn_often.values())
    assert share == pytest.approx(len(unsure) / len(window), abs=0.02)


def test_half_the_queue_holds_half_of_each_share(drawn: Drawn) -> None:
    requests = ask(drawn, budget=Budget(20, 10, 10))
    first = sorted(requests, key=lambda request: -request.priority)[:20]
    counts = Counter(request.share for request in first)
    assert abs(counts["unsure"] - 10) <= 1
    assert abs(counts["random"] - 5) <= 1
