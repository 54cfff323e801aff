"""Checks of the inputs, each on data that breaks what it looks for."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.batches import TicketArrays
from models.config import TrainConfig
from models.diagnosis.findings import listed
from models.diagnosis.inputs import (
    attributes_are_there,
    no_attribute_is_the_answer,
    numbers_are_standardised,
    splits_are_apart,
    texts_are_read,
)
from models.training.data import TrainingData

Load = Callable[..., TrainingData]
Put = Callable[[str, list[dict[str, Any]]], None]


@pytest.fixture
def data(load_tiny: Load) -> TrainingData:
    return load_tiny()


def with_numbers(data: TrainingData, column: int, values: Any, *, split: str = "train") -> TrainingData:
    part: TicketArrays = getattr(data, split)
    numbers = part.numbers.copy()
    numbers[:, column] = values
    return dataclasses.replace(data, **{split: dataclasses.replace(part, numbers=numbers)})


@pytest.mark.parametrize("values", [7.0, np.linspace(-30, 30, 120), np.linspace(0, 0.1, 120), np.linspace(1, 3, 120)])
def test_a_number_on_another_scale_is_named(data: TrainingData, values: Any) -> None:
    assert numbers_are_standardised(data).passed
    finding = numbers_are_standardised(with_numbers(data, 0, values))
    assert not finding.passed
    assert data.attributes.numbers[0].name in finding.detail


def test_a_number_that_is_none_is_named(data: TrainingData) -> None:
    finding = numbers_are_standardised(with_numbers(data, 1, np.nan))
    assert not finding.passed
    assert "Not finite" in finding.detail


def test_a_rare_large_number_that_was_cut_off_is_no_fault(
    load_tiny: Load, tiny_examples: dict[str, list[dict[str, Any]]], put_features: Put
) -> None:
    """One amount of a billion among zeros: cut off as it is encoded, it leaves hardly any deviation."""
    rows = tiny_examples["train"]
    amounts = [{"amount": 10**9 if place == 60 else 0} for place in range(len(rows))]
    put_features("train", [{**row, "attributes": json.dumps(own)} for row, own in zip(rows, amounts, strict=True)])
    data = load_tiny()
    place = [number.name for number in data.attributes.numbers].index("amount")
    assert data.train.numbers[:, place].std() < 0.5
    finding = numbers_are_standardised(data)
    assert finding.passed, finding.detail


def test_a_constant_number_is_told_and_no_fault(data: TrainingData) -> None:
    finding = numbers_are_standardised(with_numbers(data, 0, 0.0))
    assert finding.passed
    assert finding.figures["constant"] == 1


def test_a_number_that_moved_between_the_periods_is_a_remark(data: TrainingData) -> None:
    finding = numbers_are_standardised(with_numbers(data, 0, 2.5, split="validation"))
    assert finding.passed
    assert "same in both periods" in finding.advice


def test_an_attribute_that_a_later_split_lacks_is_named(
    load_tiny: Load, tiny_examples: dict[str, list[dict[str, Any]]], put_features: Put
) -> None:
    assert attributes_are_there(load_tiny()).passed
    without = [{**row, "attributes": json.dumps({"amount": 3})} for row in tiny_examples["validation"]]
    put_features("validation", without)
    finding = attributes_are_there(load_tiny())
    assert not finding.passed
    assert "city (in training, not later)" in finding.detail


def test_an_attribute_of_new_values_is_a_remark(
    load_tiny: Load, tiny_examples: dict[str, list[dict[str, Any]]], put_features: Put
) -> None:
    rows = tiny_examples["validation"]
    put_features("validation", [{**row, "attributes": json.dumps({"city": row["ticket_id"]})} for row in rows])
    finding = attributes_are_there(load_tiny())
    assert "city (100%)" in finding.detail
    assert finding.advice


def test_an_attribute_that_is_the_answer_is_named(
    load_tiny: Load, tiny_examples: dict[str, list[dict[str, Any]]], put_features: Put
) -> None:
    assert no_attribute_is_the_answer(load_tiny()).passed
    for split in ("train", "validation"):
        leaking = [
            {**row, "attributes": json.dumps({"city": f"queue {row['contact_type']}"})} for row in tiny_examples[split]
        ]
        put_features(split, leaking)
    finding = no_attribute_is_the_answer(load_tiny())
    assert not finding.passed
    assert "city" in finding.detail
    assert "never_inputs" in finding.advice
    assert finding.figures["told"] == pytest.approx(1.0)


def test_a_number_that_is_the_answer_is_named(data: TrainingData) -> None:
    for split in ("train", "validation"):
        data = with_numbers(data, 0, getattr(data, split).node / 3.0, split=split)
    assert not no_attribute_is_the_answer(data).passed


def test_an_attribute_that_tells_the_upper_level_is_a_remark(
    load_tiny: Load, tiny_examples: dict[str, list[dict[str, Any]]], put_features: Put
) -> None:
    above = {"refund": "payments", "invoice": "payments"}
    for split in ("train", "validation"):
        rows = tiny_examples[split]
        put_features(
            split,
            [{**row, "attributes": json.dumps({"city": above.get(row["contact_type"], "delivery")})} for row in rows],
        )
    finding = no_attribute_is_the_answer(load_tiny())
    assert finding.passed
    assert finding.figures["upper_level_told"] == pytest.approx(1.0)
    assert "never_inputs" in finding.advice


def test_texts_that_are_empty_unknown_or_too_long_are_told(data: TrainingData, tiny_config: TrainConfig) -> None:
    assert texts_are_read(data, tiny_config).verdict == "passed"
    half = len(data.train) // 2
    for text, failed, said in (
        (" ", True, "empty"),
        ("xyzzy " * 5, True, "unknown"),
        ("order " * 40, False, "max_tokens"),
    ):
        texts = [text] * half + data.train.rows["text"].to_pylist()[half:]
        place = data.train.rows.schema.get_field_index("text")
        rows = data.train.rows.set_column(place, "text", pa.array(texts))
        finding = texts_are_read(
            dataclasses.replace(data, train=dataclasses.replace(data.train, rows=rows)), tiny_config
        )
        assert finding.passed is not failed
        assert finding.advice
        assert said in finding.detail + finding.advice


def test_a_ticket_in_two_splits_is_noticed(data: TrainingData) -> None:
    assert splits_are_apart(data).figures["twice"] == 0
    mixed = dataclasses.replace(data, validation=data.train.take(np.arange(5)))
    finding = splits_are_apart(mixed)
    assert not finding.passed
    assert finding.figures == {"twice": 5.0, "repeated": 1.0}


def test_a_long_list_is_cut_and_an_empty_one_is_not_told() -> None:
    assert listed("Off", []) == ""
    assert listed("Off", ["a", "b"]) == " Off: a, b."
    assert listed("Off", list("abcdefg")) == " Off: a, b, c, d, e and 2 more."
