"""What was tried and what came of it: one JSON line a run in <workspace>/experiments/runs.jsonl.

Training and `triage tune` write it, the dashboard reads it. Neither MLflow nor torch is needed for that.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from tickets.workspace import Workspace

RUNS = "runs.jsonl"
Kind = Literal["training", "trial"]
Status = Literal["finished", "pruned", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentRun:
    """A training, or a trial of a study, as it ended. Figures are comparable between runs of one `validation_hash`."""

    id: str
    kind: Kind
    name: str  # the model version of a training that finished
    started: datetime
    seconds: float
    status: Status
    knobs: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    data_hash: str = ""
    validation_hash: str = ""  # of the tickets that it was judged on, and of their contact types
    git_hash: str | None = None
    study: str | None = None
    reason: str = ""  # why it was pruned or failed


def runs_path(workspace: Workspace) -> Path:
    return workspace.experiments / RUNS


def append_run(workspace: Workspace, run: ExperimentRun) -> None:
    """Add a line, whole, also beside other processes that add theirs. Raises OSError."""
    path = runs_path(workspace)
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {**dataclasses.asdict(run), "started": run.started.isoformat(), "figures": _finite(run.figures)}
    line = json.dumps(facts, ensure_ascii=False, allow_nan=False, default=str).encode()
    with open(path, "a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
        torn = end > 0 and file.read(1) != b"\n"  # a process died in the middle of its line
        file.write((b"\n" if torn else b"") + line + b"\n")


def read_runs(workspace: Workspace) -> tuple[list[ExperimentRun], int]:
    """Every run, oldest first, and how many lines could not be read."""
    try:
        lines = runs_path(workspace).read_bytes().splitlines()
    except FileNotFoundError:
        return [], 0
    runs = [_run_of(line) for line in lines if line.strip()]
    read = [run for run in runs if run is not None]
    return sorted(read, key=lambda run: run.started), len(runs) - len(read)


def _run_of(line: bytes) -> ExperimentRun | None:
    """None for a line that is damaged, or that another version wrote in a way this one cannot read."""
    known = {field.name for field in dataclasses.fields(ExperimentRun)}
    try:
        facts = {name: value for name, value in json.loads(line).items() if name in known}
        started = datetime.fromisoformat(facts["started"])
        facts["started"] = started if started.tzinfo else started.replace(tzinfo=UTC)
        facts["seconds"] = float(facts["seconds"])
        facts["figures"] = _finite(facts.get("figures", {}))
        run = ExperimentRun(**facts)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    return run if _is_whole(run) else None


def _is_whole(run: ExperimentRun) -> bool:
    """Whether a line that was read has the words and the kinds of values that readers count on."""
    texts = (run.id, run.name, run.data_hash, run.validation_hash, run.reason)
    unset_or_texts = (run.git_hash, run.study)
    return (
        run.kind in ("training", "trial")
        and run.status in ("finished", "pruned", "failed")
        and all(isinstance(text, str) for text in texts)
        and all(text is None or isinstance(text, str) for text in unset_or_texts)
        and isinstance(run.knobs, dict)
    )


def _finite(figures: Mapping[str, Any]) -> dict[str, float]:
    """JSON knows no infinity and no NaN; a figure that is one says nothing."""
    return {name: float(value) for name, value in figures.items() if math.isfinite(float(value))}
