"""A replay on the terminal: its table, and where the picture is."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from triage.replay.record import ReplayResult
from triage.replay.report import HEADINGS, table


def show_replay(result: ReplayResult, page: Path) -> None:
    """A row a policy, and where the page is."""
    console = Console(highlight=False)
    tickets = result.policies[0].tickets if result.policies else 0
    shown = Table(title=f"{result.history}, {tickets:,} tickets lived through again", title_justify="left")
    for column, heading in enumerate(HEADINGS):
        shown.add_column(heading, justify="right" if column else "left")
    for row in table(result):
        shown.add_row(*map(escape, row))
    console.print(shown)
    console.print(escape(f"Table and picture: {page}"), soft_wrap=True)
