"""Changes of a taxonomy: what a tree becomes, and what every name of any age means in it."""

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickets.changes_file import ChangesFile, changes_from_toml
from tickets.contact_types import SEPARATOR, ContactType, ContactTypeTree, tree_from_json, tree_to_json
from tickets.errors import ContactTypeError
from tickets.taxonomy_changes import Change, Part, Place, stands_under
from tickets.taxonomy_versions import add_contact_type, apply_changes, compare

CARDS = """
[[change]]
on = 2017-04-24
from = "Credit card"
to = "Cards"
[change.below]
"Billing disputes" = "Problem with a purchase"

[[change]]
on = 2017-04-24
from = "Prepaid card"
to = "Cards"

[[change]]
on = 2023-08-24
from = "Cards"
to = [
    { path = "Credit card", when = { kind = ["general", "store"] }, formerly = "Credit card" },
    { path = "Prepaid card", when = { kind = ["gift"] }, formerly = "Prepaid card" },
]
"""
BEFORE_2023 = CARDS.partition("[[change]]\non = 2023")[0]


def written(text: str) -> ChangesFile:
    return changes_from_toml(tomllib.loads(text), text=text, name="changes.toml")


def tree_with(*paths: str) -> ContactTypeTree:
    return ContactTypeTree(nodes=()).with_paths(paths)


def today(tree: ContactTypeTree, path: str, *, era: str | None = None, **told: str) -> set[str]:
    return {SEPARATOR.join(place) for place in tree.today(tuple(path.split(SEPARATOR)), told=told, era=era)}


def in_use(tree: ContactTypeTree) -> list[str]:
    return [tree.path(node.id) for node in tree.nodes if node.active]


def test_a_rename_retires_the_old_node_and_maps_it_to_the_new_one() -> None:
    before = tree_with("Payments::Refund::Fee", "Trips")
    after = apply_changes(
        before, written('[[change]]\non = 2026-03-01\nfrom = "Payments::Refund"\nto = "Money back"\n')
    )
    assert in_use(after) == ["Payments", "Trips", "Money back", "Money back::Fee"]
    assert after.mapping == {"Payments::Refund": ("Money back",), "Payments::Refund::Fee": ("Money back::Fee",)}
    assert after.version == before.version + 1
    assert after.migrate("Payments::Refund::Fee") == ("Money back::Fee",)
    assert compare(before, after).retired == ("Payments::Refund", "Payments::Refund::Fee")
    assert compare(before, after).added == ("Money back", "Money back::Fee")


def test_a_merge_leads_several_nodes_to_one() -> None:
    text = '[[change]]\non = 2026-03-01\nfrom = "A"\nto = "C"\n[[change]]\non = 2026-03-01\nfrom = "B"\nto = "C"\n'
    after = apply_changes(tree_with("A::x", "B::x", "B::y"), written(text))
    assert in_use(after) == ["C", "C::x", "C::y"]
    assert after.migrate("A::x") == after.migrate("B::x") == ("C::x",)


def test_a_retired_node_leads_nowhere() -> None:
    after = apply_changes(
        tree_with("Fax::Broken", "Mail"), written('[[change]]\non = 2026-03-01\nfrom = "Fax"\nto = []\n')
    )
    assert in_use(after) == ["Mail"]
    assert after.migrate("Fax::Broken") == ()
    assert today(after, "Fax::Broken") == set()


def test_a_split_is_told_by_another_column_of_the_row() -> None:
    after = apply_changes(tree_with("Cards::Fees"), written(CARDS))
    assert today(after, "Cards::Fees", kind="gift") == {"Prepaid card::Fees"}
    assert today(after, "Cards::Fees", kind="store") == {"Credit card::Fees"}
    assert today(after, "Cards::Fees", kind="heard of by nobody") == {"Credit card::Fees", "Prepaid card::Fees"}
    assert today(after, "Cards::Fees") == {"Credit card::Fees", "Prepaid card::Fees"}


def test_the_rest_of_a_split_needs_no_telling() -> None:
    text = '[[change]]\non = 2026-03-01\nfrom = "A"\nto = [{ path = "B", when = { kind = ["b"] } }, "C"]\n'
    after = apply_changes(tree_with("A"), written(text))
    assert today(after, "A", kind="b") == {"B"}
    assert today(after, "A", kind="c") == today(after, "A") == {"C"}


def test_every_column_that_a_part_names_must_agree() -> None:
    text = """
[[change]]
on = 2026-03-01
from = "A"
to = [{ path = "B", when = { kind = ["b"], size = ["s", "m"] } }, "C"]
"""
    after = apply_changes(tree_with("A"), written(text))
    assert today(after, "A", kind="b", size="m") == {"B"}
    assert today(after, "A", kind="b", size="l") == {"C"}


def test_what_stands_under_a_changed_node_moves_with_it_unless_it_has_a_line_of_its_own() -> None:
    after = apply_changes(tree_with("Credit card::Billing disputes", "Credit card::Fees"), written(CARDS))
    assert today(after, "Credit card::Billing disputes", era="") == {"Credit card::Problem with a purchase"}
    assert today(after, "Credit card::Fees", era="") == {"Credit card::Fees"}
    assert today(after, "Prepaid card::Fees", era="") == {"Prepaid card::Fees"}


def test_a_chain_of_changes_remembers_where_a_name_came_from() -> None:
    """In 2015 nobody wrote the column that told the parts of 2023 apart; the name of 2015 tells it."""
    after = apply_changes(tree_with("Credit card::Billing disputes"), written(CARDS))
    assert today(after, "Credit card::Billing disputes") == {"Credit card::Problem with a purchase"}
    assert after.mapping["Credit card::Billing disputes"] == ("Credit card::Problem with a purchase",)


def test_a_node_that_came_back_is_in_use_again() -> None:
    first = apply_changes(tree_with("Credit card::Fees"), written(BEFORE_2023))
    assert not first["Credit card"].active
    second = apply_changes(first, written(CARDS))
    assert second["Credit card"].active
    assert "Credit card" not in second.mapping
    assert compare(first, second).returned == ("Credit card", "Credit card::Fees")


REUSED = """
[[change]]
on = 2020-01-01
from = "Rides::Late"
to = "Rides::Delayed pick-up"

[[change]]
on = 2024-01-01
from = "Parcels::Slow"
to = "Rides::Late"
"""
REUSED_ONCE = REUSED.partition("[[change]]\non = 2024")[0]


def test_a_name_that_was_used_again_for_something_else_is_told_by_its_day() -> None:
    after = apply_changes(tree_with("Rides::Late", "Parcels::Slow"), written(REUSED))
    assert after.change_days() == ("2020-01-01", "2024-01-01")
    assert today(after, "Rides::Late", era="") == {"Rides::Delayed pick-up"}
    assert today(after, "Rides::Late", era="2024-01-01") == {"Rides::Late"}
    assert today(after, "Rides::Late", era=None) == {"Rides::Late"}  # nobody knows the day: it means what it means now
    assert today(after, "Parcels::Slow", era="2020-01-01") == {"Rides::Late"}


def test_an_old_name_written_after_the_change_still_moves_on() -> None:
    after = apply_changes(tree_with("Rides::Late"), written(REUSED_ONCE))
    assert today(after, "Rides::Late", era="2020-01-01") == {"Rides::Delayed pick-up"}


KEPT = """
[[change]]
on = 2024-01-01
from = "Payments::Other"
to = [{ path = "Payments::Voucher", when = { method = ["voucher"] } }, "Payments::Other"]
"""


def test_a_node_that_lost_a_part_and_kept_its_name_loses_only_older_rows() -> None:
    after = apply_changes(tree_with("Payments::Other"), written(KEPT))
    assert in_use(after) == ["Payments", "Payments::Other", "Payments::Voucher"]
    assert after.mapping == {}
    assert today(after, "Payments::Other", era="", method="voucher") == {"Payments::Voucher"}
    assert today(after, "Payments::Other", era="", method="cash") == {"Payments::Other"}
    assert today(after, "Payments::Other", era="2024-01-01", method="voucher") == {"Payments::Other"}


def test_applying_twice_changes_nothing() -> None:
    once = apply_changes(tree_with("Credit card::Billing disputes", "Cards::Fees"), written(CARDS))
    assert apply_changes(once, written(CARDS)) is once


def test_a_corrected_line_replaces_the_one_that_was_applied() -> None:
    once = apply_changes(tree_with("A"), written('[[change]]\non = 2024-01-01\nfrom = "A"\nto = "B"\n'))
    twice = apply_changes(once, written('[[change]]\non = 2024-01-01\nfrom = "A"\nto = "C"\n'))
    assert twice.migrate("A") == ("C",)
    assert len(twice.changes) == 1


def test_a_moved_node_keeps_its_description() -> None:
    tree = ContactTypeTree(nodes=(ContactType(id="a", name="A", description="what a customer means by it"),))
    after = apply_changes(tree, written('[[change]]\non = 2024-01-01\nfrom = "A"\nto = "B"\n'))
    assert after["B"].description == "what a customer means by it"
    assert after.mapping == {"a": ("B",)}


def test_what_the_file_says_is_current_is_added_and_stays() -> None:
    text = (
        CARDS
        + '[current]\n"Credit card" = ["Fees", "Problem with a purchase"]\n"Prepaid card" = ["Fees"]\n"Loans" = []\n'
    )
    after = apply_changes(tree_with("Credit card::Fees", "Cards::Problem with a purchase"), written(text))
    assert set(in_use(after)) == {
        *("Credit card", "Credit card::Fees", "Credit card::Problem with a purchase"),
        *("Prepaid card", "Prepaid card::Fees", "Loans"),
    }
    # Only one of the two has such a node, so the row needs no telling.
    assert after.mapping["Cards::Problem with a purchase"] == ("Credit card::Problem with a purchase",)
    assert today(after, "Cards::Problem with a purchase") == {"Credit card::Problem with a purchase"}


def test_json_keeps_the_changes() -> None:
    tree = apply_changes(tree_with("Credit card::Fees"), written(CARDS))
    assert tree_from_json(tree_to_json(tree)) == tree


NAMES = st.sampled_from(["a", "b", "c", "d"])
PLACES: st.SearchStrategy[Place] = st.lists(NAMES, min_size=1, max_size=3).map(tuple)


def places_outside(sources: list[Place]) -> st.SearchStrategy[Place]:
    return PLACES.filter(lambda place: not any(stands_under(place, source) for source in sources))


@st.composite
def days_of_changes(draw: st.DrawFn) -> list[ChangesFile]:
    """One file a day, each without contradictions: what changes on a day is not what another change leads to."""
    files = []
    for day in range(draw(st.integers(1, 3))):
        sources: list[Place] = draw(st.lists(PLACES, min_size=1, max_size=3, unique=True))
        free = places_outside(sources)
        changes = []
        for source in sources:
            targets = draw(st.lists(free, max_size=2, unique=True))
            told = [Part(to=place, when={"kind": (str(number),)}) for number, place in enumerate(targets)]
            parts = told if len(told) > 1 else [Part(to=place) for place in targets]
            changes.append(Change(on=f"20{10 + day}-01-01", source=source, parts=tuple(parts)))
        files.append(ChangesFile(changes=tuple(changes)))
    return files


@given(st.lists(PLACES, min_size=1, max_size=8), days_of_changes(), PLACES, st.sampled_from([None, "0", "1"]))
@settings(max_examples=100, deadline=None)
def test_no_name_leads_to_a_node_that_is_unknown_or_retired(
    places: list[Place], files: list[ChangesFile], place: Place, kind: str | None
) -> None:
    tree = tree_with(*map(SEPARATOR.join, places))
    for file in files:
        tree = apply_changes(tree, file)
        assert apply_changes(tree, file) is tree
        for node in tree.nodes:
            assert all(tree[target].active for target in tree.migrate(node.id))
            if node.active:
                assert tree.migrate(node.id) == (node.id,)
                assert all(above.active for above in tree.ancestors(node.id))
    told = {} if kind is None else {"kind": kind}
    for started in (*places, place):
        for era in ("", None):
            for found in tree.today(started, told=told, era=era):
                there = tree.at(found)
                # Either the tree never had such a node, or it is one of today's, or it was mapped by its id.
                assert there is None or there.active or there.id in tree.mapping


@given(st.lists(PLACES, min_size=1, max_size=8), days_of_changes(), st.sampled_from([None, "0", "1"]))
@settings(max_examples=100, deadline=None)
def test_all_changes_at_once_are_the_changes_one_after_the_other(
    places: list[Place], files: list[ChangesFile], kind: str | None
) -> None:
    told = {} if kind is None else {"kind": kind}
    start = tree_with(*map(SEPARATOR.join, places))
    stepwise = start
    for file in files:
        stepwise = apply_changes(stepwise, file)
    at_once = apply_changes(start, ChangesFile(changes=tuple(change for file in files for change in file.changes)))
    assert at_once.changes == stepwise.changes
    for place in places:
        by_steps = {place}
        for file in files:
            single = ContactTypeTree(nodes=(), changes=file.changes)
            by_steps = {found for step in by_steps for found in single.today(step, told=told, era="")}
        bare = ContactTypeTree(nodes=(), changes=at_once.changes)
        assert set(bare.today(place, told=told, era="")) == by_steps


@pytest.mark.parametrize("era", ["", None])
def test_a_tree_without_changes_reads_every_name_as_it_is(era: str | None) -> None:
    assert today(tree_with("A::b"), "A::c", era=era) == {"A::c"}


def test_a_contact_type_is_added_under_a_branch_once() -> None:
    tree = ContactTypeTree(nodes=()).with_paths(["Payments::Refund", "Payments::Invoice", "Safety"])
    grown, made = add_contact_type(tree, "Payments", " Tips  and\nextras ", "Money given on top.\n")
    assert made == "Payments::Tips and extras"
    assert grown.version == tree.version + 1
    assert grown[made].description == "Money given on top."
    assert set(grown.leaves()) == {*tree.leaves(), grown[made]}
    assert add_contact_type(grown, "Payments", "Tips and extras", "Money given on top.") == (grown, made)
    on_top, scooters = add_contact_type(grown, None, "Scooters", "")
    assert on_top[scooters].parent is None
    first, made = add_contact_type(ContactTypeTree(nodes=()), None, "Scooters", "")
    assert [node.id for node in first.leaves()] == [made]


def test_a_renamed_branch_takes_a_new_contact_type() -> None:
    tree = ContactTypeTree(
        nodes=(ContactType(id="p", name="Money"), ContactType(id="p::Refund", name="Refund", parent="p"))
    )
    grown, made = add_contact_type(tree, "p", "Tips", "")
    assert grown.path(made) == "Money::Tips"
    assert grown[made].parent == "p"


def test_a_retired_contact_type_is_in_use_again_when_it_is_added() -> None:
    retired = apply_changes(
        ContactTypeTree(nodes=()).with_paths(["Fax", "Mail"]),
        changes_from_toml(tomllib.loads('[[change]]\non = 2020-01-01\nfrom = "Fax"\nto = []')),
    )
    assert not retired["Fax"].active
    grown, made = add_contact_type(retired, None, "Fax", "It is back.")
    assert (made, grown["Fax"].active, grown["Fax"].description) == ("Fax", True, "It is back.")


def test_adding_a_contact_type_leaves_all_others_and_their_changes_as_they_are() -> None:
    parts = (Part(to=("Credit card",)), Part(to=("Prepaid card",)))
    split = ChangesFile(
        changes=(Change(on="2020-01-01", source=("Cards",), parts=parts),),
        current=(("Credit card",), ("Credit card", "Fees")),  # the old name reads as this part
    )
    tree = apply_changes(ContactTypeTree(nodes=()).with_paths(["Cards"]), split)
    assert tree.mapping == {"Cards": ("Credit card",)}
    grown, made = add_contact_type(tree, "Credit card", "Fraud", "Somebody else paid.")
    assert grown.nodes == (*tree.nodes, grown[made])
    assert (grown.mapping, grown.changes) == (tree.mapping, tree.changes)


@pytest.mark.parametrize(
    ("parent", "name", "said"),
    [
        (None, " ", "cannot name"),
        (None, "Payments::Tips", "cannot name"),
        (None, "Ti\x00ps", "cannot name"),
        ("Payments", "REFUND", "already"),
        (None, "payments", "already"),
        ("Payments::Refund", "Tips", "no branch"),
        ("Nowhere", "Tips", "no branch"),
    ],
)
def test_what_cannot_be_a_contact_type_is_refused(parent: str | None, name: str, said: str) -> None:
    tree = ContactTypeTree(nodes=()).with_paths(["Payments::Refund"])
    with pytest.raises(ContactTypeError, match=said):
        add_contact_type(tree, parent, name, "")
