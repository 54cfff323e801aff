"""What a challenger must not lose, however well it does on average: a large contact type, the rare ones together, the
right type among three, the template that was sent, the honesty of its probabilities.

Each guard needs two things to refuse: a loss that is large enough to matter and one that chance hardly gives. Their
tests are not corrected for their number: a guard may be too careful, it may not be asleep (docs/decisions.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from models.confidence.reliability import expected_calibration_error

_RESAMPLES = 400
_SEED = 0

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """When a challenger passes. A loss is a share (0 to 1) that it may not lose; 1 switches its guard off."""

    confidence: float = 0.95  # of the win, one-sided, and of each loss
    least_tickets: int = 100  # in the window
    large_type: int = 30  # tickets that make a contact type large
    type_loss: float = 0.05  # accuracy on a large contact type
    hits_loss: float = 0.02  # share of tickets with the right type among three
    template_loss: float = 0.03  # mean reciprocal rank of the template that was sent
    calibration_loss: float = 0.05  # growth of the expected calibration error


class Answers(Protocol):
    """One model's answers on n tickets of the window, as models.evaluate.score_release gives them."""

    @property
    def ticket_ids(self) -> Sequence[str]: ...
    @property
    def truth(self) -> Sequence[str]: ...  # the true contact type of each ticket
    @property
    def ranks(self) -> NDArray[np.int64]: ...  # (n,) place of the true type, 1 is first
    @property
    def probability(self) -> NDArray[np.float32]: ...  # (n,) of the first type
    @property
    def template_found(self) -> Doubles: ...  # (n,) 1 / rank of the template that was sent; nan where none was


@dataclass(frozen=True, slots=True)
class Finding:
    """What a guard measured, and a sentence for each loss that it refuses."""

    figures: Mapping[str, Any] = field(default_factory=dict)
    losses: tuple[str, ...] = ()


Guard = Callable[[Answers, Answers, GatePolicy], Finding]  # champion, challenger


def mcnemar(*, better: NDArray[np.bool_], worse: NDArray[np.bool_]) -> float:
    """One-sided exact p-value that `better` is right more often (McNemar 1947); 1 when they never disagree."""
    wins, losses = int(np.sum(better & ~worse)), int(np.sum(worse & ~better))
    return float(binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue) if wins + losses else 1.0


def contact_types(champion: Answers, challenger: Answers, policy: GatePolicy) -> Finding:
    """Each large contact type by itself, the worst first."""
    types = np.array(champion.truth, dtype=object)
    lost = []
    for name, tickets in Counter(champion.truth).items():
        if tickets >= policy.large_type and (loss := _loss(champion, challenger, types == name, policy)):
            lost.append({"contact_type": name, **loss})
    lost.sort(key=lambda row: row["challenger_accuracy"] - row["champion_accuracy"])
    return Finding({"lost_types": lost}, tuple(_told(row["contact_type"], row) for row in lost))


def rare_contact_types(champion: Answers, challenger: Answers, policy: GatePolicy) -> Finding:
    """All contact types that are not large, as if they were one: each is too small to judge, and together they may be a
    third of the tickets."""
    counts = Counter(champion.truth)
    rare = np.array([counts[name] < policy.large_type for name in champion.truth], dtype=np.bool_)
    figures: dict[str, Any] = {"rare_tickets": int(rare.sum())}
    if rare.sum() < policy.large_type:
        return Finding(figures)
    loss = _loss(champion, challenger, rare, policy)
    figures["lost_rare"] = loss
    return Finding(figures, (_told("the rare contact types together", loss),) if loss else ())


def hits_at_3(champion: Answers, challenger: Answers, policy: GatePolicy) -> Finding:
    """The right contact type among the three that are shown."""
    before, now = (answers.ranks <= 3 for answers in (champion, challenger))
    figures = {"champion_hits@3": float(before.mean()), "challenger_hits@3": float(now.mean())}
    lost = before.mean() - now.mean() >= policy.hits_loss and mcnemar(better=before, worse=now) <= 1 - policy.confidence
    scores = f"{now.mean():.1%} against {before.mean():.1%}"
    return Finding(figures, (f"the right type is among three less often: {scores}.",) if lost else ())


def templates(champion: Answers, challenger: Answers, policy: GatePolicy) -> Finding:
    """The place of the template that an agent sent, by its mean reciprocal rank and a paired bootstrap."""
    sent = ~np.isnan(champion.template_found) & ~np.isnan(challenger.template_found)
    if not sent.any():
        return Finding({"template_tickets": 0})
    before, now = champion.template_found[sent], challenger.template_found[sent]
    figures = {
        "template_tickets": int(sent.sum()),
        "champion_template_mrr": float(before.mean()),
        "challenger_template_mrr": float(now.mean()),
    }
    loss = before - now
    lost = loss.mean() >= policy.template_loss and _surely_above_zero(
        lambda rows: float(loss[rows].mean()), len(loss), policy
    )
    scores = f"{now.mean():.3f} against {before.mean():.3f}"
    return Finding(figures, (f"the template that was sent stands lower: reciprocal rank {scores}.",) if lost else ())


def calibration(champion: Answers, challenger: Answers, policy: GatePolicy) -> Finding:
    """How far probabilities are from what they promise (expected calibration error), by a paired bootstrap."""

    def error(answers: Answers, rows: NDArray[np.int64] | slice) -> float:
        return expected_calibration_error(answers.probability[rows], answers.ranks[rows] == 1)

    before, now = error(champion, slice(None)), error(challenger, slice(None))
    figures = {"champion_ece": before, "challenger_ece": now}
    lost = now - before >= policy.calibration_loss and _surely_above_zero(
        lambda rows: error(challenger, rows) - error(champion, rows), len(champion.ranks), policy
    )
    return Finding(
        figures, (f"its probabilities are less honest: off by {now:.3f} against {before:.3f}.",) if lost else ()
    )


GUARDS: Sequence[Guard] = (contact_types, rare_contact_types, hits_at_3, templates, calibration)


def _loss(champion: Answers, challenger: Answers, rows: NDArray[np.bool_], policy: GatePolicy) -> dict[str, Any] | None:
    """The figures of a loss of accuracy on these rows; None when it is small or chance could give it."""
    before, now = (answers.ranks[rows] == 1 for answers in (champion, challenger))
    p_value = mcnemar(better=before, worse=now)
    if before.mean() - now.mean() < policy.type_loss or p_value > 1 - policy.confidence:
        return None
    return {
        "tickets": int(rows.sum()),
        "champion_accuracy": float(before.mean()),
        "challenger_accuracy": float(now.mean()),
        "p_value": p_value,
    }


def _told(where: str, loss: Mapping[str, Any]) -> str:
    scores = f"{loss['challenger_accuracy']:.1%} against {loss['champion_accuracy']:.1%}"
    return f"it loses on {where}: {scores} of {loss['tickets']} tickets."


def _surely_above_zero(statistic: Callable[[NDArray[np.int64]], float], count: int, policy: GatePolicy) -> bool:
    """Whether the lower end of the one-sided bootstrap interval of a statistic of rows is above 0."""
    random = np.random.default_rng(_SEED)
    drawn = [statistic(random.integers(count, size=count)) for _ in range(_RESAMPLES)]
    return float(np.percentile(drawn, 100 * (1 - policy.confidence))) > 0
