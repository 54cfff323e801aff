"""The reference pages there are, and which of those on disk no longer say what the code says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tickets.workspace import write_text
from triage.reference import commands, http, metrics, settings, tables

COMMAND = "python -m triage.reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands.as_markdown,
    "settings.md": settings.as_markdown,
    "http.md": http.as_markdown,
    "tables.md": tables.as_markdown,
    "metrics.md": metrics.as_markdown,
}
_MADE = f"<!-- Made by `{COMMAND}` from the code. What it says is changed there. -->\n"


def page(name: str) -> str:
    """The whole text of one page."""
    return f"{_MADE}\n{PAGES[name]().strip()}\n"


def write(folder: Path) -> list[Path]:
    """Write every page into the folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / name for name in PAGES]
    for path in written:
        write_text(path, page(path.name))
    return written
