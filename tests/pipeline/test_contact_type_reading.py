"""Contact types as people wrote them, read through a tree that has changed."""

import json
import tomllib

import pytest

from pipeline.contact_type_reading import (
    AMBIGUOUS,
    RETIRED,
    UNKNOWN,
    Reading,
    Written,
    grow_tree,
    read_contact_type,
    read_contact_types,
)
from tickets.catalogue import read_tree, write_tree
from tickets.changes_file import changes_from_toml
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.taxonomy_versions import apply_changes
from tickets.workspace import Workspace

CHANGES = """
[[change]]
on = 2026-03-01
from = "Cards"
to = [{ path = "Credit card", when = { kind = ["visa"] } }, { path = "Prepaid card", when = { kind = ["gift"] } }]

[[change]]
on = 2026-03-01
from = "Fax"
to = []

[[change]]
on = 2026-03-01
from = "Refund"
to = "Money back"
"""


@pytest.fixture
def tree() -> ContactTypeTree:
    before = ContactTypeTree(nodes=()).with_paths(["Cards::Fees", "Fax", "Refund::Late"])
    return apply_changes(before, changes_from_toml(tomllib.loads(CHANGES)))


def told(**columns: str) -> str:
    return json.dumps(columns)


def test_each_combination_of_name_columns_and_era_has_its_reading(tree: ContactTypeTree) -> None:
    keys: list[Written] = [
        ("Cards::Fees", told(kind="gift"), ""),
        ("Cards::Fees", told(kind="visa"), None),
        ("Cards::Fees", None, ""),
        ("Refund::Late", None, "2026-03-01"),
    ]
    readings = read_contact_types([*keys, *keys], tree)
    assert set(readings) == set(keys)
    assert readings[keys[0]] == Reading(contact_type="Prepaid card::Fees")
    assert readings[keys[1]] == Reading(contact_type="Credit card::Fees")
    assert readings[keys[2]].reason == AMBIGUOUS
    assert readings[keys[3]] == Reading(contact_type="Money back::Late")


def test_what_cannot_be_told_names_the_choices(tree: ContactTypeTree) -> None:
    reading = read_contact_type("Cards::Fees", tree, told_by=told(kind="another"))
    assert reading.reason == AMBIGUOUS
    assert "'Credit card::Fees', 'Prepaid card::Fees'" in reading.detail


def test_a_retired_name_says_so(tree: ContactTypeTree) -> None:
    assert read_contact_type("Fax", tree).reason == RETIRED


def test_an_id_is_read_like_the_path_it_stands_at() -> None:
    before = ContactTypeTree(
        nodes=(ContactType(id="r1", name="Refund"), ContactType(id="r2", name="Late", parent="r1"))
    )
    tree = apply_changes(before, changes_from_toml(tomllib.loads(CHANGES)))
    assert read_contact_type("r2", tree) == read_contact_type("Refund::Late", tree)
    assert read_contact_type("r2", tree).contact_type == "Money back::Late"


def test_a_mapping_by_hand_is_followed_without_any_change() -> None:
    tree = ContactTypeTree(nodes=(ContactType(id="new", name="New"),), mapping={"old": ("new",), "Old::x": ("new",)})
    assert read_contact_type("old", tree).contact_type == "new"
    assert read_contact_type(" Old :: x ", tree).contact_type == "new"


def test_an_unknown_name_says_where_it_left_the_tree_and_what_it_became(tree: ContactTypeTree) -> None:
    reading = read_contact_type("Refund::Twice", tree)
    assert (reading.reason, reading.missing) == (UNKNOWN, "Money back::Twice")
    assert "'Refund::Twice' became 'Money back::Twice'" in reading.detail
    assert "'Twice' is not under 'Money back'" in reading.detail


def test_the_tree_grows_by_the_names_of_today_only(workspace: Workspace, tree: ContactTypeTree) -> None:
    write_tree(workspace, tree)
    imported: list[Written] = [
        ("Refund::Late", None, ""),
        ("Refund::Twice", None, ""),
        ("Cards::Stolen", None, ""),
        ("Cards::Blocked", told(kind="visa"), ""),
        ("Fax", None, ""),
        ("Trips::Lost item", None, None),
    ]
    assert grow_tree(workspace, imported) == 4
    grown = read_tree(workspace)
    assert [node.id for node in grown.nodes[len(tree.nodes) :]] == [
        *("Credit card::Blocked", "Money back::Twice", "Trips", "Trips::Lost item")
    ]
    assert not grown["Refund"].active
    assert grow_tree(workspace, imported) == 0
    assert read_contact_type("Refund::Twice", grown).contact_type == "Money back::Twice"
