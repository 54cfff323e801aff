"""Strange tickets score high: far from training tickets, fitting no leaf, or both."""

from __future__ import annotations

import numpy as np
import pytest

from models.confidence.scope import ScopeWeights, energies, fit_curve, fit_weights, signs
from models.tree_index import index_tree
from tickets.contact_types import ContactType, ContactTypeTree

INDEX = index_tree(
    ContactTypeTree(
        nodes=(
            ContactType(id="pay", name="Payments"),
            ContactType(id="refund", name="Refund", parent="pay"),
            ContactType(id="invoice", name="Invoice", parent="pay"),
            ContactType(id="lost", name="Lost item"),
            ContactType(id="old", name="Old", active=False),
        )
    )
)


def test_energy_sums_the_leaves_scores_down_their_paths_and_leaves_inactive_ones_out():
    logits = np.array([[1.0, 2.0, 3.0, 4.0, 99.0]], np.float32)
    (energy,) = energies(INDEX, logits, (2.0, 1.0))
    leaves = [0.5 + 2.0, 0.5 + 3.0, 2.0]  # refund, invoice, lost
    assert energy == pytest.approx(-np.log(np.exp(leaves).sum()), rel=1e-6)


def test_what_fits_no_leaf_has_more_energy_whatever_its_rivals_do():
    fits, fits_nothing = np.array([[5.0, 5.0, 0.0, 0.0, 0.0]]), np.array([[-5.0, 5.0, 0.0, -5.0, 0.0]])
    both = energies(INDEX, np.concatenate([fits, fits_nothing]).astype(np.float32), (1.0, 1.0))
    assert both[1] > both[0]


def seen(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    near, energy = rng.normal(0.2, 0.05, count), rng.normal(-12.0, 2.0, count)
    return signs(near.astype(np.float32), energy, rng.uniform(0.5, 0.99, count))


def test_each_sign_counts_in_its_own_spread():
    weights = fit_weights(seen(800, 0))
    assert weights.closest == 1
    assert weights.distance == pytest.approx(1 / 0.05, rel=0.1)
    assert weights.energy == pytest.approx(1 / 2.0, rel=0.1)
    usual = np.array([[0.2, -12.0, -1.0]])
    for stranger in ([0.4, -12.0, -1.0], [0.2, -4.0, -1.0], [0.2, -12.0, 2.0]):
        assert weights.strangeness(np.array([stranger])) > weights.strangeness(usual)


def test_with_few_tickets_the_distance_decides_alone():
    assert fit_weights(seen(5, 0)) == ScopeWeights(closest=1)


def test_validation_tickets_stay_in_scope_as_often_as_asked_for():
    strangeness = fit_weights(seen(800, 0)).strangeness(seen(800, 0))
    center, scale = fit_curve(strangeness, 0.99)
    assert np.mean(strangeness > center) <= 0.011
    assert (np.median(strangeness) - center) / scale == pytest.approx(-4.0)
    assert fit_curve(np.zeros(0), 0.99)[1] > 0
    assert fit_curve(np.ones(50), 0.99)[1] > 0
