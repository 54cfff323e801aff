"""A small helpdesk on disk: a dataset.toml, CSV files made in the test, and the pipeline over them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

DAY = date(2026, 3, 2)
COLUMNS = ("id", "opened", "title", "text", "via", "customer", "product", "amount", "vip", "reason", "macro", "answer")
DATASET = """
name = "helpdesk"
format = "csv"
timezone = "Europe/Berlin"

[ticket]
ticket_id = "id"
created_at = "opened"
subject = "title"
body = "text"
channel = "via"
customer_key = "customer"

[attributes]
categorical = ["product"]
numeric = ["amount"]
boolean = ["vip"]

[outcome]
contact_type = "reason"
template_id = "macro"
reply = "answer"
"""


@pytest.fixture
def make_row() -> Callable[..., dict[str, str]]:
    """`make_row(number, column=value)`: a sound row of the helpdesk, with some columns changed."""
    return _row


def _row(number: int, **changed: str) -> dict[str, str]:
    """Each text is its own, so that no two are near-duplicates."""
    words = " ".join(f"w{number * 31 % 9973}x{place}" for place in range(12))
    sound = {
        "id": f"T{number:04d}",
        "opened": f"2026-01-{1 + number % 28:02d}T10:{number % 60:02d}:00",
        "title": f"Question {number}",
        "text": f"My parcel {words} has not arrived.",
        "via": "email",
        "customer": f"c{number}@example.com",
        "product": "parcel",
        "amount": "12.50",
        "vip": "no",
        "reason": "Delivery::Late" if number % 2 else "Payment::Refund",
        "macro": "late" if number % 2 else "refund",
        "answer": "We look into it." if number % 2 else "The money is on its way.",
    }
    return {**sound, **changed}


@pytest.fixture
def dataset_file(tmp_path: Path) -> Path:
    path = tmp_path / "dataset.toml"
    path.write_text(DATASET, encoding="utf-8")
    return path


@pytest.fixture
def write_csv(tmp_path: Path) -> Callable[..., Path]:
    def write(rows: Iterable[Mapping[str, Any]], name: str = "tickets.csv", columns: Iterable[str] = COLUMNS) -> Path:
        path = tmp_path / name
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(columns), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write
