"""What a climb of the ladder found, as records: no torch, so that whoever shows it loads fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.evaluate import Figures
from models.intervals import Share, share_of

Reads = Literal["nothing", "text", "text, attributes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RungResult:
    """A rung on the judged split. `figures` maps validation, test, cost -> figure -> value, `correct` (n,) tells for
    each ticket that ends in a leaf whether the first answer was right. `problem` says why a rung has neither."""

    name: str
    title: str
    reads: Reads
    figures: Figures = field(default_factory=dict)
    correct: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    problem: str = ""
    note: str = ""
    readable: str = ""

    @property
    def accuracy(self) -> Share:
        return share_of(int(self.correct.sum()), len(self.correct))

    @property
    def right(self) -> float:
        """The share of first answers that were right; 0 for a rung that failed."""
        return self.accuracy.value or 0.0

    def cost(self, name: str) -> float:
        """`train_seconds`, `ms_per_ticket` or `megabytes`."""
        return self.figures["cost"][name]


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderRun:
    """One climb: the rungs in order, the split they are judged on, and what they learned from."""

    rungs: tuple[RungResult, ...]
    split: str
    tickets: Mapping[str, int]  # of each split
    data_hash: str
    settings: Mapping[str, object]
    machine: str
    made_at: str

    @property
    def measured(self) -> tuple[RungResult, ...]:
        return tuple(rung for rung in self.rungs if not rung.problem)
