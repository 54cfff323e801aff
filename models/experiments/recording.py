"""One run while it is recorded: the seam that sinks plug into, and the care that none of them costs a training.

A sink is whatever keeps runs: MLflow (models/registry.py), TensorBoard, Weights & Biases, the workspace's own journal
(models/experiments/sinks.py). Curves reach it while the run goes on, so a run that crashes keeps its curve.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import structlog

from models.experiments.origin import Origin
from tickets.errors import TriageError
from tickets.experiment_log import Status
from tickets.progress import Report

log = structlog.get_logger()

_POINTS = 200  # of a curve, however many steps the run has
_LONGEST_REASON = 300  # characters
_USER = re.compile(r"(?<=://)[^/\s]*@")
JUDGED_BY = "validation_mrr"  # the figure that a run's best look is chosen by, as `fit` chooses the weights it keeps


class Pruned(Exception):  # noqa: N818 - no error: the run was not worth going on with
    """Ends a run early; its text is the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """What is known when a run begins. A study is the parent of its trials."""

    run_id: str
    kind: Literal["training", "trial", "study"]
    name: str
    knobs: Mapping[str, Any]
    origin: Origin
    context: Mapping[str, Any] = field(default_factory=dict)  # what else it was run with
    parent: str | None = None  # a study's run_id
    started: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What a run leaves: `model` is a version and its folder, `files` are kept whole, `texts` by name."""

    model: tuple[str, Path] | None = None
    files: Sequence[Path] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a run ended. `reason` says why it was pruned or failed."""

    status: Status
    seconds: float
    figures: Mapping[str, float]
    reason: str = ""
    product: Product = field(default_factory=Product)


class Sink(Protocol):
    """Keeps one run. Any exception of a sink is told once and costs the run nothing."""

    @property
    def name(self) -> str: ...

    def start(self, run: RunStart) -> None: ...

    def log(self, step: int, figures: Mapping[str, float]) -> None: ...

    def end(self, end: RunEnd) -> None: ...


@dataclass
class Recording:
    """A run under way: `step` and `look` are what `fit` calls; `figures` and `product` are what it ends with."""

    run: RunStart
    sinks: list[Sink]
    report: Report
    figures: dict[str, float] = field(default_factory=dict)
    product: Product = field(default_factory=Product)
    best: float = -1.0
    _told: set[str] = field(default_factory=set)
    _losses: list[float] = field(default_factory=list)

    def step(self, step: int, total: int, figures: Mapping[str, float]) -> None:
        """A training step: mean loss since the last point of the curve, and the rate."""
        self._losses.append(figures["loss"])
        if step % max(1, -(-total // _POINTS)) == 0 or step == total:
            mean = sum(self._losses) / len(self._losses)
            self._losses.clear()
            self._log(step, {f"step/{name}": value for name, value in {**figures, "loss": mean}.items()})

    def look(self, figures: Mapping[str, float]) -> None:
        """A look at the validation split, with its `step`. The figures of the best look so far are the run's."""
        judged = figures.get(JUDGED_BY)
        if judged is not None and judged > self.best:
            self.best = judged
            self.figures |= {name: value for name, value in figures.items() if name.startswith("validation_")}
        self._log(
            int(figures["step"]), {f"training/{name}": value for name, value in figures.items() if name != "step"}
        )

    def begin(self) -> None:
        lost = f"nothing of {self.run.name} is recorded there"
        self.sinks = [sink for sink in self.sinks if self._try(sink, partial(sink.start, self.run), lost)]

    def end(self, end: RunEnd) -> None:
        for sink in self.sinks:
            self._try(sink, partial(sink.end, end), f"the end of {self.run.name} is not recorded there")

    def _log(self, step: int, figures: Mapping[str, float]) -> None:
        for sink in self.sinks:
            self._try(sink, partial(sink.log, step, figures), f"{self.run.name} is not recorded there for now")

    def _try(self, sink: Sink, call: Callable[[], None], lost: str) -> bool:
        try:
            call()
        except Exception as error:  # whatever a tracker raises, a night of training is worth more
            if sink.name not in self._told:
                self._told.add(sink.name)
                self.report(f"Warning: {sink.name}: {lost}: {one_line(error)}.")
            log.info("sink failed", sink=sink.name, run=self.run.name, error=one_line(error))
            return False
        return True


@contextmanager
def recorded(run: RunStart, sinks: Sequence[Sink], *, report: Report) -> Iterator[Recording]:
    """Record what happens inside: it ends as finished, pruned (Pruned) or failed (anything else that is raised)."""
    recording = Recording(run, list(sinks), report)
    began = time.perf_counter()

    def ended(status: Status, reason: str = "") -> RunEnd:
        seconds = time.perf_counter() - began
        return RunEnd(
            status=status, seconds=seconds, figures=recording.figures, reason=reason, product=recording.product
        )

    recording.begin()
    try:
        yield recording
    except Pruned as pruned:
        recording.end(ended("pruned", str(pruned)))
        raise
    except BaseException as error:
        recording.end(ended("failed", one_line(error)))
        raise
    recording.end(ended("finished"))


def one_line(error: BaseException) -> str:
    """An exception in one line that a person can read, without the passwords of addresses."""
    text = without_user(" ".join(str(error).split())).rstrip(".")[:_LONGEST_REASON]
    if isinstance(error, TriageError):
        return text
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def without_user(text: str) -> str:
    """The text with `user:password@` taken out of every address in it."""
    return _USER.sub("", text)
