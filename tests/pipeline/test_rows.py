"""A source row, read once: its ticket and how it ended."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.rows import ImportedOutcome, outcome_from_row, read_row
from pipeline.text.clean import Refused
from tickets.dataset import Dataset, load_dataset
from tickets.records import Ticket, to_json
from tickets.tables import SERVICE

Row = Callable[..., dict[str, str]]


def dataset_with(dataset_file: Path, **changed: str) -> Dataset:
    text = dataset_file.read_text(encoding="utf-8")
    for old, new in changed.items():
        text = text.replace(f"{old} =", f"{new}\n{old} =")
    dataset_file.write_text(text, encoding="utf-8")
    return load_dataset(dataset_file)


def read(row: dict[str, Any], dataset: Dataset) -> tuple[Ticket, ImportedOutcome | None, int]:
    return read_row(json.dumps(row), dataset, source="tickets.csv#1", row=1)


def test_ticket_and_outcome_of_a_row_agree_on_the_ticket(make_row: Row, dataset_file: Path) -> None:
    dataset = load_dataset(dataset_file)
    ticket, outcome, misread = read(make_row(1, amount="a lot"), dataset)
    assert (ticket.ticket_id, misread) == ("T0001", 1)
    assert outcome is not None
    assert (outcome.ticket_id, outcome.contact_type, outcome.template_id) == ("T0001", "Delivery::Late", "late")
    assert outcome == outcome_from_row(json.dumps(make_row(1)), dataset, source="tickets.csv#1", row=1)


def test_a_row_that_names_no_contact_type_is_a_ticket_without_outcome(make_row: Row, dataset_file: Path) -> None:
    ticket, outcome, _ = read(make_row(1, reason=" "), load_dataset(dataset_file))
    assert ticket.ticket_id == "T0001"
    assert outcome is None


def test_a_row_that_is_no_ticket_is_refused_with_its_outcome(make_row: Row, dataset_file: Path) -> None:
    dataset = load_dataset(dataset_file)
    with pytest.raises(Refused, match="broken date"):
        read(make_row(1, opened="soon"), dataset)
    assert outcome_from_row(json.dumps(make_row(1, id="")), dataset, source="tickets.csv#1", row=1) is None


def test_what_tells_the_parts_of_a_split_apart_is_kept_as_json(make_row: Row, dataset_file: Path) -> None:
    dataset = dataset_with(dataset_file, contact_type='told_by = ["kind", "Art"]')
    outcomes = [
        read(make_row(1) | columns, dataset)[1]
        for columns in ({"kind": " gift ", "Art": "Größe"}, {"kind": "gift", "Art": None}, {"kind": "", "Art": " "}, {})
    ]
    assert [outcome and outcome.told_by for outcome in outcomes] == [
        *('{"Art":"Größe","kind":"gift"}', '{"kind":"gift"}', None, None)
    ]


def test_a_ticket_of_the_service_has_no_outcome(make_row: Row, dataset_file: Path) -> None:
    dataset = load_dataset(dataset_file)
    ticket, _, _ = read(make_row(1), dataset)
    again, outcome, misread = read_row(json.dumps(to_json(ticket)), dataset, source=SERVICE, row=1)
    assert (again, outcome, misread) == (ticket, None, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(12.5, 12.5), (float("nan"), None), (3, 3.0), ("1,299.50", 1299.5), (True, None), ("", None), (None, None)],
)
def test_numbers_come_as_numbers_or_text(make_row: Row, dataset_file: Path, value: Any, expected: float | None) -> None:
    row: dict[str, Any] = make_row(1) | {"amount": value}
    ticket, _, misread = read(row, load_dataset(dataset_file))
    assert ticket.attributes["amount"] == expected
    assert misread == (value is True)
