"""What the experiments page shows: trainings and trials with their knobs, what they came to, what they cost.

Runs are comparable when they were judged on the same validation tickets, so the page shows one such group at a time,
unless all are asked for. Figures of test tickets are in the CSV alone: knobs that were chosen by them would spoil them.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from service.dashboard.csv_text import csv_text
from tickets.experiment_log import ExperimentRun

MOST_RUNS = 500  # the newest that are drawn
ALL = "all"
# Asks for the runs whose tickets are not known: their hash is empty, as is a query that asks nothing.
UNKNOWN = "unknown"
FIGURES = {
    "validation_mrr": "validation MRR",
    "validation_accuracy": "validation accuracy",
    "train_seconds": "seconds to train",
    "cost/ms_per_ticket": "ms a ticket",
}
# These have an axis always; the other figures where at least half of the runs have them.
_ALWAYS = ("validation_mrr", "validation_accuracy", "train_seconds")
# A scale is logarithmic when its largest number is so many times its smallest, and most lie near the smallest.
_LOG_FROM, _NEAR = 20.0, 0.3
_LONGEST_WORD = 24  # characters of a value that is no number
_NOT_LIMITED = "all"  # how a knob that is None is drawn: TrainConfig's are numbers of layers or tickets, None is all


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of the plot. Its values are numbers, or words that have no order."""

    name: str
    label: str
    kind: Literal["number", "category"]
    log: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Runs that were judged on the same tickets."""

    validation_hash: str
    runs: int
    newest: str  # day


@dataclass(frozen=True, slots=True)
class Row:
    """A run with its place on each axis; an axis it has no value for is missing."""

    run: ExperimentRun
    quality: float | None
    best: bool
    values: Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Shown:
    """The runs of the page, best first, and the axes on which they differ."""

    rows: Sequence[Row]
    axes: Sequence[Axis]
    groups: Sequence[Group]
    group: str  # a validation_hash, or ALL
    quality: str  # the figure that rows are ranked by
    runs_in_all: int

    @property
    def best(self) -> Row | None:
        return next((row for row in self.rows if row.best), None)

    @property
    def one_group(self) -> bool:
        """Whether the rows were all judged on the same tickets. Quality on others cannot be compared."""
        return len({row.run.validation_hash for row in self.rows}) < 2

    def drawing(self) -> dict[str, Any]:
        """What parallel.js draws, as JSON data."""
        return {
            "quality": self.quality,
            "axes": [
                {"name": axis.name, "label": axis.label, "kind": axis.kind, "log": axis.log} for axis in self.axes
            ],
            "runs": [
                {
                    "id": row.run.id,
                    "name": row.run.name,
                    "kind": row.run.kind,
                    "status": row.run.status,
                    "best": row.best,
                    "values": dict(row.values),
                }
                for row in self.rows
            ],
        }


def show(runs: Sequence[ExperimentRun], *, group: str | None = None, quality: str = "validation_mrr") -> Shown:
    """`runs` oldest first. `group` is a validation_hash, UNKNOWN or ALL; the newest run's when it names none."""
    groups = _groups(runs)
    group = _group_asked(group, groups)
    chosen = [run for run in runs if group in (ALL, run.validation_hash)][-MOST_RUNS:]
    axes = [*_axes_of_origin(chosen), *_axes_of_figures(chosen), *_axes_of_knobs(chosen)]
    finished = [run for run in chosen if run.status == "finished" and quality in run.figures]
    one_group = len({run.validation_hash for run in chosen}) == 1
    best = max(finished, key=lambda run: run.figures[quality], default=None) if one_group else None
    rows = [
        Row(
            run=run,
            quality=run.figures.get(quality),
            best=run is best,
            values={axis.name: value for axis in axes if (value := _place(run, axis)) is not None},
        )
        for run in chosen
    ]
    rows.sort(key=lambda row: (row.quality is None, -(row.quality or 0.0)))
    return Shown(rows, axes, groups, group, quality, len(runs))


def runs_as_csv(runs: Iterable[ExperimentRun]) -> str:
    """One row a run, a column a knob and a figure."""
    runs = list(runs)
    knobs = sorted({name for run in runs for name in run.knobs})
    figures = sorted({name for run in runs for name in run.figures})
    facts = ("id", "kind", "name", "study", "status", "reason", "started", "seconds")
    hashes = ("data_hash", "validation_hash", "git_hash")
    rows = (
        [
            *(getattr(run, name) for name in (*facts, *hashes)),
            *(run.knobs.get(name) for name in knobs),
            *(run.figures.get(name) for name in figures),
        ]
        for run in runs
    )
    return csv_text([*facts, *hashes, *(f"knob {name}" for name in knobs), *figures], rows)


def _group_asked(asked: str | None, groups: Sequence[Group]) -> str:
    known = {group.validation_hash for group in groups}
    if asked == ALL or not groups:
        return ALL
    if asked == UNKNOWN and "" in known:
        return ""
    return asked if asked and asked in known else groups[0].validation_hash


def _groups(runs: Sequence[ExperimentRun]) -> list[Group]:
    """Newest first."""
    groups: dict[str, list[ExperimentRun]] = {}
    for run in reversed(runs):
        groups.setdefault(run.validation_hash, []).append(run)
    return [Group(name, len(members), f"{members[0].started:%Y-%m-%d}") for name, members in groups.items()]


def _axes_of_origin(runs: Sequence[ExperimentRun]) -> list[Axis]:
    kinds, studies = {run.kind for run in runs}, {run.study for run in runs}
    axes = [Axis("kind", "kind", "category")] if len(kinds) > 1 else []
    return axes + ([Axis("study", "study", "category")] if len(studies - {None}) > 1 else [])


def _axes_of_knobs(runs: Sequence[ExperimentRun]) -> list[Axis]:
    """The knobs that differ between runs, in the order of the newest run's."""
    names = {name: None for run in reversed(runs) for name in run.knobs}
    axes = []
    for name in names:
        values = [run.knobs[name] for run in runs if name in run.knobs]
        if len({json.dumps(value, sort_keys=True, default=str) for value in values}) > 1:
            axes.append(_axis(f"knob {name}", name.replace("_", " "), values))
    return axes


def _axes_of_figures(runs: Sequence[ExperimentRun]) -> list[Axis]:
    axes = []
    for name, label in FIGURES.items():
        values = [run.figures[name] for run in runs if name in run.figures]
        if values and (name in _ALWAYS or (len(set(values)) > 1 and 2 * len(values) >= len(runs))):
            axes.append(_axis(f"figure {name}", label, values))
    return axes


def _axis(name: str, label: str, values: Sequence[Any]) -> Axis:
    if not all(_is_number(value) for value in values):
        return Axis(name, label, "category")
    low, high = min(values), max(values)
    log = low > 0 and high >= _LOG_FROM * low and statistics.median(values) < low + _NEAR * (high - low)
    return Axis(name, label, "number", log=log)


def _place(run: ExperimentRun, axis: Axis) -> float | str | None:
    word, _, name = axis.name.partition(" ")
    if word == "knob" and name in run.knobs and run.knobs[name] is None:
        return _NOT_LIMITED
    value = run.knobs.get(name) if word == "knob" else run.figures.get(name) if word == "figure" else getattr(run, word)
    if value is None or axis.kind == "number":
        return value
    text = value.rstrip("/").rpartition("/")[2] if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_WORD else text[: _LONGEST_WORD - 1] + "…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
