"""What a release keeps to make the served graph's outputs honest, and how it is applied.

In this order, each step in models/confidence/: a welcome for contact types without training tickets, a temperature a
tree level, votes of the nearest training tickets, a bend of the first probability. What follows from honest
probabilities: bands, abstaining, answer sets, the out-of-scope score. models/confidence/fitting.py finds all of it on
validation tickets. Pure numpy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.confidence.answer_sets import AnswerSets
from models.confidence.limits import TypeLimits
from models.confidence.newcomers import silent_leaves, welcomed
from models.confidence.reliability import Bend, bent
from models.confidence.scope import ScopeWeights
from models.confidence.votes import Votes, with_votes
from models.tree_index import TreeIndex, path_probabilities
from tickets.records import Band

_ROWS = 1024  # tickets at a time: sibling groups are padded to the largest, which multiplies their memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What the limits are set for, as shares of tickets.

    Tickets whose band is high are right at least `high` of the time; medium likewise. A ticket is abstained on when
    its likes are right less than `abstain` of the time. `in_scope` of the validation tickets count as in scope. The
    answer set holds the right contact type `coverage` of the time.
    """

    high: float = 0.9
    medium: float = 0.7
    abstain: float = 0.25
    in_scope: float = 0.99
    coverage: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Turns raw outputs into what an agent reads. `high` and `medium` are the limits of contact types that have none of
    their own in `type_limits`. The defaults are those of releases of format 1: temperatures alone.
    """

    temperatures: tuple[float, ...]  # top level first
    high: float
    medium: float
    abstain_below: float
    scope_center: float
    scope_scale: float
    welcome: Mapping[str, float] = field(default_factory=dict)  # node without training tickets -> added to its logit
    votes: Votes = field(default_factory=Votes)
    bend: Bend = field(default_factory=Bend)
    scope: ScopeWeights = field(default_factory=ScopeWeights)
    sets: AnswerSets | None = None
    type_limits: TypeLimits = field(default_factory=dict)

    def band(self, probability: float, contact_type: str) -> Band:
        """By the contact type's own limits where it has some."""
        high, medium = self.type_limits.get(contact_type, (self.high, self.medium))
        if probability >= high:
            return "high"
        return "medium" if probability >= medium else "low"

    def out_of_scope(self, strangeness: NDArray[np.float64]) -> NDArray[np.float32]:
        """(n,) what `scope` makes of a ticket's signs -> scores 0 to 1; above scope.LIMIT is out of scope."""
        steepness = np.clip((strangeness - self.scope_center) / self.scope_scale, -30.0, 30.0)
        scores: NDArray[np.float32] = (1.0 / (1.0 + np.exp(-steepness))).astype(np.float32)
        return scores


def leaf_probabilities(
    index: TreeIndex,
    node_logits: NDArray[np.float32],
    columns: NDArray[np.int64],
    cosines: NDArray[np.float32],
    calibration: Calibration,
) -> NDArray[np.float64]:
    """(n, L) calibrated, rows sum to one, from logits (n, N) and each ticket's nearest training tickets, both (n, k):
    their leaf columns, -1 for none, and cosines."""
    leaves = np.zeros((len(node_logits), len(index.leaves)))
    heard = welcomed(index, node_logits, calibration.welcome)
    silent = silent_leaves(index, calibration.welcome)
    for start in range(0, len(node_logits), _ROWS):
        part = slice(start, start + _ROWS)
        plain = path_probabilities(index, heard[part], calibration.temperatures)[:, index.leaves]
        mixed = with_votes(plain.astype(np.float64), columns[part], cosines[part], calibration.votes, silent=silent)
        leaves[part] = bent(mixed, calibration.bend)
    return leaves


def calibration_from_json(data: Mapping[str, Any]) -> Calibration:
    """Read `dataclasses.asdict(calibration)`, of this format or of format 1. Raises KeyError, TypeError or ValueError
    when it is something else."""
    plain = Calibration(
        temperatures=_numbers(data["temperatures"]),
        high=float(data["high"]),
        medium=float(data["medium"]),
        abstain_below=float(data["abstain_below"]),
        scope_center=float(data["scope_center"]),
        scope_scale=float(data["scope_scale"]),
    )
    if "votes" not in data:
        return plain
    sets = data["sets"]
    return dataclasses.replace(
        plain,
        welcome={name: float(given) for name, given in dict(data["welcome"]).items()},
        votes=Votes(**data["votes"]),
        bend=Bend(knots=_numbers(data["bend"]["knots"]), added=_numbers(data["bend"]["added"])),
        scope=ScopeWeights(**data["scope"]),
        sets=sets and AnswerSets(**{**sets, "edges": _numbers(sets["edges"]), "enough": _numbers(sets["enough"])}),
        type_limits={name: (float(high), float(medium)) for name, (high, medium) in dict(data["type_limits"]).items()},
    )


def _numbers(values: Any) -> tuple[float, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError(f"{values!r} is no list of numbers")
    return tuple(float(value) for value in values)
