"""Types without training tickets are heard on their own tickets and drown nobody on others."""

from __future__ import annotations

import numpy as np
import pytest

from models.confidence.newcomers import HEARD, fit_welcome, silent_leaves, welcomed, without_tickets
from models.tree_index import index_tree, path_probabilities
from tickets.contact_types import ContactType, ContactTypeTree

INDEX = index_tree(
    ContactTypeTree(
        nodes=(
            ContactType(id="pay", name="Payments"),
            *(ContactType(id=f"pay{number}", name=f"Pay {number}", parent="pay") for number in range(4)),
            ContactType(id="ride", name="Ride"),
            *(ContactType(id=f"ride{number}", name=f"Ride {number}", parent="ride") for number in range(4)),
            ContactType(id="food", name="Food"),
            *(ContactType(id=f"food{number}", name=f"Food {number}", parent="food") for number in range(2)),
            ContactType(id="gone", name="Gone", parent="ride", active=False),
        )
    )
)
NEW = ("pay3", "food", "food0", "food1")
NOBODY = np.isin(INDEX.ids, NEW)


def logits_of(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of tickets about known leaves, and those nodes; newcomers stay three behind what they deserve."""
    rng = np.random.default_rng(seed)
    nodes = rng.choice([INDEX.position(name) for name in ("pay0", "pay1", "pay2", "ride0", "ride1", "ride2")], count)
    logits = rng.normal(size=(count, len(INDEX.ids)))
    logits[np.arange(count), nodes] += 6.0
    logits[np.arange(count), INDEX.paths[nodes, 0]] += 6.0
    logits[:, NOBODY] -= 3.0
    return logits.astype(np.float32), nodes


def first_leaf(logits: np.ndarray) -> np.ndarray:
    return INDEX.leaves[path_probabilities(INDEX, logits, (1.0, 1.0))[:, INDEX.leaves].argmax(axis=1)]


def test_nodes_that_no_ticket_passes_through_are_new():
    tickets = np.array([INDEX.position(name) for name in ("pay0", "pay1", "pay2", "ride")] + [-1])
    new = without_tickets(INDEX, tickets)
    assert {INDEX.ids[node] for node in np.flatnonzero(new)} == {*NEW, *(f"ride{number}" for number in range(4))}
    assert without_tickets(INDEX, np.zeros(0, np.int64)).sum() == INDEX.active.sum()


def test_newcomers_are_raised_and_have_little_probability_on_tickets_of_others():
    welcome = fit_welcome(INDEX, logits_of(2000, 0)[0], (1.0, 1.0), NOBODY)
    assert set(welcome) == set(NEW)
    assert welcome["pay3"] > 1
    assert welcome["food"] > 1
    assert welcome["food0"] == 0  # it has no rivals that are known
    fresh, nodes = logits_of(4000, 1)
    leaves = path_probabilities(INDEX, welcomed(INDEX, fresh, welcome), (1.0, 1.0))[:, INDEX.leaves]
    new = np.isin(INDEX.leaves, np.flatnonzero(NOBODY))
    assert HEARD / 4 < leaves[:, new].sum(axis=1).mean() <= 1.3 * HEARD
    before, after = first_leaf(fresh), first_leaf(welcomed(INDEX, fresh, welcome))
    assert np.mean(after == nodes) >= np.mean(before == nodes) - HEARD


def test_a_newcomers_own_tickets_find_it():
    welcome = fit_welcome(INDEX, logits_of(2000, 0)[0], (1.0, 1.0), NOBODY)
    own = np.random.default_rng(3).normal(size=(200, len(INDEX.ids))).astype(np.float32)
    own[:, INDEX.position("pay")] += 6.0
    own[:, NOBODY] -= 3.0
    own[:, INDEX.position("pay3")] += 4.0
    heard = np.mean(first_leaf(welcomed(INDEX, own, welcome)) == INDEX.position("pay3"))
    assert heard > np.mean(first_leaf(own) == INDEX.position("pay3")) + 0.15


def test_few_validation_tickets_raise_nobody():
    assert set(fit_welcome(INDEX, logits_of(10, 0)[0], (1.0, 1.0), NOBODY).values()) == {0.0}
    assert fit_welcome(INDEX, logits_of(0, 0)[0], (1.0, 1.0), NOBODY) == dict.fromkeys(NEW, 0.0)
    assert fit_welcome(INDEX, logits_of(500, 0)[0], (1.0, 1.0), np.zeros(len(NOBODY), bool)) == {}


def test_no_ticket_can_vote_for_a_newcomer_or_what_is_under_one():
    silent = silent_leaves(INDEX, dict.fromkeys(NEW, 0.0))
    assert silent is not None
    assert {INDEX.ids[leaf] for leaf in INDEX.leaves[silent]} == {"pay3", "food0", "food1"}
    assert silent_leaves(INDEX, {}) is None


def test_without_newcomers_logits_stay_as_they_are():
    logits, _ = logits_of(3, 0)
    assert welcomed(INDEX, logits, {}) is logits
    assert welcomed(INDEX, logits, {"pay3": 2.0})[:, INDEX.position("pay3")] == pytest.approx(logits[:, 4] + 2.0)
