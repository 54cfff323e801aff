"""dataset.toml: what is read, and the words with which a wrong one is refused."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tickets.dataset import Dataset, load_dataset
from tickets.errors import DatasetError

GOOD = """
name = "support"
format = "csv"
files = [{ path = "a.csv" }, { path = "b.csv", split = "test" }]
never_inputs = ["Disputed"]
[ticket]
body = "Text"
created_at = "Opened"
[attributes]
categorical = ["State"]
numeric = ["Age"]
[outcome]
contact_type = ["Product", "Issue"]
template_id = "Macro"
"""


def load(tmp_path: Path, text: str) -> Dataset:
    path = tmp_path / "dataset.toml"
    path.write_text(text, encoding="utf-8")
    return load_dataset(path)


def test_a_complete_file_is_read(tmp_path: Path) -> None:
    dataset = load(tmp_path, GOOD)
    assert dataset.contact_type == ("Product", "Issue")
    assert dataset.attributes == ("State", "Age")
    assert [(file.path, file.split) for file in dataset.files] == [("a.csv", None), ("b.csv", "test")]
    assert dataset.columns == {"Text", "Opened", "State", "Age", "Product", "Issue", "Macro"}


def test_data_without_dates_may_name_a_constant(tmp_path: Path) -> None:
    dataset = load(tmp_path, 'created_at_constant = 2020-01-01T00:00:00Z\n[ticket]\nbody = "text"\n')
    assert dataset.created_at_constant == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('body = "Text"', 'boddy = "Text"'), "unknown key 'boddy'"),
        (('body = "Text"', ""), "no `body`"),
        (('created_at = "Opened"', ""), "created_at_constant"),
        (('format = "csv"', 'format = "xls"'), "csv, jsonl, parquet"),
        (('split = "test"', 'split = "tset"'), "files has the entry"),
        (('categorical = ["State"]', 'categorical = ["Disputed"]'), "both an input and an outcome"),
        (('categorical = ["State"]', 'categorical = ["Issue"]'), "both an input and an outcome"),
        (("[outcome]", "[outcome"), "not valid TOML"),
        (('format = "csv"', 'format = "database"'), "no `ticket_id`"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    with pytest.raises(DatasetError, match=says.replace("[", r"\[")):
        load(tmp_path, GOOD.replace(*change))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nothing\.toml"):
        load_dataset(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('categorical = ["State"]', 'categorical = "State"', "categorical is 'State'; a list"),
        ('body = "Text"', "body = 7", "body is 7; a text"),
        ('name = "support"', 'name = "support"\ncreated_at_constant = 2026-01-01', "a time was expected"),
        ('name = "support"', 'name = "support"\nlanguages = "en"', "languages is 'en'; a list"),
        ('files = [{ path = "a.csv" }, { path = "b.csv", split = "test" }]', "files = 1", "files is 1; a list"),
        (
            'files = [{ path = "a.csv" }, { path = "b.csv", split = "test" }]',
            'files = "a.csv"',
            "files is 'a.csv'; a l",
        ),
        ('contact_type = ["Product", "Issue"]', 'contact_type = ""', "contact_type is ''; a text"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_before_a_row_is_read(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        load(tmp_path, GOOD.replace(old, new))


def test_columns_that_tell_the_parts_of_a_split_apart_are_never_inputs(tmp_path: Path) -> None:
    text = GOOD.replace('template_id = "Macro"', 'template_id = "Macro"\ntold_by = ["Kind", "Sort"]')
    dataset = load(tmp_path, text)
    assert dataset.told_by == ("Kind", "Sort")
    assert not {"Kind", "Sort"} & dataset.columns  # a file may lack them: then what they tell is not told
    with pytest.raises(DatasetError, match="'Kind' is both an input and an outcome"):
        load(tmp_path, text.replace('categorical = ["State"]', 'categorical = ["Kind"]'))
