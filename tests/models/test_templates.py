"""What a template's contact types say beside its text."""

from __future__ import annotations

import numpy as np
import pytest

from models.templates import DOUBT, TemplateMatrix, lift, served_leaves, template_matrix
from models.tree_index import index_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.records import ReplyTemplate

TREE = ContactTypeTree(
    tuple(
        ContactType(id=node, name=node, parent=parent)
        for node, parent in (("a", None), ("b", None), ("a1", "a"), ("a2", "a"))
    ),
    version=1,
    mapping={"b before": ("b",)},
)
INDEX = index_tree(TREE)
LEAVES = [INDEX.ids[leaf] for leaf in INDEX.leaves]
USUAL = np.full(len(LEAVES), 1 / len(LEAVES), np.float32)


def template(name: str, *contact_types: str) -> ReplyTemplate:
    return ReplyTemplate(template_id=name, title=name, body=name, language="en", contact_types=contact_types)


def test_a_template_serves_the_leaves_under_what_it_names_and_all_when_it_names_nothing_known():
    templates = [template("x", "a"), template("y", "a2", "b before"), template("z"), template("w", "gone")]
    serves = served_leaves(templates, TREE, INDEX)
    named = [{leaf for leaf, there in zip(LEAVES, row, strict=True) if there} for row in serves.tolist()]
    assert named == [{"a1", "a2"}, {"a2", "b"}, set(LEAVES), set(LEAVES)]


def test_the_lift_says_how_many_times_likelier_than_usual():
    likely = np.array([[0.1 if leaf != "b" else 0.8 for leaf in LEAVES]], np.float32)
    serves = served_leaves([template("b", "b"), template("any"), template("a1", "a1")], TREE, INDEX)
    found = lift(likely, USUAL, serves)
    assert found.dtype == np.float32
    assert found[0] == pytest.approx([DOUBT + (1 - DOUBT) * 2.4, 1.0, DOUBT + (1 - DOUBT) * 0.3], rel=1e-4)


def test_a_contact_type_nobody_asks_about_makes_its_template_neither_likelier_nor_impossible():
    usual = np.array([0.0 if leaf == "b" else 0.5 for leaf in LEAVES], np.float32)
    found = lift(usual[None], usual, served_leaves([template("b", "b")], TREE, INDEX))
    assert found[0, 0] == pytest.approx(1.0)


def test_templates_of_the_likely_contact_type_outrank_equal_texts_also_when_nobody_sent_them():
    templates = (template("a1", "a1"), template("b", "b"), template("any"))
    vectors = np.ones((3, 1), np.float32)
    serves = served_leaves(templates, TREE, INDEX)
    matrix = TemplateMatrix(templates, vectors, serves, USUAL, scale=5.0, type_weight=1.0)
    leaves = np.array([[0.9 if leaf == "b" else 0.05 for leaf in LEAVES]], np.float32)
    order, _ = matrix.rank(np.ones((1, 1), np.float32), leaves, ["en"])
    assert [templates[column].template_id for column in order[0]] == ["b", "any", "a1"]


def test_what_a_release_keeps_gives_the_same_order():
    templates = (template("a1", "a1"), template("b", "b"), template("any"))
    vectors = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    serves, uneven = served_leaves(templates, TREE, INDEX), np.array([0.5, 0.2, 0.3], np.float32)
    matrix = TemplateMatrix(templates, vectors, serves, uneven, scale=7.0, type_weight=0.5)
    read = template_matrix(templates, TREE, INDEX, matrix.tensors())
    queries, leaves = np.ones((1, 4), np.float32), np.array([[0.2, 0.5, 0.3]], np.float32)
    for one, other in zip(matrix.rank(queries, leaves, ["en"]), read.rank(queries, leaves, ["en"]), strict=True):
        assert np.array_equal(one, other)


def test_a_release_from_before_the_weights_ranks_by_text_alone():
    templates = (template("a1", "a1"), template("b", "b"))
    matrix = template_matrix(templates, TREE, INDEX, {"templates": np.eye(2, dtype=np.float32)})
    order, scores = matrix.rank(np.array([[1.0, 0.0]], np.float32), np.array([[0.0, 0.0, 1.0]], np.float32), ["en"])
    assert order[0].tolist() == [0, 1]
    assert scores[0].tolist() == [1.0, 0.0]
