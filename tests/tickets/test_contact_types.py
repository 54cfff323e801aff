"""The contact-type tree: paths, growth, migration, and what is refused."""

import pytest

from tickets.contact_types import ContactType, ContactTypeTree, tree_from_json, tree_to_json
from tickets.errors import ContactTypeError


@pytest.fixture
def tree() -> ContactTypeTree:
    return ContactTypeTree(nodes=()).with_paths(["Payments::Refund::Cleaning fee", "Payments::Card", "Trips"])


def test_a_path_leads_to_its_node_and_back(tree: ContactTypeTree) -> None:
    node = tree.find("Payments::Refund::Cleaning fee")
    assert tree.path(node.id) == "Payments::Refund::Cleaning fee"
    assert [leaf.name for leaf in tree.leaves()] == ["Cleaning fee", "Card", "Trips"]


def test_growing_makes_a_new_version_only_when_a_node_is_new(tree: ContactTypeTree) -> None:
    assert tree.with_paths(["Payments::Card"]) is tree
    grown = tree.with_paths(["Payments::Voucher"])
    assert grown.version == tree.version + 1
    assert "Payments::Voucher" in grown


def test_a_renamed_node_is_found_under_the_path_it_first_had() -> None:
    renamed = ContactTypeTree(
        nodes=(ContactType(id="Pay", name="Pay"), ContactType(id="Pay::Refund", name="Repayment", parent="Pay"))
    )
    grown = renamed.with_paths(["Pay::Refund::Fee", "Pay::Repayment::Fee", "Pay::Repayment::Tip"])
    assert [(node.id, node.parent) for node in grown.nodes[2:]] == [
        ("Pay::Refund::Fee", "Pay::Refund"),
        ("Pay::Repayment::Tip", "Pay::Refund"),
    ]


def test_an_unknown_path_says_where_it_left_the_tree(tree: ContactTypeTree) -> None:
    with pytest.raises(ContactTypeError, match="'Chargeback' is not under 'Payments'"):
        tree.find("Payments::Chargeback")


def test_old_ids_lead_to_current_ones_over_several_migrations() -> None:
    nodes = (ContactType(id="new", name="New"), ContactType(id="other", name="Other"))
    tree = ContactTypeTree(nodes=nodes, mapping={"oldest": ("old",), "old": ("new", "other"), "gone": ()})
    assert tree.migrate("oldest") == ("new", "other")
    assert tree.migrate("new") == ("new",)
    assert tree.migrate("gone") == ()
    assert tree.migrate("never heard of") == ()


def test_a_name_of_any_age_leads_to_the_leaves_that_it_may_be_today(tree: ContactTypeTree) -> None:
    old = {"Fee": ("Payments::Refund",), "Cards": ("Payments::Card", "Trips"), "Fax": ()}
    tree = ContactTypeTree(nodes=tree.nodes, mapping=old)
    fee = "Payments::Refund::Cleaning fee"
    assert tree.leaves_today("Payments") == (fee, "Payments::Card")
    assert tree.leaves_today("Fee") == (fee,)
    assert tree.leaves_today("Cards") == ("Payments::Card", "Trips")
    assert tree.leaves_today("Fax") == tree.leaves_today("never heard of") == ()
    assert [tree.leaf_today(name) for name in ("Fee", "Trips", "Cards", "Fax")] == [fee, "Trips", None, None]
    assert ContactTypeTree(nodes=()).leaf_today("anything") == "anything"  # before the first tree


def test_json_keeps_a_tree_whole(tree: ContactTypeTree) -> None:
    assert tree_from_json(tree_to_json(tree)) == tree


@pytest.mark.parametrize(
    "nodes",
    [
        (ContactType(id="a", name="A"), ContactType(id="a", name="B")),
        (ContactType(id="a", name="A", parent="missing"),),
        (ContactType(id="a", name="A", parent="b"), ContactType(id="b", name="B", parent="a")),
    ],
    ids=["repeated id", "unknown parent", "cycle"],
)
def test_what_is_no_tree_is_refused(nodes: tuple[ContactType, ...]) -> None:
    with pytest.raises(ContactTypeError):
        ContactTypeTree(nodes=nodes)


def test_a_mapping_must_end_in_the_tree() -> None:
    with pytest.raises(ContactTypeError, match="nowhere"):
        ContactTypeTree(nodes=(ContactType(id="a", name="A"),), mapping={"old": ("nowhere",)})


def test_a_place_leads_to_its_node_also_under_the_path_it_first_had(tree: ContactTypeTree) -> None:
    node = tree.at(("Payments", "Refund", "Cleaning fee"))
    assert node is not None
    assert tree.place(node.id) == ("Payments", "Refund", "Cleaning fee")
    assert tree.at(("Payments", "Chargeback")) is None
    renamed = ContactTypeTree(
        nodes=(ContactType(id="Pay", name="Pay"), ContactType(id="Pay::Refund", name="Repayment", parent="Pay"))
    )
    assert renamed.at(("Pay", "Refund")) == renamed.at(("Pay", "Repayment")) == renamed["Pay::Refund"]


def test_changes_of_another_shape_are_refused() -> None:
    with pytest.raises(ContactTypeError, match="the changes of the tree have another shape"):
        tree_from_json({"version": 1, "nodes": [], "changes": [{"on": "soon", "from": "A", "to": []}]})


def test_a_node_without_a_description_may_say_null() -> None:
    tree = tree_from_json({"version": 1, "nodes": [{"id": "a", "name": "A", "description": None}]})
    assert tree["a"].description == ""


@pytest.mark.parametrize("node", [{"id": "a", "name": None}, {"id": 7, "name": "A"}, {"name": "A"}, "A"])
def test_a_node_without_id_or_name_is_refused_when_it_is_read(node: object) -> None:
    with pytest.raises(ContactTypeError, match="another shape"):
        tree_from_json({"version": 1, "nodes": [node]})
