"""Tables in Markdown, and texts that Markdown shows as they are: for the model card and the error report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")  # what Markdown would read


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, a row a line, without a line end after the last. Cells are written as they are given."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [headings, ["---"] * len(headings), *rows])


def plain(text: str) -> str:
    """The text in one line that Markdown shows as it is, in a table too."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
