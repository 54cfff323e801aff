"""What to take for a budget, what that gives up, and when two rungs are no different."""

from __future__ import annotations

import numpy as np
import pytest

from models.comparison import difference
from models.ladder.budget import Budget, amount, recommend
from models.ladder.record import RungResult
from tickets.errors import InputError

TICKETS = 1000


def rung(name: str, right: int, *, seconds: float, ms: float, mb: float, first: int = 0) -> RungResult:
    """Right on so many of 1,000 tickets, from the `first` on."""
    correct = np.zeros(TICKETS, np.bool_)
    correct[first : first + right] = True
    cost = {"train_seconds": seconds, "ms_per_ticket": ms, "megabytes": mb}
    return RungResult(name=name, title=name, reads="text", figures={"test": {}, "cost": cost}, correct=correct)


MAJORITY = rung("majority", 100, seconds=0.001, ms=0.01, mb=0.001)
TFIDF = rung("tfidf", 750, seconds=3, ms=1, mb=4)
FROZEN = rung("frozen", 870, seconds=20, ms=4, mb=60)
MODEL = rung("model", 900, seconds=300, ms=4.5, mb=60)
LADDER = (MAJORITY, TFIDF, FROZEN, MODEL)


def words(found: object) -> str:
    return " ".join(getattr(found, "lines", ()))


def test_without_a_limit_the_best_is_taken_and_nothing_is_given_up() -> None:
    found = recommend(LADDER, Budget())
    assert found.rung == "model"
    assert "Without a limit, take model: 90.0 % (88.0 to 91.7) right" in words(found)
    assert "No rung of the ladder is right more often." in words(found)


def test_within_a_budget_the_best_that_fits_is_taken_and_the_loss_is_told() -> None:
    found = recommend(LADDER, Budget(ms_per_ticket=2))
    assert found.rung == "tfidf"
    assert "With at most 2.00 ms a ticket" in words(found)
    assert "gives up 15.0 points" in words(found)
    assert "to model, which takes 4.50 ms a ticket." in words(found)


def test_every_limit_counts() -> None:
    assert recommend(LADDER, Budget(ms_per_ticket=5, train_seconds=60)).rung == "frozen"
    assert recommend(LADDER, Budget(ms_per_ticket=5, megabytes=10, train_seconds=60)).rung == "tfidf"
    found = recommend(LADDER, Budget(ms_per_ticket=5, train_seconds=60))
    assert "which takes 300 s to train." in words(found)  # the limit that the model breaks, and no other


def test_what_lies_at_the_limit_fits() -> None:
    assert recommend(LADDER, Budget(ms_per_ticket=4.5)).rung == "model"


def test_a_budget_that_nothing_keeps_names_the_nearest() -> None:
    found = recommend(LADDER, Budget(megabytes=0.0005))
    assert found.rung is None
    assert "The nearest is majority: 0.001 MB" in words(found)


def test_a_cheaper_rung_that_is_not_shown_to_be_worse_is_named() -> None:
    near = rung("near", 897, seconds=30, ms=2, mb=20, first=2)
    found = recommend((*LADDER, near), Budget())
    assert found.rung == "model"
    assert "near is not shown to be worse (0.3 points" in words(found)
    assert "takes only 30.0 s to train, 2.00 ms a ticket, 20.0 MB." in words(found)
    assert "frozen is not" not in words(found)  # three points on the same tickets are shown


def test_a_better_rung_beyond_the_budget_that_is_not_shown_to_be_better_is_told_so() -> None:
    near = rung("near", 897, seconds=30, ms=2, mb=20, first=2)
    found = recommend((*LADDER, near), Budget(train_seconds=100))
    assert found.rung == "near"
    assert "model (300 s to train) is not shown to be better: 0.3 points" in words(found)


def test_rungs_that_failed_are_no_candidates() -> None:
    broken = RungResult(name="broken", title="broken", reads="text", problem="no encoder")
    assert recommend((broken, TFIDF), Budget()).rung == "tfidf"
    assert recommend((broken,), Budget()).lines == ("No rung could be measured.",)


@pytest.mark.parametrize("most", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_that_nothing_can_keep_is_refused(most: float) -> None:
    with pytest.raises(InputError, match="above 0"):
        Budget(megabytes=most)


def test_a_difference_on_the_same_tickets_is_surer_than_two_shares() -> None:
    gap = difference(MODEL.correct, FROZEN.correct)
    assert gap.value == pytest.approx(0.03)
    assert gap.proven
    assert MODEL.accuracy.low < (FROZEN.accuracy.high or 0)  # their own intervals overlap
    same = difference(MODEL.correct, MODEL.correct)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert not same.proven


def test_the_interval_of_a_difference_holds_as_often_as_it_says() -> None:
    deal = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        one, other = deal.random(300) < 0.8, deal.random(300) < 0.75
        gap = difference(one, other)
        held += gap.low <= 0.05 <= gap.high
    assert 0.9 <= held / 200 <= 0.99


@pytest.mark.parametrize(
    ("value", "written"), [(0.0, "0"), (0.00012, "0.0001"), (0.01234, "0.0123"), (4.567, "4.57"), (1234.4, "1,234")]
)
def test_amounts_show_the_digits_that_count(value: float, written: str) -> None:
    assert amount(value) == written
