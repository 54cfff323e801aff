"""Where the pipeline stands: each step's last run, what has changed since, what lies on the disk, who is at work."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from pipeline.upkeep.compaction import LEFT_ALONE, SMALL_BYTES
from tickets.lineage import Records, stale_inputs
from tickets.manifests import Manifest, StepState, manifests, step_states, steps_run
from tickets.run_lock import lock_holder
from tickets.tables import TABLES, Table
from tickets.workspace import Workspace

BEFORE_TRAINING = ("split", "pairs", "topics")  # made anew when a training needs them, and stale between trainings
CORE = ("import", "clean", "featurise", "duplicates", "label", "split", "pairs")  # without these, nothing to train on
ORDER = ("import", "extract", *CORE[1:], "topics", "score", "replay")
MANY_FILES = 8  # small files of one partition from which merging them is worth a word

Condition = Literal["fresh", "stale", "running", "failed", "killed", "never run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStatus:
    """A step's last run. Rows and seconds are that run's; `quarantined` is the share of all rows read so far. `why`
    names the inputs that changed since, or the error."""

    step: str
    condition: Condition
    as_of: str = ""
    started_at: str = ""
    seconds: float = 0.0
    rows_in: int = 0
    rows_out: int = 0
    rows_per_second: float | None = None
    quarantined: float | None = None
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableStatus:
    """What a table takes on the disk. `crowded` names the partitions with many small files."""

    table: str
    partitions: int
    files: int
    bytes: int
    crowded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStatus:
    """`verdict` says it in one line; `well` is whether nothing is left to do."""

    verdict: str
    well: bool
    as_of: str
    lock: str | None
    steps: tuple[StepStatus, ...]
    tables: tuple[TableStatus, ...]
    left_behind: int  # bytes under .aside that nobody works on


def pipeline_status(workspace: Workspace, *, as_of: date) -> PipelineStatus:
    """The state of the workspace, seen with the runs up to `as_of`. Reads manifests and the names and sizes of files;
    takes no lock and changes nothing."""
    lock = lock_holder(workspace.root)
    steps = _steps(workspace, as_of, lock)
    tables = tuple(_table(workspace, table) for table in TABLES if workspace.table_path(table).is_dir())
    left = sum(size for _, size in _files(workspace.aside_root))
    verdict, well = _verdict(steps, tables, lock)
    return PipelineStatus(
        verdict=verdict,
        well=well,
        as_of=as_of.isoformat(),
        lock=lock,
        steps=steps,
        tables=tables,
        left_behind=0 if lock else left,
    )


def _steps(workspace: Workspace, as_of: date, lock: str | None) -> tuple[StepStatus, ...]:
    records, states = Records(workspace), step_states(workspace)
    names = {*CORE, *steps_run(workspace), *states}
    ordered = [step for step in ORDER if step in names] + sorted(names - {*ORDER})
    return tuple(_step(records, states.get(step), step, as_of=as_of, lock=lock) for step in ordered)


def _step(records: Records, state: StepState | None, step: str, *, as_of: date, lock: str | None) -> StepStatus:
    runs = [manifest for manifest in manifests(records.workspace, step) if manifest.as_of <= as_of.isoformat()]
    condition, why = _condition(records, runs[-1] if runs else None, state, as_of, lock)
    if not runs:
        return StepStatus(step=step, condition=condition, why=why, as_of=state.as_of if state else "")
    last = runs[-1]
    read = last.counts.get("raw", 0)
    return StepStatus(
        step=step,
        condition=condition,
        why=why,
        as_of=last.as_of,
        started_at=last.started_at,
        seconds=last.seconds,
        rows_in=last.rows_in,
        rows_out=last.rows_out,
        rows_per_second=round(last.rows_in / last.seconds, 1) if last.rows_in and last.seconds else None,
        quarantined=round(last.counts["quarantine"] / read, 4) if read and "quarantine" in last.counts else None,
    )


def _condition(
    records: Records, last: Manifest | None, state: StepState | None, as_of: date, lock: str | None
) -> tuple[Condition, tuple[str, ...]]:
    if state is not None and state.as_of <= as_of.isoformat():
        if state.state == "running":
            return ("running", ()) if lock else ("killed", (f"the run of {state.as_of} ended without a word",))
        if state.state == "failed":
            return "failed", (f"{state.error} {state.message}".strip(),)
    if last is None:
        return "never run", ()
    changed = tuple(stale_inputs(records, last, until=as_of.isoformat()))
    return ("stale", changed) if changed else ("fresh", ())


def _table(workspace: Workspace, table: Table) -> TableStatus:
    sizes: dict[str, list[int]] = {}
    for path, size in _files(workspace.table_path(table)):
        if path.suffix == ".parquet":
            sizes.setdefault(path.parent.name, []).append(size)
    small = {name: sum(size < SMALL_BYTES for size in own) for name, own in sizes.items()}
    crowded = () if table.name in LEFT_ALONE else (name for name, count in small.items() if count >= MANY_FILES)
    return TableStatus(
        table=table.name,
        partitions=len(workspace.partitions(table)) if table.partition is not None else 1,
        files=sum(map(len, sizes.values())),
        bytes=sum(map(sum, sizes.values())),
        crowded=tuple(sorted(crowded)),
    )


def _files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every file under a folder, and its size. What a run takes away while we look is passed over."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                size = path.stat().st_size
            except FileNotFoundError:
                continue
            yield path, size


def _verdict(steps: Sequence[StepStatus], tables: Sequence[TableStatus], lock: str | None) -> tuple[str, bool]:
    """The first thing that matters, and what to do about it."""

    def named(*conditions: Condition) -> list[str]:
        return [step.step for step in steps if step.condition in conditions]

    if lock:
        return f"A run is going on: {lock}.", True
    if bad := [step for step in steps if step.condition in ("failed", "killed")]:
        first = bad[0]
        return f"`{first.step}` {first.condition}: {'; '.join(first.why).rstrip('.')}. Then run again.", False
    if len(never := [step for step in named("never run") if step in CORE]) == len(CORE):
        return "Nothing has run yet. Start with `triage import`.", False
    if never:
        return f"Not run yet: {', '.join(never)}. Run `triage features`.", False
    if stale := [step for step in named("stale") if step not in BEFORE_TRAINING]:
        return f"Inputs have changed since: {', '.join(stale)}. Run `triage features`.", False
    newest = max(step.as_of for step in steps)
    crowded = [table.table for table in tables if table.crowded]
    advice = f" Many small files in {', '.join(crowded)}: run `triage pipeline compact`." if crowded else ""
    return f"Everything is fresh as of {newest}.{advice}", True
