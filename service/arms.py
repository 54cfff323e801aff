"""Which part of the traffic a ticket falls into: champion, canary or holdout; and whether a shadow is asked as well.

Drawn from the ticket's id, so a ticket that is asked about again stays where it is, on every replica.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tickets.records import Arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Shares of tickets, 0 to 1. The holdout is drawn first; the canary has its share of the others."""

    holdout: float = 0.0
    canary: float = 0.0
    shadow: float = 0.0

    def arm(self, ticket_id: str) -> Arm:
        if self.holdout and _draw("holdout", ticket_id) < self.holdout:
            return "holdout"
        return "canary" if self.canary and _draw("canary", ticket_id) < self.canary else "champion"

    def shadowed(self, ticket_id: str) -> bool:
        """Whether the challenger is asked about a ticket that the champion answers."""
        return bool(self.shadow) and _draw("shadow", ticket_id) < self.shadow


def _draw(purpose: str, ticket_id: str) -> float:
    """A number from 0 to 1, evenly distributed over ids, unrelated between purposes."""
    digest = hashlib.blake2b(f"{purpose}\0{ticket_id}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
