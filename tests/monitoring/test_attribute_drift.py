"""Attributes one by one: what vanishes, goes missing, mixes kinds, or has values that are rare, each alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from monitoring.detectors import attributes
from tests.monitoring.test_detectors import ticket_attributes
from tickets.monitor_log import DetectorResult
from tickets.records import AttributeValue


def test_a_trifle_that_is_very_sure_hides_no_large_change() -> None:
    before = [{"weight": float(n), "city": "Porto" if n % 500 == 0 else "Faro"} for n in range(10_000)]
    now = [{"weight": 0.94 * n, "city": "Porto" if n % 20 == 0 else "Faro"} for n in range(10_000)]
    moved = {row["name"]: row for row in attributes.attribute_drift(before, now).details["moved"]}
    assert moved["city"]["effect"] > 2 * moved["weight"]["effect"]
    assert next(iter(moved)) == "city"


def test_an_attribute_that_is_null_everywhere_is_left_out() -> None:
    rng = np.random.default_rng(6)
    before = [{**row, "tenure": None} for row in ticket_attributes(rng, 200)]
    now = [{**row, "tenure": None} for row in ticket_attributes(rng, 200)]
    result = attributes.attribute_drift(before, now)
    assert result.status == "ok"
    assert "tenure" not in str(result.details["moved"])


@pytest.mark.parametrize("name", ["city", "amount", "vip"])
def test_an_attribute_that_vanishes_is_the_largest_change(name: str) -> None:
    rng = np.random.default_rng(6)
    now = [{key: value for key, value in row.items() if key != name} for row in ticket_attributes(rng, 200)]
    result = attributes.attribute_drift(ticket_attributes(rng, 200), now)
    assert result.details["vanished"] == [name]
    assert result.details["moved"][0]["attribute"] == name
    assert result.statistic is not None and result.statistic > 0.6
    assert result.p_value is not None and result.p_value < 1e-6


def test_a_number_whose_feed_turns_to_nan_vanishes() -> None:
    rng = np.random.default_rng(6)
    now = [{**row, "amount": float("nan")} for row in ticket_attributes(rng, 200)]
    result = attributes.attribute_drift(ticket_attributes(rng, 200), now)
    assert result.details["vanished"] == ["amount"]
    assert result.details["moved"][0]["name"] == "amount present"


def test_a_text_attribute_that_vanishes_keeps_its_name_whatever_it_ends_with() -> None:
    before = [{"gift present": "yes" if n % 3 else "no"} for n in range(200)]
    result = attributes.attribute_drift(before, [{}] * 200)
    assert result.details["vanished"] == ["gift present"]
    assert result.details["moved"][0]["attribute"] == "gift present"


def test_all_attributes_that_vanish_together_are_a_change() -> None:
    result = attributes.attribute_drift(ticket_attributes(np.random.default_rng(6), 200), [{}] * 200)
    assert result.details["vanished"] == ["amount", "city", "vip"]
    assert result.p_value is not None and result.p_value < 1e-6


def test_an_attribute_that_hardly_any_ticket_had_does_not_vanish_but_by_chance() -> None:
    rng = np.random.default_rng(6)
    before = [{**row, "coupon": "yes"} if at < 3 else row for at, row in enumerate(ticket_attributes(rng, 300))]
    result = attributes.attribute_drift(before, ticket_attributes(rng, 200))
    assert result.details["vanished"] == []
    assert result.p_value is not None and result.p_value > 0.001


def test_without_any_attribute_the_answer_is_unknown() -> None:
    assert attributes.attribute_drift([{}] * 100, [{}] * 100).status == "unknown"


def test_a_number_that_goes_missing_more_often_is_drift() -> None:
    before = [{"amount": float(n % 17)} for n in range(200)]
    now = [{"amount": float(n % 17) if n % 2 else None} for n in range(200)]
    result = attributes.attribute_drift(before, now)
    assert result.p_value is not None
    assert result.p_value < 1e-6
    assert result.details["moved"][0]["name"] == "amount present"


def test_text_and_numbers_mixed_in_one_attribute_do_not_crash() -> None:
    mixed = [{"code": value} for value in ("12", 12.0, None, True, float("nan"), "x")] * 30
    assert attributes.attribute_drift(mixed, mixed).status == "ok"


def drawn(rng: np.random.Generator, count: int, kinds: Sequence[str]) -> list[Mapping[str, AttributeValue]]:
    return [{"sku": str(kind)} for kind in rng.choice(kinds, count)]


OLD, OTHER = [f"old {n}" for n in range(900)], [f"other {n}" for n in range(400)]


def moved_first(result: DetectorResult) -> tuple[str, float]:
    """What moved, and how far, where it surely did."""
    assert result.statistic is not None and result.p_value is not None
    assert result.p_value < 1e-6
    moved = result.details["moved"][0]
    return moved["name"], moved["current"] - moved["reference"]


def test_rare_values_that_are_all_replaced_are_drift() -> None:
    rng = np.random.default_rng(6)
    before = drawn(rng, 1000, OLD)
    result = attributes.attribute_drift(before, drawn(rng, 500, OTHER))
    name, more = moved_first(result)
    assert name == "sku new values"
    assert more > 0.4
    some_missing: list[Mapping[str, AttributeValue]] = [{"sku": None}] * 100
    assert moved_first(attributes.attribute_drift(before + some_missing, drawn(rng, 500, OTHER) + some_missing))
    one_common = drawn(rng, 200, ["none"])  # it can be tested, and says nothing about all the others
    result = attributes.attribute_drift(before + one_common, drawn(rng, 500, OTHER) + one_common[:100])
    assert moved_first(result)[0] == "sku new values"


def test_a_number_that_comes_as_text_is_drift() -> None:
    rng = np.random.default_rng(6)
    before = [{"amount": float(value)} for value in rng.gamma(2, 10, 400)]
    result = attributes.attribute_drift(before, [{"amount": str(row["amount"] + 1)} for row in before])
    assert moved_first(result) == ("amount is a number", -1.0)
    assert result.statistic is not None and result.statistic > 0.9


def test_values_of_which_none_comes_twice_are_named_and_not_tested() -> None:
    rng = np.random.default_rng(6)
    before = [{**row, "order": f"a{n}"} for n, row in enumerate(ticket_attributes(rng, 300))]
    now = [{**row, "order": f"b{n}"} for n, row in enumerate(ticket_attributes(rng, 200))]
    result = attributes.attribute_drift(before, now)
    assert result.details["too_rare"] == ["order"]
    assert "order" not in {row["attribute"] for row in result.details["moved"]}
    only = attributes.attribute_drift(
        [{"order": row["order"]} for row in before], [{"order": "c"}, {"order": "d"}] * 50
    )
    assert only.details["too_rare"] == [] and only.status == "ok"  # two values that come often can be told
    alone = attributes.attribute_drift(
        [{"order": row["order"]} for row in before], [{"order": row["order"]} for row in now]
    )
    assert (alone.status, alone.details["too_rare"]) == ("unknown", ["order"])


def test_rare_values_of_one_population_are_called_new_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(7)
    p_values = [
        attributes.attribute_drift(drawn(rng, 800, OLD), drawn(rng, 400, OLD), seed=night).p_value
        for night in range(300)
    ]
    assert np.mean([p_value is not None and p_value <= 0.05 for p_value in p_values]) <= 0.08
    assert None not in p_values
