"""The tree as arrays: probabilities that sum to one, with inactive nodes, inner targets and temperatures."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.tree_index import (
    conditional_log_probabilities,
    index_tree,
    path_probabilities,
    top_leaves,
)
from tickets.contact_types import ContactType, ContactTypeTree


def with_inactive(tree: ContactTypeTree, *ids: str) -> ContactTypeTree:
    nodes = tuple(dataclasses.replace(node, active=node.id not in ids) for node in tree.nodes)
    return dataclasses.replace(tree, nodes=nodes)


def random_logits(rows: int, nodes: int, scale: float = 3.0) -> np.ndarray:
    return (np.random.default_rng(0).normal(size=(rows, nodes)) * scale).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(parents=st.lists(st.integers(-1, 30), min_size=1, max_size=30), inactive=st.sets(st.integers(0, 29)))
def test_leaf_probabilities_sum_to_one_in_any_tree(parents: list[int], inactive: set[int]) -> None:
    nodes = tuple(
        ContactType(
            id=str(place),
            name=str(place),
            parent=None if above < 0 or place == 0 else str(above % place),
            active=place == 0 or place not in inactive,
        )
        for place, above in enumerate(parents)
    )
    index = index_tree(ContactTypeTree(nodes=nodes))
    probabilities = path_probabilities(index, random_logits(4, len(nodes)))
    assert {index.ids[leaf] for leaf in index.leaves} >= {
        node.id for node in ContactTypeTree(nodes=nodes).leaves() if index.active[index.position(node.id)]
    }
    assert np.allclose(probabilities[:, index.leaves].sum(axis=1), 1, atol=1e-5)


def test_a_parent_has_the_probability_of_its_children(tiny_tree: ContactTypeTree) -> None:
    index = index_tree(tiny_tree)
    probabilities = path_probabilities(index, random_logits(8, len(index.ids)))
    children = [index.position(name) for name in ("refund", "invoice")]
    assert np.allclose(probabilities[:, index.position("payments")], probabilities[:, children].sum(axis=1), atol=1e-6)


def test_an_inactive_node_gets_nothing_and_its_siblings_share_it(tiny_tree: ContactTypeTree) -> None:
    logits = random_logits(8, 7)
    before, index = index_tree(tiny_tree), index_tree(with_inactive(tiny_tree, "late"))
    probabilities = path_probabilities(index, logits)
    assert probabilities[:, index.position("late")].max() == 0
    assert index.position("late") not in index.leaves
    delivery = path_probabilities(before, logits)[:, before.position("delivery")]
    assert np.allclose(probabilities[:, index.position("delivery")], delivery, atol=1e-6)
    assert np.allclose(probabilities[:, [5, 6]].sum(axis=1), delivery, atol=1e-6)


def test_a_node_under_an_inactive_parent_is_inactive(tiny_tree: ContactTypeTree) -> None:
    index = index_tree(with_inactive(tiny_tree, "payments"))
    assert [index.ids[leaf] for leaf in index.leaves] == ["late", "lost", "broken"]
    assert np.allclose(path_probabilities(index, random_logits(3, 7))[:, index.leaves].sum(axis=1), 1, atol=1e-6)


def test_a_node_whose_children_are_all_inactive_is_a_leaf(tiny_tree: ContactTypeTree) -> None:
    index = index_tree(with_inactive(tiny_tree, "refund", "invoice"))
    assert [index.ids[leaf] for leaf in index.leaves] == ["payments", "late", "lost", "broken"]
    assert np.allclose(path_probabilities(index, random_logits(3, 7))[:, index.leaves].sum(axis=1), 1, atol=1e-6)


def test_the_likeliest_leaves_come_first(tiny_tree: ContactTypeTree) -> None:
    index = index_tree(tiny_tree)
    probabilities = path_probabilities(index, random_logits(20, len(index.ids)))
    top = top_leaves(index, probabilities, 3)
    assert top.shape == (20, 3)
    chosen = np.take_along_axis(probabilities, top, axis=1)
    assert (np.diff(chosen, axis=1) <= 0).all()
    assert np.allclose(chosen[:, 0], probabilities[:, index.leaves].max(axis=1))
    assert top_leaves(index, probabilities, 99).shape == (20, len(index.leaves))


def test_a_temperature_softens_its_level_only(tiny_tree: ContactTypeTree) -> None:
    index = index_tree(tiny_tree)
    logits = random_logits(5, len(index.ids))
    plain = conditional_log_probabilities(index, logits)
    softened = conditional_log_probabilities(index, logits, [1.0, 4.0])
    top = index.level == 0
    assert np.allclose(plain[:, top], softened[:, top])
    assert softened[:, ~top].max() < plain[:, ~top].max()
    assert np.allclose(path_probabilities(index, logits, [1.0, 4.0])[:, index.leaves].sum(axis=1), 1, atol=1e-6)


def test_class_counts_are_of_active_siblings(tiny_tree: ContactTypeTree) -> None:
    index = index_tree(with_inactive(tiny_tree, "late"))
    assert index.class_counts()[index.position("lost")] == 2
    assert index.class_counts()[index.position("payments")] == 2


def test_contact_types_are_found_by_id_and_unknown_ones_are_none(tiny_tree: ContactTypeTree) -> None:
    index = index_tree(tiny_tree)
    assert index.nodes_of(["lost", "nowhere", "late"]).tolist() == [index.position("lost"), -1, index.position("late")]
    assert index.nodes_of([]).tolist() == []
