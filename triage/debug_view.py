"""What `triage debug` shows: what to mend, where errors come from, how much history is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from models.diagnosis.bias_variance import Decomposition
    from models.diagnosis.diagnose import Diagnosis
    from models.diagnosis.learning_curve import LearningCurve


def show_diagnosis(found: Diagnosis) -> None:
    """Advice for what failed, remarks, the two tables with their words, and where all of it is kept."""
    console = Console(highlight=False)
    for finding in found.findings:
        if finding.advice:
            colour = "yellow" if finding.passed else "red"
            console.print(f"[{colour}]{finding.verdict}[/{colour}]  {escape(f'{finding.check}: {finding.advice}')}")
    if found.findings and found.passed:
        console.print(f"All {len(found.findings)} checks passed.")
    if found.decomposition is not None:
        _show_decomposition(console, found.decomposition)
    if found.curve is not None:
        _show_curve(console, found.curve)
    for path in found.files:
        console.print(escape(f"Written: {path}"))


def _show_decomposition(console: Console, found: Decomposition) -> None:
    table = Table(title=escape(f"Where errors come from: {found.judged}"), title_justify="left")
    for heading in ("wrong on", "error", "95 %", "tickets", "of it", "points", "95 % "):
        table.add_column(heading, justify="left" if heading in ("wrong on", "of it") else "right")
    for level, gap in zip(found.levels, found.gaps, strict=True):
        low, high = level.interval
        table.add_row(
            level.name,
            f"{level.error:.1%}",
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{level.tickets:,}",
            gap.cause,
            f"{100 * gap.size:+.1f}",
            f"{100 * gap.low:.1f} to {100 * gap.high:.1f}",
        )
    console.print(table)
    for level in found.levels:
        if level.how:
            console.print(escape(f"{level.name}: {level.how}"))
    for line in found.advice:
        console.print(escape(line))


def _show_curve(console: Console, curve: LearningCurve) -> None:
    from models.diagnosis.curve_text import curve_text

    table = Table(title=escape(f"How much history is needed: {curve.learner}"), title_justify="left")
    for heading in ("tickets", "wrong, any age", "wrong, the newest", "by the curve", "95 %"):
        table.add_column(heading, justify="right")
    newest = curve.mean_errors("newest")
    for size, error in curve.mean_errors("random").items():
        table.add_row(f"{size:,}", f"{error:.1%}", f"{newest[size]:.1%}", f"{curve.law.error_at(size):.1%}", "")
    for one in curve.forecasts:
        interval = f"{100 * one.low:.1f} to {100 * one.high:.1f}"
        table.add_row(f"{one.tickets:,}", "", "", f"{one.error:.1%}", interval)
    console.print(table)
    for line in curve_text(curve):
        console.print(escape(line))
