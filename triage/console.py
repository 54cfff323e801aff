"""What the commands show at their end: tables of figures, and what follows from them."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.card_figures import COST, QUALITY
from models.ladder.budget import amount

if TYPE_CHECKING:
    from models.diagnosis.error_report import ErrorReport
    from models.experiments.study import StudyOutcome, TrialResult
    from models.train import ModelVersion
    from monitoring.night import NightReport
    from triage.doctor.check import Check
    from triage.loop import DemoSummary
    from triage.retrain import RetrainOutcome

_TRUSTED_TRIALS = 30
_WORST_TYPES = 8
_COLOURS: Mapping[str, str] = {"ok": "green", "warning": "yellow", "wrong": "red"}


def show_metrics(trained: ModelVersion) -> None:
    """The model beside the baselines, on each split."""
    console = Console(highlight=False)
    console.print(escape(f"\nModel {trained.version} in {trained.folder}"))
    names = list(trained.metrics)
    for split in ("validation", "test", "cost"):
        figures = {name: trained.metrics[name].get(split, {}) for name in names}
        if any(figures.values()):
            console.print(_figures(split, names, figures))


def _figures(title: str, names: Sequence[str], figures: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for key, words in (QUALITY | COST).items():
        values = [figures[name].get(key) for name in names]
        if any(value is not None for value in values):
            table.add_row(words, *("" if value is None else amount(value) for value in values))
    return table


def show_study(outcome: StudyOutcome, preset: str, file: Path) -> None:
    """The best knobs and what each mattered, what a trial cost, and how to train with them."""
    console = Console(highlight=False)
    trials, best = outcome.trials, outcome.best
    table = Table(title=f"Best of {len(trials)} trials: trial {best.number}", title_justify="left")
    for heading in ("knob", "best", "importance"):
        table.add_column(heading, justify="left" if heading == "knob" else "right")
    shares = outcome.importance
    for name in sorted(best.knobs, key=lambda name: -shares.get(name, 0.0)):
        table.add_row(name, f"{best.knobs[name]}", f"{shares[name]:.2f}" if name in shares else "")
    console.print(table)
    finished = [trial for trial in trials if trial.status == "finished"]
    beside = "" if outcome.unsearched is None else f"; the settings it began with {outcome.unsearched:.4f}"
    console.print(f"Validation {outcome.objective}  {best.value:.4f}{beside}")
    console.print(f"Trials  {len(finished)} finished, {_count(trials, 'pruned')}, {_count(trials, 'failed')}")
    seconds = sorted(trial.seconds for trial in trials)
    console.print(f"Cost  {seconds[len(seconds) // 2]:.0f} s a trial, {sum(seconds) / 60:.1f} minutes in all")
    if not shares:
        console.print("Importance is told from four finished trials on.")
    elif len(finished) < _TRUSTED_TRIALS:
        console.print(f"Importance from {len(finished)} finished trials is a hint; {_TRUSTED_TRIALS} say more.")
    for trial in trials:
        if trial.status == "failed":
            console.print(escape(f"Trial {trial.number} failed: {trial.reason}"))
    command = f"triage train --preset {preset} --knobs {shlex.quote(str(file))}"
    console.print(escape(f"\nTrain with them:\n  {command}"), soft_wrap=True)


def _count(trials: Sequence[TrialResult], status: str) -> str:
    return f"{sum(trial.status == status for trial in trials)} {status}"


def show_errors(found: ErrorReport, files: Sequence[Path]) -> None:
    """The gist of an error report, and where to read the rest."""
    console = Console(highlight=False)
    console.print(escape(f"\nModel {found.version}, {found.tickets:,} {found.split} tickets: {found.right} right"))
    for level in found.levels:
        console.print(escape(f"Level {level.level}  {level.errors:,} errors begin here; right {level.right}"))
    table = Table(title="Contact types that cost most", title_justify="left")
    for heading in ("contact type", "tickets", "missed", "recall", "most often taken for"):
        table.add_column(heading, justify="right" if heading in ("tickets", "missed") else "left")
    for row in found.types[:_WORST_TYPES]:
        mine, other = (found.paths.get(name or "", name or "") for name in (row.contact_type, row.taken_for))
        cells = (mine, f"{row.tickets}", f"{row.missed}", f"{row.recall}", other)
        table.add_row(*map(escape, cells))
    console.print(table)
    worse = [one for one in found.slices if one.worse]
    for one in worse:
        console.print(escape(f"Worse than the rest  {one.title}: {one.error} wrong, the rest {one.rest}"))
    if not worse:
        console.print(f"No slice of {len(found.slices)} is surely worse than the rest.")
    for labels in found.labels:
        known = f"{len(labels.suspects):,} of {labels.tickets:,}"
        console.print(f"Suspect labels, {labels.split}  {known}")
    for file in files:
        console.print(escape(f"  {file}"), soft_wrap=True)


def show_night(night: NightReport) -> None:
    """Each detector's word, and what follows from it."""
    console = Console(highlight=False)
    table = Table(title=f"Monitoring of {night.run.as_of}: {night.run.status}", title_justify="left")
    for heading in ("detector", "statistic", "limit", "p", "status"):
        table.add_column(heading, justify="left" if heading in ("detector", "status") else "right")
    for result in night.results:
        numbers = (
            f"{value:.3g}" if value is not None else "" for value in (result.statistic, result.limit, result.p_value)
        )
        table.add_row(result.detector, *numbers, result.status)
    console.print(table)
    for alarm in night.alarms:
        console.print(escape(f"{alarm.severity}: {alarm.message}"))
    verdict = "retrain" if night.decision.retrain else "no retraining"
    console.print(escape(f"{verdict}: {'; '.join(night.decision.reasons) or 'no reason to'}"))


def show_gate(outcome: RetrainOutcome) -> None:
    """Who met, the gate's word and its reasons."""
    console = Console(highlight=False)
    met = f"Challenger {outcome.challenger.version} against champion {outcome.champion}"
    console.print(f"{met}: {outcome.gate.verdict}")
    for reason in outcome.gate.reasons:
        console.print(escape(f"  {reason}"))


def show_checks(checks: Sequence[Check]) -> None:
    """A line a check, and under those that are not well what mends them."""
    console = Console(highlight=False)
    width = max(len(check.name) for check in checks)
    for check in checks:
        state = f"[{_COLOURS[check.state]}]{check.state:<7}[/]"
        console.print(f"{state}  {check.name:<{width}}  {escape(check.found)}", soft_wrap=True)
        if check.mend:
            console.print(escape(f"{'':<9}{'':<{width}}  mend: {check.mend}"), soft_wrap=True)
    counts = Counter(check.state for check in checks)
    console.print(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['wrong']} wrong")


def show_summary(summary: DemoSummary) -> None:
    """What happened in the demonstration, in one table, and where to look at it."""
    console = Console(highlight=False)
    table = Table(title="What happened", title_justify="left", show_lines=False)
    for heading in ("period", "tickets", "right at once", "right among 3", "template among 3", "accepted"):
        table.add_column(heading, justify="left" if heading == "period" else "right")
    for period in summary.periods:
        shares = (period.top_1, period.top_3, period.template_top_3, period.accepted)
        table.add_row(period.name, f"{period.tickets:,}", *(f"{share:.1%}" for share in shares))
    console.print(table)
    for name, value in summary.figures.items():
        console.print(escape(f"{name:<28}{value}"))
    console.print("\nLook at it yourself:")
    for line in summary.addresses:
        console.print(escape(f"  {line}"))
