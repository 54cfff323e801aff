"""Agreement: published examples come out as published, and what cannot be known is not said."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from monitoring.agreement import Coefficient, agreement

# Krippendorff 2011: four observers, twelve units, some missing; nominal alpha 0.743.
OBSERVERS = {
    "a": "1 2 3 3 2 1 4 1 2 . . .",
    "b": "1 2 3 3 2 2 4 1 2 5 . 3",
    "c": ". 3 3 3 2 3 4 2 2 5 1 .",
    "d": "1 2 3 3 2 4 4 1 2 5 1 .",
}


def test_krippendorffs_own_example() -> None:
    units = [
        {name: said.split()[unit] for name, said in OBSERVERS.items() if said.split()[unit] != "."}
        for unit in range(12)
    ]
    found = agreement(units)
    assert value(found.alpha) == pytest.approx(0.743, abs=0.0005)
    assert found.raw is not None
    assert found.raw.items == 11  # the twelfth has one label


def test_kappa_is_scikit_learns_and_the_textbooks() -> None:
    from sklearn.metrics import cohen_kappa_score

    first = ["yes"] * 25 + ["no"] * 25  # Cohen's grant proposals: 20, 5, 10, 15
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert value(agreement(pairs(first, second)).kappa) == pytest.approx(0.4)
    rng = np.random.default_rng(3)
    one, other = (rng.choice(list("abcde"), 200).tolist() for _ in range(2))
    other = [a if rng.random() < 0.6 else b for a, b in zip(one, other, strict=True)]
    found = agreement(pairs(one, other)).kappa
    assert value(found) == pytest.approx(cohen_kappa_score(one, other))
    assert found is not None
    assert found.low < found.value < found.high


def test_kappa_of_several_labelers_is_that_of_their_pairs_weighed_by_the_tickets_they_share() -> None:
    agreed, chance = [{"a": name, "b": name} for name in "xy" * 10], [{"b": b, "c": c} for b in "xy" for c in "xy"]
    assert value(agreement(agreed + 10 * chance).kappa) == pytest.approx(20 / 60)


def test_pairs_that_share_too_few_tickets_have_no_say_in_kappa() -> None:
    """Of such pairs only those that differ have a kappa, and it is 0."""
    of_their_own = [
        {f"one {number}": "xy"[number % 2], f"other {number}": "xyz"[number % 2 if number < 36 else 2]}
        for number in range(40)
    ]
    found = agreement(of_their_own)
    assert (value(found.raw), found.kappa) == (0.9, None)
    assert value(found.alpha) == pytest.approx(0.8, abs=0.1)
    same = [{"ann": "x", "bob": "x"}] * 12
    assert agreement([*same, {"ann": "x", "cat": "y"}]).kappa is None
    over_two_types = [{"ann": name, "bob": name} for name in "xy" * 6]
    assert agreement([*over_two_types, {"ann": "x", "bob": "x", "cat": "y"}, {"ann": "x", "cat": "y"}]).kappa == (
        Coefficient(1.0, 1.0, 1.0, items=13)
    )


def test_a_pair_that_always_says_one_type_leaves_kappa_and_its_tickets_to_the_others() -> None:
    same, others = [{"ann": "x", "bob": "x"}] * 30, [{"bob": b, "cat": c} for b in "xy" for c in "xy"] * 5
    found = agreement([*same, *others])
    assert found.kappa is not None
    assert (found.kappa.value, found.kappa.items) == (0.0, 20)
    assert found.raw is not None
    assert found.raw.items == 50


def test_the_interval_holds_the_truth() -> None:
    """Two people who each err in a tenth of the labels, 200 tickets: the interval of alpha holds its long-run value
    about as often as it says. They agree by 0.9 squared beyond chance."""
    rng = np.random.default_rng(5)

    def draw() -> list[dict[str, str]]:
        truth = rng.integers(6, size=200)
        said = (np.where(rng.random(200) < 0.1, rng.integers(6, size=200), truth).astype(str) for _ in range(2))
        return pairs(*said)

    found = [agreement(draw(), seed=number).alpha for number in range(40)]
    held = [each is not None and each.low <= 0.81 <= each.high for each in found]
    assert sum(held) >= 34


def test_what_cannot_be_known_is_none() -> None:
    assert agreement([]).raw is None
    assert agreement([{"a": "x"}] * 30).raw is None
    same = agreement([{"a": "x", "b": "x"}] * 30)
    assert (same.raw and same.raw.value, same.kappa, same.alpha) == (1.0, None, None)
    few = agreement([{"a": "x", "b": "y"}] * 3)
    assert few.raw is not None
    assert few.alpha is None


def pairs(first: Iterable[str], second: Iterable[str]) -> list[dict[str, str]]:
    """What two people said of the same tickets."""
    return [{"first": one, "second": other} for one, other in zip(first, second, strict=True)]


def value(found: Coefficient | None) -> float | None:
    return None if found is None else found.value
