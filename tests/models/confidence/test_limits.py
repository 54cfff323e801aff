"""Bands keep what they promise, for each contact type; tickets that are mostly wrong are abstained on."""

from __future__ import annotations

import numpy as np
import pytest

from models.confidence.limits import (
    NEVER,
    SLACK,
    Judged,
    band_limits,
    limit_for_abstaining,
    limits_by_type,
    type_shifts,
)
from models.tree_index import index_tree
from tickets.contact_types import ContactType, ContactTypeTree

TREE = ContactTypeTree(
    nodes=(
        ContactType(id="pay", name="Payments"),
        *(ContactType(id=f"pay{number}", name=f"Pay {number}", parent="pay") for number in range(4)),
        ContactType(id="ride", name="Ride"),
        *(ContactType(id=f"ride{number}", name=f"Ride {number}", parent="ride") for number in range(4)),
    )
)
INDEX = index_tree(TREE)


def judged(count: int, *, seed: int, boast: dict[str, float]) -> Judged:
    """Tickets of all leaves but `ride3`; the log-odds of being right are lower by the boast of the leaf predicted."""
    rng = np.random.default_rng(seed)
    leaf = rng.choice(INDEX.leaves[:-1], count)
    odds = rng.uniform(-2, 5, count)
    less = np.array([boast.get(INDEX.ids[node], 0.0) for node in leaf])
    right = rng.random(count) < 1 / (1 + np.exp(-(odds - less)))
    return Judged(leaf, 1 / (1 + np.exp(-odds)), right)


def test_each_band_holds_what_it_promises_on_other_tickets():
    high, medium = band_limits(judged(2000, seed=0, boast={}), 0.95, 0.8)
    fresh = judged(8000, seed=1, boast={})
    firm = fresh.probability >= high
    fair = (fresh.probability >= medium) & ~firm
    assert fresh.right[firm].mean() >= 0.95
    assert fresh.right[fair].mean() >= 0.8
    assert 0.95 - SLACK <= high < NEVER
    assert 0.8 - SLACK <= medium < high


@pytest.mark.parametrize("count", [0, 10, 100])
def test_a_limit_that_cannot_be_reached_or_rests_on_too_few_is_never(count: int):
    few = Judged(np.full(count, 1), np.linspace(0, 1, count), np.zeros(count, bool))
    assert band_limits(few, 0.9, 0.5) == (NEVER, NEVER)
    sure = Judged(np.full(10, 1), np.linspace(0, 1, 10), np.ones(10, bool))
    assert band_limits(sure, 0.9, 0.5) == (NEVER, NEVER)


def test_a_type_that_boasts_gets_higher_limits_and_keeps_its_promise():
    boast = {"pay0": 2.0, "pay1": 2.0}
    high, _, own = limits_by_type(INDEX, judged(1500, seed=0, boast=boast), 0.9, 0.7)
    assert own["pay0"][0] > 0.9 > own["ride0"][0] >= high
    assert all(medium <= firm for firm, medium in own.values())
    fresh = judged(20_000, seed=1, boast=boast)
    mine = fresh.leaf == INDEX.position("pay0")
    under_own, under_common = (mine & (fresh.probability >= limit) for limit in (own["pay0"][0], own["ride0"][0]))
    assert fresh.right[under_own].mean() >= 0.88
    assert fresh.right[under_common].mean() < 0.85


def test_a_type_without_tickets_leans_on_its_parent_and_is_treated_with_care():
    shift, doubt = type_shifts(INDEX, judged(3000, seed=0, boast={f"ride{number}": 1.5 for number in range(3)}))
    by_type = dict(zip([INDEX.ids[leaf] for leaf in INDEX.leaves], zip(shift, doubt, strict=True), strict=True))
    assert by_type["ride3"][0] < -0.3  # as its siblings
    assert abs(by_type["pay0"][0]) < 0.3
    assert by_type["ride3"][1] > by_type["ride0"][1]


def test_types_that_are_alike_or_of_which_little_is_known_share_their_limits():
    assert limits_by_type(INDEX, judged(1500, seed=0, boast={}), 0.9, 0.7)[2] == {}
    unlike = judged(1500, seed=0, boast={"pay0": 2.0, "pay1": 2.0})
    few = Judged(unlike.leaf[:50], unlike.probability[:50], unlike.right[:50])
    assert len(limits_by_type(INDEX, unlike, 0.9, 0.7)[2]) == len(INDEX.leaves)
    assert limits_by_type(INDEX, few, 0.9, 0.7)[2] == {}


def test_tickets_that_are_mostly_wrong_are_abstained_on():
    probability = np.linspace(0, 1, 400)
    limit = limit_for_abstaining(probability, probability > 0.5, 0.25)
    assert 0.5 < limit < 0.7
    assert limit_for_abstaining(probability, np.ones(400, bool), 0.25) == 0.0
