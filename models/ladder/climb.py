"""The whole ladder on one split: every rung's quality, how sure it is, and what the rung costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.baselines.transformer import measure_release
from models.config import TrainConfig
from models.evaluate import splits
from models.ladder.record import LadderRun, Reads, RungResult
from models.ladder.rungs import LADDER, Course, attempt, lay_out, measure_rung
from models.machine import machine
from models.release import Release
from models.training.data import TrainingData, hash_of
from tickets.errors import InputError, TrainingDataError
from tickets.progress import Report, each

MODEL = "transformer"  # the last rung: the model itself
RUNGS = (*LADDER, MODEL)
_MODEL: tuple[str, Reads] = ("fine-tuned transformer", "text, attributes")


@dataclass(frozen=True, slots=True)
class Trained:
    """The model directory of the last rung, and whether it was there before this run."""

    release: Release
    was_there: bool


def chosen_rungs(names: Sequence[str]) -> tuple[str, ...]:
    """The rungs that were named, in the ladder's order; all when none was. Raises InputError for an unknown one."""
    if unknown := [name for name in names if name not in RUNGS]:
        raise InputError(f"there is no rung {unknown[0]!r}.", hint=f"Rungs: {', '.join(RUNGS)}.")
    return tuple(name for name in RUNGS if name in names) or RUNGS


def climb(
    data: TrainingData,
    config: TrainConfig,
    *,
    rungs: Sequence[str] = RUNGS,
    trained: Callable[[], Trained],
    report: Report,
) -> LadderRun:
    """Fit and measure each rung; `trained` gives the model for the last one. One that fails tells why and the others
    go on. Raises TrainingDataError when no ticket of validation and test ends in a leaf."""
    split = judged_split(data)
    course = attempt("all rungs", lay_out, data, config)
    results = []
    for number, name in each("rungs of the ladder", enumerate(rungs, start=1), len(rungs)):
        result = _result(name, data, course, split, trained)
        results.append(result)
        report(f"Rung {number} of {len(rungs)}, {result.title}: {_told(result)}")
    return LadderRun(
        rungs=tuple(results),
        split=split,
        tickets={part: len(getattr(data, part)) for part in ("train", "validation", "test")},
        data_hash=hash_of(data),
        settings=dataclasses.asdict(config),
        machine=machine(),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def judged_split(data: TrainingData) -> str:
    """Test, or validation where no test ticket ends in a leaf. Raises TrainingDataError when none does in both."""
    for split in ("test", "validation"):
        if split in splits(data) and (data.index.columns_of(splits(data)[split].node) >= 0).any():
            return split
    raise TrainingDataError(
        "no ticket of the validation or test split ends in a leaf of the tree; there is nothing to judge a rung on.",
        hint="Move the split's dates, then run `triage features`.",
    )


def _result(
    name: str, data: TrainingData, course: Course | str, split: str, trained: Callable[[], Trained]
) -> RungResult:
    note = ""
    if name == MODEL:
        title, reads = _MODEL
        made = attempt(title, trained)
        if not isinstance(made, str):
            when = "trained earlier, its seconds are of that day" if made.was_there else "trained in this run"
            note = f"version {made.release.version}, {when}"
        found = made if isinstance(made, str) else attempt(title, measure_release, made.release, data)
    else:
        title, reads = LADDER[name].title, LADDER[name].reads
        found = course if isinstance(course, str) else attempt(title, measure_rung, LADDER[name], course)
    if isinstance(found, str):
        return RungResult(name=name, title=title, reads=reads, problem=found)
    truth = data.index.columns_of(splits(data)[split].node)
    correct = found.leaves[split].argmax(axis=1)[truth >= 0] == truth[truth >= 0]
    return RungResult(
        name=name, title=title, reads=reads, figures=found.figures, correct=correct, note=note, readable=found.readable
    )


def _told(result: RungResult) -> str:
    if result.problem:
        return f"failed. {result.problem}"
    return f"{100 * result.right:.1f} % right, {result.cost('train_seconds'):.1f} s to train."
