"""What a model reads of a cleaned ticket. Pure, and the same in the batch and in the service."""

from __future__ import annotations

import re

from pipeline.redact import MASKS
from tickets.records import Ticket

_MASK = re.compile("|".join(re.escape(name) for name in MASKS))


def model_text(ticket: Ticket) -> str:
    """The text the encoder reads: the subject, a line break, the body."""
    return f"{ticket.subject}\n{ticket.body}" if ticket.subject else ticket.body


def text_statistics(text: str) -> dict[str, float]:
    """Counts of words, characters, lines, question and exclamation marks and masked items, and the share of capitals
    among letters (0 to 1)."""
    own = _MASK.sub(" ", text)  # a mask is no shouting
    letters = sum(map(str.isalpha, own))
    return {
        "words": float(len(text.split())),
        "characters": float(len(text)),
        "lines": float(text.count("\n") + 1) if text else 0.0,
        "question_marks": float(text.count("?")),
        "exclamation_marks": float(text.count("!")),
        "masked": float(len(_MASK.findall(text))),
        "capitals": sum(map(str.isupper, own)) / letters if letters else 0.0,
    }
