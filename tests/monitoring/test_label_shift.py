"""The label mix now: found where types read as they did, unknown where they do not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from monitoring.detectors.balance import Signs
from monitoring.detectors.label_shift import label_shift, mix_weights

TYPES = ["refund", "invoice", "login", "damage"]
EVEN = [0.25, 0.25, 0.25, 0.25]
SKEWED = [0.55, 0.15, 0.15, 0.15]


def drawn(
    rng: np.random.Generator, count: int, mix: list[float], *, accuracy: float = 0.8
) -> tuple[list[str], list[str]]:
    """True types of a mix, and what a model that is right so often predicts."""
    true = rng.choice(len(TYPES), count, p=mix)
    wrong = (true + rng.integers(1, len(TYPES), count)) % len(TYPES)
    said = np.where(rng.random(count) < accuracy, true, wrong)
    return [TYPES[row] for row in true], [TYPES[row] for row in said]


def test_the_true_mix_is_found_behind_what_the_model_confuses() -> None:
    rng = np.random.default_rng(1)
    truth, before = drawn(rng, 4000, EVEN, accuracy=0.6)
    _, now = drawn(rng, 4000, SKEWED, accuracy=0.6)
    assert now.count("refund") / 4000 < 0.45  # what the predictions alone say
    result = label_shift(before, now, truth=truth)
    assert result.details["mix"]["refund"] == pytest.approx(0.55, abs=0.05)
    assert result.statistic == pytest.approx(0.30, abs=0.05)
    low, high = result.details["grew"][0]["change"]
    assert low < 0.30 < high
    assert [row["name"] for row in result.details["grew"]] == ["refund"]
    assert {row["name"] for row in result.details["shrank"]} == {"invoice", "login", "damage"}


@pytest.mark.parametrize(
    ("types", "rarer", "accuracy", "tickets"),
    [(40, 0.0, 0.8, (2000, 500)), (40, 1.0, 0.8, (2000, 500)), (12, 0.7, 0.6, (1000, 200)), (6, 0.7, 0.8, (300, 60))],
    ids=["as frequent each", "rare ones among them", "a poor model and a small window", "a few small types"],
)
def test_of_types_that_stayed_as_they_were_hardly_a_night_names_one(
    types: int, rarer: float, accuracy: float, tickets: tuple[int, int]
) -> None:
    rng = np.random.default_rng(2)
    mix = 1 / (1 + np.arange(types)) ** rarer

    def window(count: int) -> tuple[list[str], list[str]]:
        true = rng.choice(types, count, p=mix / mix.sum())
        said = np.where(rng.random(count) < accuracy, true, (true + rng.integers(1, types, count)) % types)
        return [f"type {row}" for row in true], [f"type {row}" for row in said]

    named = 0
    for _ in range(20):
        truth, before = window(tickets[0])
        details = label_shift(before, window(tickets[1])[1], truth=truth).details
        named += bool([*details.get("grew", ()), *details.get("shrank", ())])
    assert named <= 3  # one night in twenty: more than three has a chance of one in sixty


def test_all_types_that_surely_grew_or_shrank_are_named_the_largest_change_first() -> None:
    before = [f"type {row:02}" for row in range(14) for _ in range(300)]
    now = [f"type {row:02}" for row in range(14) for _ in range(500 + 10 * row if row < 7 else 30)]
    details = label_shift(before, now, truth=before).details
    assert [row["name"] for row in details["grew"]] == [f"type {row:02}" for row in reversed(range(7))]
    assert {row["name"] for row in details["shrank"]} == {f"type {row:02}" for row in range(7, 14)}


def test_a_model_that_cannot_tell_types_apart_makes_it_unknown() -> None:
    rng = np.random.default_rng(3)
    truth, before = drawn(rng, 1000, EVEN, accuracy=0.25)
    result = label_shift(before, before, truth=truth)
    assert result.status == "unknown"
    assert "confuses" in result.details["why"]


def test_a_type_that_is_never_predicted_makes_it_unknown_and_its_details_are_json() -> None:
    rng = np.random.default_rng(6)
    truth, before = drawn(rng, 1000, EVEN)
    said = ["invoice" if kind == "refund" else kind for kind in before]
    result = label_shift(said, said, truth=truth)
    assert result.status == "unknown"
    json.dumps(dict(result.details), allow_nan=False)


def test_a_type_the_reference_never_has_is_not_taken_for_the_last_of_the_alphabet() -> None:
    rng = np.random.default_rng(7)
    truth, before = drawn(rng, 1000, EVEN)
    shrunk = [kind for place, kind in enumerate(truth) if kind != "damage" or place % 5]
    said = [kind for place, kind in enumerate(before) if truth[place] != "damage" or place % 5]
    _, now = drawn(rng, 1000, EVEN)
    result = label_shift(said, [*now, *["brand new"] * 300], truth=shrunk)
    assert "refund" not in {row["name"] for row in result.details.get("grew", ())}
    assert "login" not in {row["name"] for row in result.details.get("grew", ())}


def test_types_that_read_otherwise_make_it_unknown() -> None:
    rng = np.random.default_rng(4)
    truth, before = drawn(rng, 1000, EVEN)
    _, now = drawn(rng, 1000, SKEWED)
    sure = {kind: place / 4 for place, kind in enumerate(TYPES)}
    noise = rng.normal(0, 0.1, (2, 1000))

    def signs(moved: float) -> Signs:
        values = [np.array([sure[kind] for kind in said]) + noise[row] for row, said in enumerate((before, now))]
        return Signs(("confidence",), values[0][:, None], values[1][:, None] + moved)

    assert label_shift(before, now, truth=truth, signs=signs(0.0)).status == "ok"  # the mix explains the difference
    other = label_shift(before, now, truth=truth, signs=signs(0.4))
    assert other.status == "unknown"
    assert "confidence" in other.details["why"]


def test_reference_tickets_without_a_true_type_have_no_weight() -> None:
    rng = np.random.default_rng(5)
    truth, before = drawn(rng, 400, EVEN)
    some = [kind if row % 2 else None for row, kind in enumerate(truth)]
    weights = mix_weights(before, before, truth=some)
    assert set(weights[::2]) == {0.0}
    assert weights[1::2].mean() == pytest.approx(1.0, abs=0.1)


def test_rare_types_are_counted_together() -> None:
    rng = np.random.default_rng(6)
    truth, before = drawn(rng, 300, EVEN)
    rare = [f"rare {row}" for row in range(30)]
    result = label_shift([*before, *rare], [*before, *rare, "never seen"], truth=[*truth, *rare])
    assert result.details["mix"]["(rare types)"] == pytest.approx(0.1, abs=0.05)
