"""The ladder on the terminal: its table, its notes, what to take, where the page and the picture are."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.ladder.budget import Recommendation
from models.ladder.record import LadderRun
from models.ladder.saved import HEADINGS, notes, table


def show_ladder(run: LadderRun, recommendation: Recommendation, page: Path) -> None:
    """A row a rung, what is to be said of them, the advice, and where the page is."""
    console = Console(highlight=False)
    counts = ", ".join(f"{split} {count:,}" for split, count in run.tickets.items())
    shown = Table(title=f"The ladder, judged on {run.split} ({counts})", title_justify="left")
    for column, heading in enumerate(HEADINGS):
        shown.add_column(heading, justify="right" if column > 1 else "left")
    for row in table(run):
        shown.add_row(*map(escape, row))
    console.print(shown)
    for line in (*notes(run), "", *recommendation.lines):
        console.print(escape(line))
    console.print(escape(f"\nTable and picture: {page}"), soft_wrap=True)
