"""How much of a template's text an agent changed before sending it: 0 for none, 1 for all of it.

Levenshtein's distance on characters between the filled template and the reply, over the length of the template's own
text. What an agent writes where a placeholder was left open is no change: there, any text fits for free that does not
go past the end of a sentence or line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from service.console.replies import PLACEHOLDER

MOST_CHARACTERS = 8_000  # of either text; the time goes with the product of both lengths
_SENTENCE_END = re.compile(r"[.!?](?= )|(?<=\n)")
_SPACES = re.compile(r"[ \t\r\f\v]+")


def edit_distance(filled: str, reply: str) -> float:
    """The share of the template's text that was changed, 0 to 1, to four digits. `filled` may hold open placeholders;
    spaces and line ends are compared as one reads them."""
    wanted, read = _as_read(filled), _as_read(reply)[:MOST_CHARACTERS]
    given = np.array([ord(letter) for letter in read])
    fixed, row, at = 0, np.arange(len(given) + 1), 0
    # Places that no free run goes past: after a sentence's last word, and where a line begins.
    ends = [found.start() + bool(found.group()) for found in _SENTENCE_END.finditer(read)]
    while at < len(wanted):
        if (open_here := PLACEHOLDER.match(wanted, at)) is not None:
            row, at = _anything_in_a_sentence(row, ends), open_here.end()
            continue
        row, at, fixed = _one_more(row, given == ord(wanted[at])), at + 1, fixed + 1
        if fixed > MOST_CHARACTERS:
            break
    return round(min(1.0, float(row[-1]) / max(1, fixed)), 4)


def _one_more(row: np.ndarray, same: np.ndarray) -> np.ndarray:
    """The next row of Levenshtein's table: (letters of the reply + 1,). Insertions are a running minimum along it."""
    straight = np.concatenate([[row[0] + 1], np.minimum(row[1:] + 1, row[:-1] + ~same)])
    places = np.arange(len(row))
    return np.minimum.accumulate(straight - places) + places


def _anything_in_a_sentence(row: np.ndarray, ends: Sequence[int]) -> np.ndarray:
    """The row after an open placeholder: each place may be reached for free from any earlier one of its sentence."""
    return np.concatenate([np.minimum.accumulate(part) for part in np.split(row, ends)])


def _as_read(text: str) -> str:
    return "\n".join(_SPACES.sub(" ", line).strip() for line in text.replace("\r\n", "\n").split("\n")).strip()
