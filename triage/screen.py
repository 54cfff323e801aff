"""The terminal while a command runs: a line as each step ends, and under it what is at work, how far it is and how long
it will take. Where there is no terminal (a timer, a pipe), plain lines alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from tickets.progress import UnderWay, watched

_CHAPTER = r"(?<=  )\d\. [^.]+\."  # of the demonstration
_ALARM = r"(?<=    )(?:warning|critical):"
_LINE_EVERY = 10.0  # seconds between progress lines where there is no terminal to draw a bar on
_UNKNOWN = "at work"


class _Left(ProgressColumn):
    """How much is done and the time left: counted, or what it took last time; else how long it has taken so far."""

    def render(self, task: Task) -> Text:
        elapsed = task.elapsed or 0.0
        if task.total:
            left = task.time_remaining
            told = f"{task.completed:,.0f} of {task.total:,.0f}"
            return Text(told if left is None else f"{told}, {_clock(left)} left", style="dim")
        took: float | None = task.fields.get("took")
        left = None if took is None else took - elapsed
        return Text(_clock(elapsed) if left is None or left < 0 else f"about {_clock(left)} left", style="dim")


@dataclass
class Screen:
    """Shows steps and progress. `report` and `progress` are what the parts call; `under_way` is who watches."""

    console: Console
    bar: Progress = field(init=False)
    started: float = field(default_factory=time.monotonic)
    _task: TaskID | None = None
    _shown: UnderWay | None = None
    _whole: TaskID | None = None
    _last_line: float = 0.0
    _turn: threading.Lock = field(default_factory=threading.Lock)  # Spark's tasks are told from a thread of their own

    def __post_init__(self) -> None:
        drawn = (SpinnerColumn(), TextColumn("    {task.description}", markup=False), BarColumn(bar_width=24), _Left())
        self.bar = Progress(*drawn, console=self.console, transient=True, refresh_per_second=4)

    def report(self, line: str) -> None:
        """A line under the clock, as it is: names and words of tickets in it may look like markup."""
        minutes, seconds = divmod(int(time.monotonic() - self.started), 60)
        shown = Text.assemble((f"{minutes:2d}:{seconds:02d}", "dim"), "  ", line)
        shown.highlight_regex(_CHAPTER, "bold")
        shown.highlight_regex(_ALARM, "red")
        self.console.print(shown, soft_wrap=True)
        self._show(UnderWay(_UNKNOWN))

    def progress(self, step: int, total: int, loss: float) -> None:
        """Training is at `step` of `total` steps."""
        if self.console.is_terminal:
            self._show(UnderWay(f"training, loss {loss:.3f}", step, total))
        elif self._due() or step == total:
            self.report(f"training: step {step} of {total}, loss {loss:.3f}")

    def under_way(self, work: UnderWay) -> None:
        """Something else is at work; without a terminal only what is counted is told, now and then."""
        if self.console.is_terminal:
            self._show(work)
        elif work.what and work.total and work.done < work.total and self._due():
            self.report(f"{work.what}: {work.done:,} of {work.total:,}")

    def begin(self) -> None:
        self._last_line = time.monotonic()  # the first line without a terminal comes after a while
        if self.console.is_terminal:
            self.bar.start()
            self._show(UnderWay(_UNKNOWN))

    def end_bar(self) -> None:
        """Take it off the screen, also when the command failed."""
        if self._task is not None:
            self.bar.remove_task(self._task)
            self._task = None
        if self.console.is_terminal:
            self.bar.stop()

    def _show(self, work: UnderWay) -> None:
        """One line, whatever is at work; its clock begins anew with each kind of work."""
        if self.console.is_terminal:
            with self._turn:
                self._draw(work)

    def _draw(self, work: UnderWay) -> None:
        if work.whole:
            self._draw_whole(work)
            return
        if not work.what and self._shown is not None:
            work = replace(work, what=self._shown.what)
        before, self._shown = self._shown, work
        told: dict[str, Any] = {"description": work.what, "took": work.took}
        same = before is not None and (before.what.partition(",")[0], before.total) == (
            work.what.partition(",")[0],
            work.total,
        )
        if same and self._task is not None:
            self.bar.update(self._task, completed=work.done, **told)
            return
        if self._task is not None:
            self.bar.remove_task(self._task)
        self._task = self.bar.add_task(total=work.total or None, completed=work.done, **told)

    def _draw_whole(self, work: UnderWay) -> None:
        """The line above, for as long as the loop goes on."""
        if self._whole is None:
            self._whole = self.bar.add_task(work.what, total=work.total)
        self.bar.update(self._whole, completed=work.done, total=work.total, description=work.what)
        if work.done >= work.total:
            self.bar.remove_task(self._whole)
            self._whole = None

    def _due(self) -> bool:
        now = time.monotonic()
        due = now - self._last_line > _LINE_EVERY
        if due:
            self._last_line = now
        return due


@contextmanager
def screen(*, as_json: bool = False) -> Iterator[Screen]:
    """The terminal, for the length of one command; standard error where standard output is for JSON."""
    shown = Screen(Console(highlight=False, stderr=as_json))
    try:
        shown.begin()
        with watched(shown.under_way):
            yield shown
    finally:
        shown.end_bar()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
