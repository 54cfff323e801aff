"""Accuracy per level, hits@k, ranks and templates, on trees small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.quality import best_ranks, class_report, contact_type_quality, template_quality, true_ranks
from models.templates import TemplateMatrix
from models.tree_index import index_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.records import ReplyTemplate

INDEX = index_tree(
    ContactTypeTree(
        nodes=(
            ContactType(id="a", name="A"),
            ContactType(id="a1", name="A1", parent="a"),
            ContactType(id="a2", name="A2", parent="a"),
            ContactType(id="b", name="B"),
            ContactType(id="gone", name="Gone", active=False),
        )
    )
)
A, A1, A2, B = range(4)


def test_inner_inactive_and_unknown_nodes_are_no_leaves():
    assert INDEX.columns_of(np.array([A, A1, A2, B, 4, -1])).tolist() == [-1, 0, 1, 2, -1, -1]


def test_figures_counted_by_hand():
    leaves = np.array([[0.4, 0.3, 0.3], [0.1, 0.2, 0.7], [0.3, 0.25, 0.45], [0.5, 0.4, 0.1]], np.float32)
    quality = contact_type_quality(INDEX, leaves, np.array([A1, B, A1, A]))
    assert quality["tickets"] == 4
    # On the top level the third ticket is right: A's leaves together outweigh B.
    assert quality["accuracy_level_1"] == 1.0
    # The ticket that is only known to be an A is not asked about below.
    assert quality["accuracy"] == pytest.approx(2 / 3)
    assert quality["accuracy_level_2"] == pytest.approx(2 / 3)
    assert quality["hits@3"] == 1.0
    assert quality["mrr"] == pytest.approx((1 + 1 + 1 / 2) / 3)


def test_without_tickets_there_are_no_figures():
    assert contact_type_quality(INDEX, np.zeros((0, 3), np.float32), np.zeros(0, np.int64)) == {}
    assert template_quality(np.zeros((2, 0), np.int64), np.array([-1, -1])) == {}


def test_a_score_that_is_no_number_never_helps_the_true_column():
    scores = np.array([[np.nan, np.nan, np.nan], [0.2, np.nan, 0.5], [0.2, np.nan, 0.5]], np.float32)
    assert true_ranks(scores, np.array([0, 2, 1])).tolist() == [4, 2, 4]


def test_ranks_among_equals_count_the_earlier_column_first():
    scores = np.array([[0.5, 0.5, 0.1]] * 3, np.float32)
    assert true_ranks(scores, np.array([0, 1, 2])).tolist() == [1, 2, 3]


def test_the_best_leaf_under_a_node_gives_its_rank():
    leaves = np.array([[0.2, 0.5, 0.3]] * 5, np.float32)
    assert best_ranks(INDEX, leaves, np.array([A, A1, B, 4, -1])).tolist() == [1, 3, 2, 4, 4]


def test_the_class_report_names_the_confusion():
    leaves = np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], np.float32)
    rows = {row["contact_type"]: row for row in class_report(INDEX, leaves, np.array([A1, A2, A2]))}
    assert rows["a1"] == {"contact_type": "a1", "tickets": 1, "precision": 0.5, "recall": 1.0, "taken_for": None}
    assert rows["a2"] == {"contact_type": "a2", "tickets": 2, "precision": 1.0, "recall": 0.5, "taken_for": "a1"}
    assert "b" not in rows


def test_templates_in_the_tickets_language_stand_first_and_inactive_ones_last():
    names = [("far", "en", True), ("near-german", "de", True), ("near-retired", "en", False), ("middle", "en", True)]
    templates = [ReplyTemplate(template_id=n, title=n, body=n, language=la, active=on) for n, la, on in names]
    vectors = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.0], [0.8, 0.6]], np.float32)
    matrix = TemplateMatrix(tuple(templates), vectors, np.ones((4, 3), np.float32), np.full(3, 1 / 3, np.float32))
    leaves = np.full((2, 3), 1 / 3, np.float32)
    order, scores = matrix.rank(np.array([[1.0, 0.0]] * 2, np.float32), leaves, ["en", "de"])
    assert [templates[i].template_id for i in order[0]] == ["middle", "far", "near-german", "near-retired"]
    assert [templates[i].template_id for i in order[1]] == ["near-german", "middle", "far", "near-retired"]
    assert scores[0].tolist() == pytest.approx([0.0, 1.0, 1.0, 0.8])


def test_template_figures_count_only_answered_tickets():
    order = np.array([[2, 0, 1], [1, 0, 2], [0, 1, 2]])
    quality = template_quality(order, np.array([0, 1, -1]))
    assert quality["template_tickets"] == 2
    assert quality["template_hits@1"] == 0.5
    assert quality["template_hits@3"] == 1.0
    assert quality["template_mrr"] == pytest.approx(0.75)
