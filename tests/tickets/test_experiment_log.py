"""The journal of runs: one line a run, whole, whoever else writes; damage is counted, never spread."""

from __future__ import annotations

import dataclasses
import json
import math
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tickets.experiment_log import ExperimentRun, append_run, read_runs, runs_path
from tickets.workspace import Workspace

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


def run_of(number: int = 0, **changes: object) -> ExperimentRun:
    facts: dict[str, object] = {
        "id": f"run-{number}",
        "kind": "trial",
        "name": f"run-{number}",
        "started": AT + timedelta(minutes=number),
        "seconds": 12.5,
        "status": "finished",
        "knobs": {"epochs": 3, "encoder": "größer", "trainable_layers": None, "label_mix": True},
        "figures": {"validation_mrr": 0.8125},
    }
    return ExperimentRun(**(facts | changes))  # type: ignore[arg-type]


def test_what_is_written_is_read_oldest_first(workspace: Workspace) -> None:
    assert read_runs(workspace) == ([], 0)
    for number in (1, 0):
        append_run(workspace, run_of(number))
    assert read_runs(workspace) == ([run_of(0), run_of(1)], 0)


def test_a_figure_that_is_no_number_is_left_out(workspace: Workspace) -> None:
    append_run(workspace, run_of(figures={"loss": math.nan, "worst": math.inf, "validation_mrr": 0.5}))
    json.loads(runs_path(workspace).read_text(), parse_constant=pytest.fail)
    assert read_runs(workspace)[0][0].figures == {"validation_mrr": 0.5}


@pytest.mark.parametrize(
    "damage",
    [
        b'{"id": "torn", "kind": "trai',
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"null",
        b'{"id": "x"}',
        json.dumps({**dataclasses.asdict(run_of()), "started": "yesterday"}).encode(),
        json.dumps({**dataclasses.asdict(run_of()), "started": AT.isoformat(), "status": "sideways"}).encode(),
        *(
            json.dumps({**dataclasses.asdict(run_of()), "started": AT.isoformat(), **wrong}).encode()
            for wrong in (
                {"figures": {"a": "b"}},
                {"figures": {"a": 10**400}},
                {"study": []},
                {"git_hash": 7},
                {"knobs": [[1, 2]]},
                {"kind": ["trial"]},
            )
        ),
    ],
)
def test_a_damaged_line_is_counted_and_the_others_are_read(workspace: Workspace, damage: bytes) -> None:
    append_run(workspace, run_of(0))
    with open(runs_path(workspace), "ab") as file:
        file.write(damage)  # without an end of line: the process died here
    append_run(workspace, run_of(1))
    assert read_runs(workspace) == ([run_of(0), run_of(1)], 1)


def test_a_line_of_a_later_version_is_read_as_far_as_it_is_known(workspace: Workspace) -> None:
    append_run(workspace, run_of())
    line = json.loads(runs_path(workspace).read_text())
    runs_path(workspace).write_text(json.dumps({**line, "carbon": 3}) + "\n")
    assert read_runs(workspace) == ([run_of()], 0)


def _write_some(root: Path, first: int) -> None:
    for number in range(first, first + 25):
        append_run(Workspace.open(root), run_of(number, reason="x" * 5000))


def test_lines_of_several_processes_stay_whole(workspace: Workspace) -> None:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_write_some, [workspace.root, workspace.root], [0, 25]))
    runs, damaged = read_runs(workspace)
    assert ([run.id for run in runs], damaged) == ([f"run-{number}" for number in range(50)], 0)
