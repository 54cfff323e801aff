"""The gate: a challenger replaces the champion only when it wins with confidence on a later window and on no large
contact type loses.

Both models answer the same tickets, so everything is paired: a ticket that both get right or both get wrong says
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from models.comparison import difference


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """When a challenger passes."""

    confidence: float = 0.95  # of the win, one-sided
    least_tickets: int = 100  # in the window
    large_type: int = 30  # tickets that make a contact type large
    type_loss: float = 0.05  # share of a large type's tickets that the challenger may lose


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether to promote, why or why not in sentences, and the figures behind it."""

    promote: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Any]


class Answers(Protocol):
    """One model's answers on the window, as models.evaluate.score_release gives them."""

    @property
    def ticket_ids(self) -> Sequence[str]: ...
    @property
    def truth(self) -> Sequence[str]: ...  # the true contact type of each ticket
    @property
    def correct(self) -> NDArray[np.bool_]: ...  # (n,) whether the first one suggested was it


def compare(champion: Answers, challenger: Answers, policy: GatePolicy | None = None) -> GateResult:
    """Two models on the same n later tickets.

    The win is tested with McNemar's exact test; the interval of the difference comes from a paired bootstrap. Raises
    ValueError when the two did not answer the same tickets in the same order.
    """
    policy = policy or GatePolicy()
    if list(champion.ticket_ids) != list(challenger.ticket_ids):
        raise ValueError("champion and challenger answered different tickets, so they cannot be compared in pairs.")
    return compare_answers(champion.truth, champion.correct, challenger.correct, policy)


def compare_answers(
    contact_types: Sequence[str], champion: NDArray[np.bool_], challenger: NDArray[np.bool_], policy: GatePolicy
) -> GateResult:
    """True contact types of n tickets, and whether each model was right, (n,) bool each."""
    figures: dict[str, Any] = {"tickets": len(champion), "confidence": policy.confidence}
    if len(champion) < policy.least_tickets:
        reason = f"the window has {len(champion)} labelled tickets; {policy.least_tickets} are needed to tell."
        return GateResult(False, (reason,), figures)
    gap = difference(challenger, champion, confidence=policy.confidence)
    p_value = _mcnemar(better=challenger, worse=champion)
    losses = _type_losses(contact_types, champion, challenger, policy)
    figures |= {
        "champion_accuracy": float(champion.mean()),
        "challenger_accuracy": float(challenger.mean()),
        "difference": gap.value,
        "difference_low": gap.low,
        "difference_high": gap.high,
        "p_value": p_value,
        "lost_types": losses,
    }
    reasons = [_lost(loss) for loss in losses]
    scores = f"{figures['challenger_accuracy']:.1%} against {figures['champion_accuracy']:.1%}"
    told = f"{scores} right on {len(champion)} tickets"
    if figures["difference"] <= 0:
        reasons.insert(0, f"the challenger does not win: {told}.")
    elif p_value > 1 - policy.confidence:
        reasons.insert(0, f"the challenger wins, and chance could do that too (p = {p_value:.2g}): {told}.")
    if reasons:
        return GateResult(False, tuple(reasons), figures)
    won = f"the challenger wins (p = {p_value:.2g}) and loses on no large contact type: {told}."
    return GateResult(True, (won,), figures)


def _mcnemar(*, better: NDArray[np.bool_], worse: NDArray[np.bool_]) -> float:
    """One-sided exact p-value that `better` is right more often; 1 when they never disagree."""
    wins, losses = int(np.sum(better & ~worse)), int(np.sum(worse & ~better))
    return float(binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue) if wins + losses else 1.0


def _type_losses(
    contact_types: Sequence[str], champion: NDArray[np.bool_], challenger: NDArray[np.bool_], policy: GatePolicy
) -> list[dict[str, Any]]:
    """Large contact types on which the challenger is worse by more than chance explains, the worst first.

    The test of each type is not corrected for their number: a guard may be too careful, it may not be asleep.
    """
    types = np.array(contact_types, dtype=object)
    losses = []
    for name, tickets in Counter(contact_types).items():
        if tickets < policy.large_type:
            continue
        rows = types == name
        loss = float(champion[rows].mean() - challenger[rows].mean())
        p_value = _mcnemar(better=champion[rows], worse=challenger[rows])
        if loss >= policy.type_loss and p_value <= 1 - policy.confidence:
            losses.append(
                {
                    "contact_type": name,
                    "tickets": tickets,
                    "champion_accuracy": float(champion[rows].mean()),
                    "challenger_accuracy": float(challenger[rows].mean()),
                    "p_value": p_value,
                }
            )
    return sorted(losses, key=lambda row: row["challenger_accuracy"] - row["champion_accuracy"])


def _lost(loss: Mapping[str, Any]) -> str:
    scores = f"{loss['challenger_accuracy']:.1%} against {loss['champion_accuracy']:.1%}"
    return f"it loses on {loss['contact_type']}: {scores} of {loss['tickets']} tickets."
