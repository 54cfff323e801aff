"""Brute-force search over remembered tickets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.inference import open_session
from models.neighbours import Neighbours, distance
from models.tree_index import index_tree
from models.vector_search import VectorSearch, write_candidates
from tickets.contact_types import ContactType, ContactTypeTree


def remembered(count: int, width: int = 8) -> Neighbours:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(count, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [f"T{number}" for number in range(count)]
    return Neighbours(vectors, ids, [f"about {name}" for name in ids], ["refund"] * count)


@pytest.mark.parametrize("count", [500, 2600])  # the larger is searched in groups, and leaves a rest
def test_search_finds_what_sorting_all_finds(count: int):
    neighbours = remembered(count)
    queries = remembered(150).vectors[::-1].copy()
    rows, cosines = neighbours.search(queries, 5)
    expected = np.argsort(-(queries @ neighbours.vectors.T), axis=1)[:, :5]
    assert np.array_equal(rows, expected)
    assert np.all(np.diff(cosines, axis=1) <= 0)


@pytest.mark.parametrize("queries", [1, 8, 300])
def test_candidates_in_int8_give_what_exact_search_gives(tmp_path: Path, queries: int):
    """Vectors like those of tickets: they lie close together, so that their cosines differ in the second digit."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(3000, 64)).astype(np.float32) + 2 * rng.normal(size=64).astype(np.float32)
    vectors[17] *= 1000  # any length before, one after
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = vectors[rng.integers(3000, size=queries)] + 0.01 * rng.normal(size=(queries, 64)).astype(np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    write_candidates(vectors, tmp_path / "graph.onnx")
    quick = VectorSearch(vectors, open_session(tmp_path / "graph.onnx"))
    rows, cosines = quick.closest(asked, 30)
    expected_rows, expected_cosines = VectorSearch(vectors).closest(asked, 30)
    assert np.mean(rows == expected_rows) > 0.99
    assert cosines == pytest.approx(expected_cosines, abs=1e-5)
    assert quick.closest(asked, 2990)[0].shape == (queries, 2990)  # more than there is room for candidates


def test_equal_vectors_share_a_group_and_are_all_found():
    neighbours = remembered(2600)
    alike = np.arange(7, 2600, 512)[:5]  # every 512th: the columns of one group
    neighbours.vectors[alike] = neighbours.vectors[7]
    rows, cosines = neighbours.search(neighbours.vectors[7:8], 5)
    assert sorted(rows[0].tolist()) == alike.tolist()
    assert np.allclose(cosines, 1.0, atol=1e-4)


def test_a_remembered_ticket_is_its_own_neighbour():
    neighbours = remembered(30)
    rows, cosines = neighbours.search(neighbours.vectors[7:8])
    (first, *_) = neighbours.similar(rows[0], cosines[0], count=3)
    assert (first.ticket_id, first.snippet) == ("T7", "about T7")
    assert first.similarity == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("count", [0, 3])
def test_fewer_tickets_than_asked_for(count: int):
    rows, cosines = remembered(count).search(remembered(2).vectors, 10)
    assert rows.shape == cosines.shape == (2, count)
    assert distance(cosines, 1).shape == (2,)


def test_distance_grows_with_strangeness_and_may_ask_one_neighbour_or_several():
    cosines = np.array([[0.9, 0.8], [0.2, 0.1]], np.float32)
    assert distance(cosines, 2) == pytest.approx([0.15, 0.85])
    assert distance(cosines, 1) == pytest.approx([0.1, 0.8])


def test_each_neighbour_has_the_leaf_of_its_contact_type():
    tree = ContactTypeTree(
        nodes=(
            ContactType(id="pay", name="Payments"),
            ContactType(id="invoice", name="Invoice", parent="pay"),
            ContactType(id="refund", name="Refund", parent="pay"),
            ContactType(id="old", name="Old", active=False),
        )
    )
    kinds = ["refund", "pay", "old", "gone", "invoice"]
    neighbours = Neighbours(remembered(5).vectors, kinds, kinds, kinds)
    columns = neighbours.leaf_columns(index_tree(tree), np.array([[0, 1, 2, 3, 4]]))
    assert columns.tolist() == [[1, -1, -1, -1, 0]]  # an inner node, an inactive and an unknown one are no leaves
    assert neighbours.leaf_columns(index_tree(tree), np.zeros((0, 5), np.int64)).shape == (0, 5)
