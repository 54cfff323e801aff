"""Agreement: published examples come out as published, and what cannot be known is not said."""

from __future__ import annotations

import numpy as np
import pytest

from monitoring.agreement import agreement, cohen_kappa, krippendorff_alpha, mean_kappa

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
    assert krippendorff_alpha(units) == pytest.approx(0.743, abs=0.0005)


def test_kappa_is_scikit_learns_and_the_textbooks() -> None:
    from sklearn.metrics import cohen_kappa_score

    first = ["yes"] * 25 + ["no"] * 25  # Cohen's grant proposals: 20, 5, 10, 15
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)
    rng = np.random.default_rng(3)
    one, other = (rng.choice(list("abcde"), 200).tolist() for _ in range(2))
    other = [a if rng.random() < 0.6 else b for a, b in zip(one, other, strict=True)]
    assert cohen_kappa(one, other) == pytest.approx(cohen_kappa_score(one, other))
    pairs = [{"p": a, "q": b} for a, b in zip(one, other, strict=True)]
    assert mean_kappa(pairs) == pytest.approx(cohen_kappa_score(one, other))


def test_the_interval_holds_the_truth() -> None:
    """Two people who each err in a tenth of the labels, 200 tickets: the interval of alpha holds its long-run value
    about as often as it says."""
    rng = np.random.default_rng(5)

    def draw(items: int) -> list[dict[str, str]]:
        truth = rng.integers(6, size=items)
        said = [np.where(rng.random(items) < 0.1, rng.integers(6, size=items), truth) for _ in range(2)]
        return [{"p": str(a), "q": str(b)} for a, b in zip(*said, strict=True)]

    long_run = krippendorff_alpha(draw(40_000))
    assert long_run is not None
    found = [agreement(draw(200), seed=number).alpha for number in range(40)]
    held = [each is not None and each.low <= long_run <= each.high for each in found]
    assert sum(held) >= 34


def test_what_cannot_be_known_is_none() -> None:
    assert agreement([]).raw is None
    assert agreement([{"a": "x"}] * 30).items == 0
    same = agreement([{"a": "x", "b": "x"}] * 30)
    assert (same.raw and same.raw.value, same.kappa, same.alpha) == (1.0, None, None)
    few = agreement([{"a": "x", "b": "y"}] * 3)
    assert few.raw is not None
    assert few.alpha is None
    assert cohen_kappa([], []) is None
