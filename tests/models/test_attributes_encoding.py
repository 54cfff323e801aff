"""Attributes to arrays: what is missing, unseen, mistyped or extreme has a clear place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.attributes import (
    MISSING,
    UNSEEN,
    AttributeRow,
    AttributeSpec,
    encode_attributes,
    fit_attributes,
    load_attributes,
    save_attributes,
)
from tickets.dataset import Dataset
from tickets.errors import ReleaseError

DATASET = Dataset(
    name="d", format="csv", ticket={"body": "text"}, categorical=("city",), numeric=("amount",), boolean=("vip",)
)


def row(channel: str = "web", language: str = "en", **attributes: Any) -> AttributeRow:
    return AttributeRow(channel=channel, language=language, attributes=attributes, statistics={"words": 3.0})


@pytest.fixture
def spec() -> AttributeSpec:
    rows = [row(city="Oslo", amount=10.0, vip=True), row(city=" OSLO ", amount=30.0, vip=False), row(city="Bergen")]
    return fit_attributes([*rows, row(city="Bergen", amount=20.0, vip=True)], DATASET)


def column(spec: AttributeSpec, name: str) -> int:
    return [number.name for number in spec.numbers].index(name)


def test_columns_stand_in_the_order_of_the_dataset(spec: AttributeSpec) -> None:
    assert [category.name for category in spec.categories] == ["channel", "language", "city"]
    assert [number.name for number in spec.numbers] == ["amount", "vip", "words"]


def test_case_and_spacing_make_no_other_value(spec: AttributeSpec) -> None:
    assert spec.categories[2].values == ("bergen", "oslo")
    encoded = encode_attributes(spec, [row(city="oslo"), row(city="  OsLo\n")])
    assert encoded.categories[0, 2] == encoded.categories[1, 2] == 3


def test_an_absent_attribute_is_missing_and_an_unknown_value_unseen(spec: AttributeSpec) -> None:
    encoded = encode_attributes(spec, [row(), row(city=None), row(city=""), row(city="Paris")])
    assert encoded.categories[:, 2].tolist() == [MISSING, MISSING, MISSING, UNSEEN]
    assert encoded.missing[0, column(spec, "amount")] == 1
    assert encoded.numbers[0, column(spec, "amount")] == 0


def test_numbers_are_standardised_on_the_training_rows(spec: AttributeSpec) -> None:
    encoded = encode_attributes(spec, [row(amount=amount) for amount in (10, 30, 20)])
    values = encoded.numbers[:, column(spec, "amount")]
    assert values.mean() == pytest.approx(0, abs=1e-5)
    assert values.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", ["twelve", float("nan"), float("inf"), 10**400, None, ["12"], {}])
def test_what_is_no_number_counts_as_missing(spec: AttributeSpec, value: Any) -> None:
    encoded = encode_attributes(spec, [row(amount=value)])
    assert encoded.missing[0, column(spec, "amount")] == 1
    assert np.isfinite(encoded.numbers).all()


def test_a_number_as_text_is_read_and_an_extreme_one_is_bounded(spec: AttributeSpec) -> None:
    encoded = encode_attributes(spec, [row(amount="20"), row(amount=20.0), row(amount=1e300), row(vip=True)])
    amounts = encoded.numbers[:, column(spec, "amount")]
    assert amounts[0] == amounts[1]
    assert amounts[2] == 3
    assert encoded.missing[3, column(spec, "vip")] == 0


def test_a_column_without_any_value_encodes_as_missing() -> None:
    spec = fit_attributes([row(), row()], DATASET)
    encoded = encode_attributes(spec, [row(), row(city="Oslo", amount=5.0)])
    assert encoded.categories[:, 2].tolist() == [MISSING, UNSEEN]
    assert np.isfinite(encoded.numbers).all()


def test_no_tickets_encode_to_empty_arrays(spec: AttributeSpec) -> None:
    encoded = encode_attributes(spec, [])
    assert encoded.categories.shape == (0, 3)
    assert encoded.numbers.shape == encoded.missing.shape == (0, 3)


def test_a_specification_survives_its_file(spec: AttributeSpec, tmp_path: Path) -> None:
    save_attributes(spec, tmp_path / "attributes.json")
    assert load_attributes(tmp_path / "attributes.json") == spec


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"categories": [{"nome": 1}], "numbers": []}'])
def test_a_file_that_is_no_specification_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "attributes.json").write_text(text, encoding="utf-8")
    with pytest.raises(ReleaseError, match="cannot read the attributes"):
        load_attributes(tmp_path / "attributes.json")
