"""The changes file: what is read, and the words with which a wrong one is refused."""

import tomllib
from pathlib import Path

import pytest

from tickets.changes_file import ChangesFile, changes_from_toml, load_changes
from tickets.errors import ContactTypeError
from tickets.taxonomy_changes import Change, Part

GOOD = """
[[change]]
on = 2026-03-01
from = "Payments::Refund"
to = "Money back"
[change.below]
"Cleaning fee" = "Fee for cleaning"
"Tip" = ["Tip of a ride", { path = "Tip of a courier", when = { kind = "food" } }]

[[change]]
on = 2026-03-01
from = "Cards"
to = [{ path = "Credit card", when = { kind = ["visa", "amex"] }, formerly = "Plastic" }, "Prepaid card"]

[[change]]
on = 2026-03-02
from = "Fax"
to = []

[current]
"Money back" = ["Fee for cleaning", "Tip of a ride", "Tip of a courier"]
"Credit card" = []
"Prepaid card" = []
"""


def read(text: str) -> ChangesFile:
    return changes_from_toml(tomllib.loads(text), text=text, name="changes.toml")


def test_a_complete_file_is_read() -> None:
    file = read(GOOD)
    back, fee, tip, cards, fax = file.changes
    assert back == Change(on="2026-03-01", source=("Payments", "Refund"), parts=(Part(to=("Money back",)),))
    assert fee.source == ("Payments", "Refund", "Cleaning fee")
    assert fee.parts == (Part(to=("Money back", "Fee for cleaning")),)
    assert [part.to[-1] for part in tip.parts] == ["Tip of a ride", "Tip of a courier"]
    assert cards.parts[0] == Part(to=("Credit card",), when={"kind": ("visa", "amex")}, formerly=("Plastic",))
    assert fax.parts == ()
    assert file.columns == {"kind"}
    assert ("Money back", "Tip of a ride") in file.current


def test_below_a_split_each_part_takes_the_new_name() -> None:
    text = """
[[change]]
on = 2026-03-01
from = "Cards"
to = [{ path = "Credit card", when = { kind = "visa" } }, "Prepaid card"]
[change.below]
"Charges" = "Fees"
"""
    _, charges = read(text).changes
    assert charges.source == ("Cards", "Charges")
    assert charges.parts == (
        Part(to=("Credit card", "Fees"), when={"kind": ("visa",)}),
        Part(to=("Prepaid card", "Fees")),
    )


def change(source: str, to: str, on: str = "2026-03-01") -> str:
    return f'[[change]]\non = {on}\nfrom = "{source}"\nto = {to}\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            change("A", '"B"') + change("A", '"C"'),
            r"changes.toml, line 5: 'A' changes on 2026-03-01 already, by .* 1\.",
        ),
        (
            change("A", '"B"') + change("B", '"A"'),
            r"line 1: 'B' changes on the same day, by .*, line 5: that is a cycle",
        ),
        (
            change("A", '"B::x"') + change("B", '"C"'),
            r"line 1: 'B::x' changes on the same day, by changes.toml, line 5",
        ),
        (change("A", '"A"'), "line 1: 'A' changes to itself"),
        (change("B", "[]").replace("[[change]]", "[[ change ]]") + change("A", '"A"'), "line 5: 'A' changes to itself"),
        (change("A", '["B", "B"]'), "line 1: two parts have the same path"),
        (change("A", '[{ path = "B", when = { kind = ["b"] } }]'), "line 1: 'A' has one part, and only for some rows"),
        (change("A", '[{ path = "B", wehn = { kind = ["b"] } }, "C"]'), "line 1 has the unknown key 'wehn'"),
        (change("A", '[{ path = "B", when = { kind = [] } }, "C"]'), "`when` has 'kind'"),
        (change("A", '[{ path = "B", when = ["b"] }, "C"]'), "`when` is .* it must be a table"),
        (change("A", '[{ when = { kind = ["b"] } }, "C"]'), "`path` is None"),
        (change("A", "7"), "`to` is 7; a path or a list"),
        (change("A", "[7]"), "`to` holds 7"),
        (change("", '"B"'), "`from` is ''; a path was expected"),
        (change("A", '"B"', on='"2026-03-01"'), "`on` is '2026-03-01'; a day was expected"),
        (change("A", '"B"', on="2026-03-01T00:00:00Z"), "`on` is .* a day was expected"),
        ("change = 7", "`change` must be a list"),
        ("[[changes]]\n", "unknown key 'changes'"),
        (change("A", '"B"') + "[change.below]\nx = []\ny = 7\n", "line 1, below 'y': `y` is 7"),
        (change("A", "[]") + '[change.below]\nx = "y"\n', "line 1, below 'x': what it stands under is retired"),
        (
            change("A", '["B", "C"]') + '[change.below]\nx = ["y", "z"]\n',
            "below 'x': it is split, and what it stands under",
        ),
        (change("A", '"B"') + '[current]\nC = ["x"]\n', "line 1: 'B' leads to 'B', which .current. does not have"),
        (change("A", '"B::y"') + '[current]\nB = ["x"]\n', "line 1: 'B::y' leads to 'B::y', which .current. does not"),
        (change("A", '"B"') + "[current]\nB = 7\n", "a list of the names under it was expected"),
    ],
)
def test_a_wrong_file_names_the_line_and_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(ContactTypeError, match=says):
        read(text)


def test_a_chain_may_end_elsewhere_than_its_first_change() -> None:
    text = change("A", '"B"', on="2024-01-01") + change("B", '"C"', on="2025-01-01") + "[current]\nC = []\n"
    assert len(read(text).changes) == 2


def test_a_place_that_a_split_leaves_where_it_is_may_take_in_others_that_day() -> None:
    kept = change("A", '[{ path = "B", when = { kind = ["b"] } }, "A"]')
    assert len(read(kept + change("C", '"A"')).changes) == 2


def test_a_file_that_is_no_toml_or_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ContactTypeError, match=r"nothing\.toml"):
        load_changes(tmp_path / "nothing.toml")
    (tmp_path / "broken.toml").write_text("[[change]", encoding="utf-8")
    with pytest.raises(ContactTypeError, match="not valid TOML"):
        load_changes(tmp_path / "broken.toml")
