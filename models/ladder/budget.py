"""Which rung of the ladder to take for a given budget, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.comparison import Difference, difference
from models.ladder.record import RungResult
from tickets.errors import InputError

UNITS = {"train_seconds": "s to train", "ms_per_ticket": "ms a ticket", "megabytes": "MB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that a rung may cost; None is no limit. Raises InputError for a limit that nothing can keep."""

    train_seconds: float | None = None
    ms_per_ticket: float | None = None
    megabytes: float | None = None

    def __post_init__(self) -> None:
        for name, most in self.limits.items():
            if not 0 < most < math.inf:
                raise InputError(
                    f"a budget of {most} {UNITS[name]} was given; it must be a number above 0.",
                    hint="Give a number above 0, such as --budget-ms 5, or leave it out.",
                )

    @property
    def limits(self) -> dict[str, float]:
        """Those that were given."""
        given = {name: getattr(self, name) for name in UNITS}
        return {name: most for name, most in given.items() if most is not None}

    def __str__(self) -> str:
        return " and ".join(f"at most {amount(most)} {UNITS[name]}" for name, most in self.limits.items())

    def broken_by(self, rung: RungResult) -> list[str]:
        """The costs in which the rung is above its limit."""
        return [name for name, most in self.limits.items() if not rung.cost(name) <= most]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The rung to take, None where none fits, and why."""

    rung: str | None
    lines: tuple[str, ...]


def recommend(rungs: Sequence[RungResult], budget: Budget) -> Recommendation:
    """The rung that is right most often among those within the budget; what that gives up; what is as good for less.

    Two rungs count as different when the 95 % interval of their difference on the same tickets leaves out zero.
    """
    measured = [rung for rung in rungs if not rung.problem]
    if not measured:
        return Recommendation(None, ("No rung could be measured.",))
    within = [rung for rung in measured if not budget.broken_by(rung)]
    if not within:
        nearest = min(measured, key=lambda rung: _excess(rung, budget))
        return Recommendation(
            None, (f"No rung keeps to {budget}. The nearest is {nearest.title}: {costs(nearest, budget.limits)}.",)
        )
    chosen = max(within, key=_merit)
    asked = f"With {budget}" if budget.limits else "Without a limit"
    lines = [
        f"{asked}, take {chosen.title}: {_percent(chosen)} right; {costs(chosen)}.",
        _given_up(chosen, measured, budget),
    ]
    lines += [_as_good(chosen, other) for other in within if _is_as_good_for_less(chosen, other)]
    return Recommendation(chosen.name, tuple(line for line in lines if line))


def amount(value: float) -> str:
    """Three digits that count, one where it is tiny, whole numbers whole: 0.0005, 0.0123, 4.56, 1,234."""
    if abs(value) < 0.01:
        return f"{value:.1g}"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def costs(rung: RungResult, names: Iterable[str] = tuple(UNITS)) -> str:
    """`12.3 s to train, 4.56 ms a ticket, 23.4 MB`"""
    return ", ".join(f"{amount(rung.cost(name))} {UNITS[name]}" for name in names)


def _merit(rung: RungResult) -> tuple[float, float]:
    return rung.right, -rung.cost("ms_per_ticket")


def _excess(rung: RungResult, budget: Budget) -> float:
    return max(rung.cost(name) / most for name, most in budget.limits.items())


def _given_up(chosen: RungResult, measured: Sequence[RungResult], budget: Budget) -> str:
    best = max(measured, key=_merit)
    if best.right <= chosen.right:
        return "No rung of the ladder is right more often." if len(measured) > 1 else ""
    gap = difference(best.correct, chosen.correct)
    price = costs(best, budget.broken_by(best))
    if not gap.proven:
        return f"{best.title} ({price}) is not shown to be better: {_points(gap)}."
    return f"That gives up {_points(gap)} to {best.title}, which takes {price}."


def _is_as_good_for_less(chosen: RungResult, other: RungResult) -> bool:
    cheaper = any(other.cost(name) < chosen.cost(name) for name in UNITS)
    return other is not chosen and cheaper and not difference(chosen.correct, other.correct).proven


def _as_good(chosen: RungResult, other: RungResult) -> str:
    gap = difference(chosen.correct, other.correct)
    less = [name for name in UNITS if other.cost(name) < chosen.cost(name)]
    return f"{other.title} is not shown to be worse ({_points(gap)}) and takes only {costs(other, less)}."


def _percent(rung: RungResult) -> str:
    accuracy = rung.accuracy
    return f"{100 * rung.right:.1f} % ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})"


def _points(gap: Difference) -> str:
    return f"{100 * gap.value:.1f} points ({100 * gap.low:.1f} to {100 * gap.high:.1f})"
