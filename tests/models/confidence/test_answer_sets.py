"""Answer sets hold the right contact type as often as they promise, and are small where the model is sure."""

from __future__ import annotations

import numpy as np
import pytest

from models.confidence.answer_sets import MANY, AnswerSets, conformal_quantile, fit_answer_sets, nodes_above, set_sizes
from models.tree_index import TreeIndex, index_tree, node_probabilities
from tickets.contact_types import ContactType, ContactTypeTree


def tree_of(parents: int, children: int) -> TreeIndex:
    nodes = []
    for above in range(parents):
        nodes.append(ContactType(id=f"p{above}", name=f"P{above}"))
        nodes += [ContactType(id=f"p{above}c{n}", name=f"C{n}", parent=f"p{above}") for n in range(children)]
    return index_tree(ContactTypeTree(nodes=tuple(nodes)))


INDEX = tree_of(4, 5)


def drawn(count: int, *, seed: int, sharpness: tuple[float, float] = (0.0, 8.0)) -> tuple[np.ndarray, np.ndarray]:
    """Honest node probabilities of tickets from hopeless to clear, and the true leaves, drawn from them."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(count, len(INDEX.leaves))) * rng.uniform(*sharpness, size=(count, 1))
    leaves = np.exp(scores - scores.max(axis=1, keepdims=True))
    leaves /= leaves.sum(axis=1, keepdims=True)
    truth = np.minimum((leaves.cumsum(axis=1) < rng.random((count, 1))).sum(axis=1), len(INDEX.leaves) - 1)
    return node_probabilities(INDEX, leaves.astype(np.float32)), INDEX.leaves[truth]


def covered(probabilities: np.ndarray, nodes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    leaves = probabilities[:, INDEX.leaves]
    own = leaves[np.arange(len(nodes)), np.searchsorted(INDEX.leaves, nodes)]
    return (leaves > own[:, None]).sum(axis=1) < sizes


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_the_promise_is_kept_on_other_tickets_clear_and_unclear_ones(coverage: float):
    sets = fit_answer_sets(INDEX, *drawn(1500, seed=0), coverage)
    probabilities, nodes = drawn(6000, seed=1)
    sizes = set_sizes(probabilities[:, INDEX.leaves], sets)
    hit = covered(probabilities, nodes, sizes)
    assert hit.mean() >= coverage - 0.015
    unclear = probabilities[:, INDEX.leaves].max(axis=1) < 0.5
    assert hit[unclear].mean() == pytest.approx(coverage, abs=0.04)
    assert sizes[~unclear].mean() < sizes[unclear].mean() / 2


def test_overconfident_probabilities_get_larger_sets():
    probabilities, nodes = drawn(1500, seed=0)
    leaves = probabilities[:, INDEX.leaves] ** 2.5
    boastful = node_probabilities(INDEX, leaves / leaves.sum(axis=1, keepdims=True))
    sets = fit_answer_sets(INDEX, boastful, nodes, 0.9)
    at_its_word = AnswerSets(coverage=0.9)
    assert covered(boastful, nodes, set_sizes(boastful[:, INDEX.leaves], at_its_word)).mean() < 0.8
    assert covered(boastful, nodes, set_sizes(boastful[:, INDEX.leaves], sets)).mean() >= 0.9


def test_a_set_is_never_empty_and_never_more_than_all():
    even = np.full((1, 20), 0.05)
    assert set_sizes(even, AnswerSets(enough=(1.0,))).tolist() == [20]
    assert set_sizes(even, AnswerSets(enough=(0.0,))).tolist() == [1]
    assert set_sizes(np.zeros((0, 20)), AnswerSets()).shape == (0,)


def test_with_few_tickets_probabilities_are_taken_at_their_word():
    sets = fit_answer_sets(INDEX, *drawn(5, seed=0), 0.9)
    assert sets == AnswerSets(coverage=0.9, edges=(), enough=(0.9,), enough_under=1.0)
    assert fit_answer_sets(INDEX, *drawn(0, seed=0), 0.9) == sets


def test_a_conformal_quantile_leaves_room_for_the_next_ticket():
    scores = np.arange(1, 100) / 100
    assert conformal_quantile(scores, 0.9, otherwise=0.5) == 0.9  # of 100 places the 90th, though 99 were seen
    assert conformal_quantile(scores[:10], 0.9, otherwise=0.5) == 0.5
    assert conformal_quantile(scores[:30], 0.99, otherwise=0.5) == 0.5


def test_where_a_set_is_too_large_a_part_of_the_tree_holds_the_answer_as_promised():
    """Tickets whose parent is clear and whose leaf is not."""
    index = tree_of(3, 12)

    def unsure(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        parent = rng.integers(0, 3, count)
        shares = np.full((count, 3), 0.02)
        shares[np.arange(count), parent] = 0.96
        leaves = (np.repeat(shares, 12, axis=1) / 12).astype(np.float32) * rng.uniform(0.9, 1.1, (count, 36))
        leaves /= leaves.sum(axis=1, keepdims=True)
        truth = np.where(rng.random(count) < 0.96, parent, rng.integers(0, 3, count)) * 12 + rng.integers(0, 12, count)
        return node_probabilities(index, leaves.astype(np.float32)), index.leaves[truth]

    sets = fit_answer_sets(index, *unsure(800, 0), 0.9)
    probabilities, nodes = unsure(800, 1)
    leaves = probabilities[:, index.leaves]
    assert (set_sizes(leaves, sets) > MANY).all()
    named = nodes_above(index, probabilities, index.leaves[leaves.argmax(axis=1)], sets.enough_under)
    assert (named >= 0).all()
    assert {index.ids[node] for node in named} == {"p0", "p1", "p2"}
    assert index.ancestors[named, nodes].mean() >= 0.9


def test_under_a_true_inner_node_any_leaf_is_right():
    probabilities, nodes = drawn(1500, seed=0)
    of_leaves, of_parents = (
        fit_answer_sets(INDEX, probabilities, truth, 0.9) for truth in (nodes, INDEX.paths[nodes, 0])
    )
    assert of_parents.edges == of_leaves.edges != ()
    sizes = [set_sizes(probabilities[:, INDEX.leaves], sets).mean() for sets in (of_parents, of_leaves)]
    assert sizes[0] < 0.7 * sizes[1]
