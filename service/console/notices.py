"""What the page says of the step before: feedback kept, with the way to take it back; feedback taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from service.serving import Serving
from tickets.label_answers import UNDO_WITHIN
from tickets.ticket_queue import stands

_WORDS = {
    "accepted": "Feedback kept: accepted.",
    "corrected": "Feedback kept: corrected.",
    "ignored": "Feedback kept: ignored.",
    "undone": "Feedback taken back. The ticket waits again.",
}


@dataclass(frozen=True)
class Notice:
    """Read from the address: `done` is what was done, `undo` the id of the feedback that was kept."""

    done: Annotated[str, Query(max_length=20)] = ""
    undo: Annotated[str, Query(max_length=200, pattern=r"^[0-9a-f-]*$")] = ""

    def carried(self) -> dict[str, str]:
        return {"done": self.done, "undo": self.undo}

    def shown(self, held: Serving) -> dict[str, str] | None:
        """The words, and the feedback that can still be taken back; None when there is nothing to say."""
        words = _WORDS.get(self.done)
        if words is None:
            return None
        since = held.options.clock() - UNDO_WITHIN
        return {"words": words, "undo": self.undo if self.undo and stands(held.engine, self.undo, since=since) else ""}
