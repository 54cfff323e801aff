"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, a row a line; empty without rows."""
    lines = [_line(row) for row in rows]
    return "\n".join([_line(heads), "|" + "---|" * len(heads), *lines]) if lines else ""


def code(text: str) -> str:
    """A code span; nothing for nothing."""
    return f"`{text}`" if text else ""


def joined(parts: Iterable[str]) -> str:
    """Paragraphs, tables and headings with an empty line between them; empty ones are left out."""
    return "\n\n".join(part.strip() for part in parts if part and part.strip())


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"
