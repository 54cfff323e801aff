"""A learning curve in words: what more history would bring, how far that can be trusted, what a target takes, and
whether old tickets help."""

from __future__ import annotations

import math

from models.diagnosis.learning_curve import FARTHEST, NEWEST, RANDOM, LearningCurve, Target

_FLAT = 0.01  # an error that ten times the history lowers by less is flat


def curve_text(curve: LearningCurve) -> list[str]:
    """One sentence a finding, most important first."""
    learned, error = list(curve.mean_errors(RANDOM).items())[-1]
    of_all = "" if learned == curve.history else f" of the {curve.history:,} there are"
    ahead = ", ".join(
        f"{one.times:g} times the history {1 - one.error:.1%} ({1 - one.high:.1%} to {1 - one.low:.1%})"
        for one in curve.forecasts
    )
    said = [
        f"Learning from {learned:,} tickets{of_all}, it is right on {1 - error:.1%} of the {curve.judged:,} judged.",
        f"By the curve, it would be with {ahead}.",
        f"Put to the test, the curve of the smaller sizes missed the largest {len(curve.backtest.sizes)} by "
        f"{100 * curve.backtest.miss:.1f} points; the intervals hold that miss.",
    ]
    if curve.law.error_at(curve.history) - curve.forecasts[-1].error < _FLAT:
        said.append("The curve is flat: more history of this kind will not help; labels, inputs or the model may.")
    if curve.target is not None:
        said.append(_on_target(curve, curve.target, error))
    return [*said, _on_age(curve)]


def _on_target(curve: LearningCurve, target: Target, error: float) -> str:
    wanted, history = f"{target.accuracy:.1%}", curve.history
    if 1 - error >= target.accuracy:
        return f"The target of {wanted} is reached already."
    if target.tickets is None:
        chance = f" {target.chance:.0%} of the curves drawn again reach it." if target.chance else ""
        end = 1 - curve.law.error_at(FARTHEST * history)
        return (
            f"The target of {wanted} is out of reach of history alone: the curve flattens before, at {end:.1%} with "
            f"{FARTHEST:g} times the history.{chance}"
        )
    high = f"{_rounded(target.high):,}" if target.high <= FARTHEST * history else "more than anyone can tell"
    takes = f"about {_rounded(target.tickets):,} tickets ({_rounded(target.low):,} to {high})"
    if target.tickets < history:
        return f"The target of {wanted} is reached within the history: by the curve it takes {takes} of {history:,}."
    return f"The target of {wanted} takes {takes}, {target.tickets / history:.1f} times the history."


def _on_age(curve: LearningCurve) -> str:
    """Whether recent tickets are worth more than old ones: alone against all, then the size in the middle both ways."""
    newest = list(curve.mean_errors(NEWEST).items())
    best, least = min(newest, key=lambda item: item[1])
    learned, whole = newest[-1]
    if whole - least > _noise(curve, whole):
        return (
            f"The newest {best:,} tickets alone are right on {1 - least:.1%}, all {learned:,} on {1 - whole:.1%}: old "
            f"history misleads. Compare with --max-train-tickets {best}, and retrain often."
        )
    size, error = newest[len(newest) // 2]
    gain = curve.mean_errors(RANDOM)[size] - error
    if abs(gain) < _noise(curve, error):
        return f"The newest {size:,} tickets teach about as much as {size:,} of any age."
    if gain < 0:
        return f"The newest {size:,} tickets teach less than {size:,} of any age: old history is worth keeping."
    equal = curve.law.tickets_for(error)
    worth = f"as much as about {_rounded(equal):,}" if equal <= FARTHEST * curve.history else "more than any number"
    return f"The newest {size:,} tickets teach {worth} of any age: old history is worth less, so retrain often."


def _noise(curve: LearningCurve, error: float) -> float:
    """A difference of two errors that chance can make: two standard deviations, a point at least."""
    return max(_FLAT, 2 * math.sqrt(max(error * (1 - error), 1e-4) / curve.judged))


def _rounded(tickets: float) -> int:
    """Two figures: more would pretend."""
    scale = int(10 ** max(0, math.floor(math.log10(max(tickets, 1.0))) - 1))
    return round(tickets / scale) * scale
