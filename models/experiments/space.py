"""What `triage tune` searches: every knob with its range. A knob of TrainConfig joins the search by a line here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tickets.errors import InputError

if TYPE_CHECKING:
    from optuna.trial import Trial

EXACT = "exact"  # the trial's attribute: which of its knobs were given, not drawn
_DIGITS = 3  # that are kept of a number that was drawn, so that knobs can be read and written down


@dataclass(frozen=True, slots=True)
class Real:
    """A number from `low` to `high`; with `log`, equal ratios are equally likely."""

    low: float
    high: float
    log: bool = False

    def suggest(self, trial: Trial, name: str) -> float:
        value = trial.suggest_float(name, self.low, self.high, log=self.log)
        if name in trial.user_attrs.get(EXACT, ()):
            return value
        return min(max(_rounded(value), self.low), self.high)

    def holds(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int

    def suggest(self, trial: Trial, name: str) -> int:
        return trial.suggest_int(name, self.low, self.high)

    def holds(self, value: Any) -> bool:
        return isinstance(value, int) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values that have no order, or one that is not that of numbers."""

    values: tuple[Any, ...]

    def suggest(self, trial: Trial, name: str) -> Any:
        return trial.suggest_categorical(name, self.values)

    def holds(self, value: Any) -> bool:
        return value in self.values


Range = Real | Whole | Choice
Space = Mapping[str, Range]

# Ranges for encoders of MiniLM's size, which have six layers. `triage tune --knob NAME` searches some of them alone.
SPACE: Space = {
    "learning_rate": Real(2e-5, 1e-3, log=True),
    "head_learning_rate": Real(3e-4, 1e-2, log=True),
    "layer_decay": Real(0.6, 1.0),
    "warmup": Real(0.0, 0.3),
    "weight_decay": Real(1e-4, 0.1, log=True),
    "label_smoothing": Real(0.0, 0.2),
    "batch_size": Choice((16, 32, 64)),
    "trainable_layers": Choice((1, 2, 3, 4, 6, None)),
    "epochs": Whole(2, 8),
    "attribute_dropout": Real(0.0, 0.3),
    "node_dropout": Real(0.0, 0.3),
    "contrastive_weight": Real(0.0, 0.5),
    "ranker_weight": Real(0.1, 1.0),
    "hard_negatives": Whole(0, 3),
}


def part_of(space: Space, names: Sequence[str]) -> Space:
    """The knobs named, all when none is. Raises InputError for a name that is not searched."""
    for name in names:
        if name not in space:
            raise InputError(f"the knob {name!r} is not in the search space.", hint=f"Knobs: {', '.join(space)}.")
    return {name: space[name] for name in space if not names or name in names}


def suggest(space: Space, trial: Trial) -> dict[str, Any]:
    """One value a knob, drawn by the trial's sampler unless it was given."""
    return {name: within.suggest(trial, name) for name, within in space.items()}


def _rounded(value: float) -> float:
    return 0.0 if value == 0 else round(value, _DIGITS - 1 - math.floor(math.log10(abs(value))))
