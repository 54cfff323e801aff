"""The Bureau's two renamings, as pipeline/datasets/taxonomy/cfpb.toml tells them, on the real complaints."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

import pipeline.datasets
from pipeline.contact_type_reading import AMBIGUOUS, RETIRED, Reading, Written, read_contact_types
from pipeline.datasets import ready_dataset, ready_datasets
from pipeline.rows import read_row
from tickets.changes_file import ChangesFile, load_changes
from tickets.contact_types import SEPARATOR, ContactTypeTree
from tickets.dataset import load_dataset
from tickets.taxonomy_versions import apply_changes

CARDS = "Credit card or prepaid card"
REPORTS = "Credit reporting, credit repair services, or other personal consumer reports"


@pytest.fixture(scope="module")
def changes() -> ChangesFile:
    return load_changes(Path(pipeline.datasets.__file__).parent / "taxonomy" / "cfpb.toml")


@pytest.fixture(scope="module")
def tree(changes: ChangesFile) -> ContactTypeTree:
    return apply_changes(ContactTypeTree(nodes=()), changes)


def complaints(path: Path, tree: ContactTypeTree) -> list[Written]:
    """What each complaint is about, as the pipeline hands it to the reading."""
    dataset = load_dataset(ready_dataset("cfpb"))
    found: list[Written] = []
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            ticket, outcome, _ = read_row(json.dumps(row), dataset, source="complaints.csv#1", row=number)
            assert outcome is not None
            day = ticket.created_at.date().isoformat()
            era = max((start for start in tree.change_days() if start <= day), default="")
            found.append((outcome.contact_type, outcome.told_by, era))
    return found


def read(tree: ContactTypeTree, written: str, era: str = "", **told: str) -> Reading:
    columns = {name.replace("_", "-"): value for name, value in told.items()}
    key = (written, json.dumps(columns) if columns else None, era)
    return read_contact_types([key], tree)[key]


def test_the_changes_are_those_of_two_days_and_no_dataset_of_their_own(
    tree: ContactTypeTree, changes: ChangesFile
) -> None:
    assert tree.change_days() == ("2017-04-24", "2023-08-24")
    assert changes.columns == set(load_dataset(ready_dataset("cfpb")).told_by)
    assert ready_datasets().count("cfpb") == 1
    assert all(load_dataset(ready_dataset(name)).name == name for name in ready_datasets())


@pytest.mark.parametrize(
    ("written", "told", "expected"),
    [
        # 2015 -> 2017 -> 2023
        (
            "Credit reporting::Credit reporting company's investigation",
            {},
            "Credit reporting or other personal consumer reports"
            "::Problem with a company's investigation into an existing problem",
        ),
        ("Credit card::Billing disputes", {}, "Credit card::Problem with a purchase shown on your statement"),
        ("Prepaid card::Fees", {"Sub_product": "Gift or merchant card"}, "Prepaid card::Unexpected or other fees"),
        (
            "Prepaid card::Fees",
            {"Sub_product": "Mobile wallet"},
            "Money transfer, virtual currency, or money service::Unexpected or other fees",
        ),
        (
            "Other financial service::Excessive fees",
            {"Sub_product": "Debt settlement"},
            "Debt or credit management::Charged upfront or unexpected fees",
        ),
        (
            "Debt collection::Communication tactics",
            {"Sub_issue": "Threatened to take legal action"},
            "Debt collection::Took or threatened to take negative or legal action",
        ),
        (
            "Debt collection::Communication tactics",
            {"Sub_issue": "Frequent or repeated calls"},
            "Debt collection::Communication tactics",
        ),
        # 2017 -> 2023
        (f"{CARDS}::Fees or interest", {"Sub_product": "Store credit card"}, "Credit card::Fees or interest"),
        (
            f"{REPORTS}::Unexpected or other fees",
            {"Sub_product": "Credit repair services"},
            "Debt or credit management::Charged upfront or unexpected fees",
        ),
    ],
)
def test_old_complaints_are_about_what_the_form_says_today(
    tree: ContactTypeTree, written: str, told: dict[str, str], expected: str
) -> None:
    found = read(tree, written, **told)
    assert found.contact_type is not None, found.detail
    assert tree.path(found.contact_type) == expected


def test_what_the_new_form_spreads_over_several_issues_waits_for_a_person(tree: ContactTypeTree) -> None:
    found = read(
        tree, "Bank account or service::Account opening, closing, or management", Sub_product="Savings account"
    )
    assert found.reason == AMBIGUOUS
    assert all(issue in found.detail for issue in ("Opening an account", "Managing an account", "Closing an account"))


def test_a_credit_card_of_2015_and_one_of_2024_are_told_apart_by_their_day(tree: ContactTypeTree) -> None:
    vehicle, repossessed = (
        "Vehicle loan or lease::Struggling to pay your loan",
        "Lender trying to repossess or disable the vehicle",
    )
    assert (
        read(tree, vehicle, "2017-04-24", Sub_issue=repossessed).contact_type == "Vehicle loan or lease::Repossession"
    )
    assert read(tree, vehicle, "2023-08-24", Sub_issue=repossessed).contact_type == vehicle


def test_the_whole_history_ends_in_the_taxonomy_of_today(
    shared_data: Path, tree: ContactTypeTree, changes: ChangesFile
) -> None:
    today = {SEPARATOR.join(place) for place in changes.current}
    leaves = {leaf.id for leaf in tree.leaves()}
    written = complaints(shared_data / "cfpb" / "complaints.csv.gz", tree)
    readings = read_contact_types(written, tree)
    found = Counter(
        readings[key].reason or ("kept" if readings[key].contact_type == key[0] else "moved") for key in written
    )

    assert len(written) == 14_417
    assert {name for reading in readings.values() if (name := reading.contact_type)} <= leaves & today
    assert found == {"moved": 9_998, "kept": 3_953, AMBIGUOUS: 465, RETIRED: 1}
    commonest = Counter(key[0] for key in written if readings[key].reason == AMBIGUOUS).most_common(1)
    assert commonest == [("Bank account or service::Account opening, closing, or management", 211)]


def test_complaints_of_other_samples_and_years_end_there_too(shared_data: Path, tree: ContactTypeTree) -> None:
    written = complaints(shared_data / "cfpb" / "complaints-skewed.csv.gz", tree)
    readings = read_contact_types(written, tree)
    assert {reading.reason for reading in readings.values()} == {None, AMBIGUOUS}
    assert {name for reading in readings.values() if (name := reading.contact_type)} <= {
        leaf.id for leaf in tree.leaves()
    }
    # From 2023-08-24 on every name is today's, but for a few forms of the first days.
    late = [key for key in written if key[2] == "2023-08-24"]
    moved = [key for key in late if readings[key].contact_type != key[0]]
    assert len(moved) / len(late) < 0.02


def test_a_tree_grown_from_names_as_written_becomes_that_of_today(
    shared_data: Path, tree: ContactTypeTree, changes: ChangesFile
) -> None:
    written = complaints(shared_data / "cfpb" / "complaints.csv.gz", tree)
    grown = ContactTypeTree(nodes=()).with_paths(sorted({key[0] for key in written}))
    migrated = apply_changes(grown, changes)
    assert apply_changes(migrated, changes) is migrated
    assert {leaf.id for leaf in migrated.leaves()} == {leaf.id for leaf in tree.leaves()}
    by_name = {key: reading.contact_type for key, reading in read_contact_types(written, migrated).items()}
    assert by_name == {key: reading.contact_type for key, reading in read_contact_types(written, tree).items()}


def test_half_a_million_issues_of_2021_are_known_to_the_file(shared_data: Path, changes: ChangesFile) -> None:
    """These rows have no product. Each issue, under some product, is one of today's or the source of a change."""
    import pyarrow.parquet as pq

    issues = pq.read_table(shared_data / "cfpb" / "labels-2021.parquet", columns=["issue"])["issue"]
    known = {place[-1] for place in changes.current} | {change.source[-1] for change in changes.changes}
    counts = Counter(issues.to_pylist())
    unknown = {issue: count for issue, count in counts.items() if issue not in known}
    assert sum(unknown.values()) / counts.total() < 0.0005, unknown
