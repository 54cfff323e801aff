"""The gate: a challenger replaces the champion only when it wins with confidence on a later window and loses nothing
that the guards watch.

Both models answer the same tickets, so everything is paired: a ticket that both get right or both get wrong says
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models.comparison import difference
from monitoring.guards import GUARDS, Answers, Finding, GatePolicy, mcnemar

__all__ = ["Answers", "GatePolicy", "GateResult", "compare"]


@dataclass(frozen=True, slots=True)
class GateResult:
    """Whether to promote, why or why not in sentences, and the figures behind it."""

    promote: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        return "promoted" if self.promote else "rejected"

    @property
    def judged(self) -> bool:
        """Whether there were tickets enough to tell the two apart."""
        return "difference" in self.figures


def compare(champion: Answers, challenger: Answers, policy: GatePolicy | None = None) -> GateResult:
    """Two models on the same n later tickets.

    The win is tested with McNemar's exact test; the interval of the difference comes from a paired bootstrap. Raises
    ValueError when the two did not answer the same tickets in the same order.
    """
    policy = policy or GatePolicy()
    if list(champion.ticket_ids) != list(challenger.ticket_ids):
        raise ValueError("champion and challenger answered different tickets, so they cannot be compared in pairs.")
    tickets = len(champion.ticket_ids)
    figures: dict[str, Any] = {"tickets": tickets, "confidence": policy.confidence}
    if tickets < max(policy.least_tickets, 1):
        reason = f"the window has {tickets} labelled tickets; {policy.least_tickets} are needed to tell."
        return GateResult(False, (reason,), figures)
    win = _win(champion, challenger, policy)
    guarded = [guard(champion, challenger, policy) for guard in GUARDS]
    for found in (win, *guarded):
        figures |= found.figures
    reasons = [sentence for found in (win, *guarded) for sentence in found.losses]
    if reasons:
        return GateResult(False, tuple(reasons), figures)
    won = f"the challenger wins (p = {figures['p_value']:.2g}) and loses on no large contact type: {_scores(figures)}."
    return GateResult(True, (won,), figures)


def _win(champion: Answers, challenger: Answers, policy: GatePolicy) -> Finding:
    """The figures of the comparison; a sentence when the challenger does not win for sure."""
    before, now = champion.ranks == 1, challenger.ranks == 1
    gap = difference(now, before, confidence=policy.confidence)
    p_value = mcnemar(better=now, worse=before)
    figures = {
        "tickets": len(before),
        "champion_accuracy": float(before.mean()),
        "challenger_accuracy": float(now.mean()),
        "difference": gap.value,
        "difference_low": gap.low,
        "difference_high": gap.high,
        "p_value": p_value,
    }
    if gap.value <= 0:
        return Finding(figures, (f"the challenger does not win: {_scores(figures)}.",))
    if p_value > 1 - policy.confidence:
        told = f"the challenger wins, and chance could do that too (p = {p_value:.2g}): {_scores(figures)}."
        return Finding(figures, (told,))
    return Finding(figures)


def _scores(figures: Mapping[str, Any]) -> str:
    scores = f"{figures['challenger_accuracy']:.1%} against {figures['champion_accuracy']:.1%}"
    return f"{scores} right on {figures['tickets']} tickets"
