"""What gate and probation let pass and stop, on drawn answers: `python bench/gate.py` -> bench/out/gate.json.

A challenger that is better everywhere should pass, one that lost a large contact type should not. A champion as good as
the one before should survive its two weeks, one whose acceptance fell should go soon.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# As a script this folder comes first, and its pipeline.py would hide the package of that name.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

from bench_record import record

from monitoring.gate import compare
from monitoring.probation import ProbationPolicy, is_worse
from monitoring.probation import compare as compare_periods

_REPEATS = 200
_SHARED = 0.6  # of tickets are as hard for one model as for the other
_JUDGED_A_DAY = 50


@dataclass(frozen=True)
class Drawn:
    """One model's answers: right or fourth, as sure as it is right, no templates."""

    ticket_ids: list[str]
    truth: list[str]
    correct: NDArray[np.bool_]

    @property
    def ranks(self) -> NDArray[np.int64]:
        return np.where(self.correct, 1, 4).astype(np.int64)

    @property
    def probability(self) -> NDArray[np.float32]:
        return np.full(len(self.truth), self.correct.mean(), np.float32)

    @property
    def template_found(self) -> NDArray[np.float64]:
        return np.full(len(self.truth), np.nan)


def pairs(types: int, tickets: int, *, gain: float, lost: float) -> Iterator[tuple[Drawn, Drawn]]:
    """Champions right on 75 % and challengers better by `gain`, but for one contact type on which they lose `lost`."""
    truth = [f"type {number}" for number in range(types) for _ in range(tickets)]
    ids = [str(number) for number in range(len(truth))]
    accuracy = np.full((types, 1), 0.75 + gain)
    if lost:
        accuracy[0] = 0.75 - lost
    for seed in range(_REPEATS):
        rng = np.random.default_rng(seed)
        hard, other = rng.random((2, types, tickets))
        own = np.where(rng.random((types, tickets)) < _SHARED, hard, other)
        yield Drawn(ids, truth, (hard < 0.75).ravel()), Drawn(ids, truth, (own < accuracy).ravel())


def nights_to_rollback(fall: float, *, seed: int) -> int | None:
    """The night on which a champion goes whose acceptance is lower by `fall` in every contact type; None for never."""
    policy, rng = ProbationPolicy(), np.random.default_rng(seed)
    shares, easy = rng.dirichlet(np.full(8, 3.0)), rng.uniform(0.6, 0.95, 8)

    def judged(tickets: int, less: float) -> list[tuple[str, bool]]:
        drawn = rng.choice(8, tickets, p=shares)
        return [(f"type {one}", bool(rng.random() < easy[one] - less)) for one in drawn]

    before, now = judged(_JUDGED_A_DAY * policy.days, 0.0), list[tuple[str, bool]]()
    for night in range(1, policy.days + 1):
        now += judged(_JUDGED_A_DAY, fall)
        if is_worse(compare_periods(now, before), policy):
            return night
    return None


def main() -> None:
    started, figures = time.monotonic(), dict[str, float]()
    for types, tickets in ((10, 100), (50, 40)):
        for name, gain, lost in (("better", 0.05, 0.0), ("lost_25_points", 0.05, 0.25), ("lost_40_points", 0.05, 0.4)):
            passed = sum(compare(*pair).promote for pair in pairs(types, tickets, gain=gain, lost=lost))
            figures[f"passed_{types}_types_{name}"] = passed / _REPEATS
    for fall in (0.0, 0.05, 0.1, 0.2):
        nights = [nights_to_rollback(fall, seed=seed) for seed in range(_REPEATS)]
        gone = sorted(night for night in nights if night is not None)
        name = f"fall_{round(100 * fall)}_points"
        figures[f"{name}_rolled_back"] = len(gone) / _REPEATS
        if gone:
            figures[f"{name}_median_night"] = float(gone[len(gone) // 2])
    record("gate", figures, seconds=time.monotonic() - started)


if __name__ == "__main__":
    main()
