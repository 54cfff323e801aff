"""What a model reads of a cleaned ticket. Pure, and the same in the batch and in the service."""

from __future__ import annotations

import re

from pipeline.text.redact import MASKS
from tickets.records import Ticket

_MASK = re.compile("|".join(re.escape(name) for name in MASKS))
_BYTES = bytes(range(256))
_NO_LETTER = bytes(byte for byte in _BYTES if not (byte < 128 and chr(byte).isalpha()))
_NO_CAPITAL = bytes(byte for byte in _BYTES if not (byte < 128 and chr(byte).isupper()))
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def model_text(ticket: Ticket) -> str:
    """The text the encoder reads: the subject, a line break, the body."""
    return f"{ticket.subject}\n{ticket.body}" if ticket.subject else ticket.body


def text_statistics(text: str) -> dict[str, float]:
    """Counts of words, characters, lines, question and exclamation marks and masked items, and the share of capitals
    among letters (0 to 1)."""
    own, masked = _MASK.subn(" ", text) if "<" in text else (text, 0)  # a mask is no shouting
    letters, capitals = _letters(own)
    return {
        "words": float(len(text.split())),
        "characters": float(len(text)),
        "lines": float(text.count("\n") + 1) if text else 0.0,
        "question_marks": float(text.count("?")),
        "exclamation_marks": float(text.count("!")),
        "masked": float(masked),
        "capitals": capitals / letters if letters else 0.0,
    }


def _letters(text: str) -> tuple[int, int]:
    """How many letters, and how many capitals. Bytes are counted in C, a letter at a time only beyond ASCII."""
    plain = text.encode("ascii", "ignore")
    letters, capitals = len(plain.translate(None, _NO_LETTER)), len(plain.translate(None, _NO_CAPITAL))
    if len(plain) != len(text):
        beyond = "".join(_BEYOND_ASCII.findall(text))
        letters += sum(map(str.isalpha, beyond))
        capitals += sum(map(str.isupper, beyond))
    return letters, capitals
