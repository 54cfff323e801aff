"""`pipeline_status` says where things stand: fresh, stale, failed, killed, at work."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.importing import import_files
from pipeline.nightly import run_pipeline
from pipeline.steps import run_step
from pipeline.upkeep.status import CORE, StepStatus, _files, pipeline_status
from tickets.errors import InputError
from tickets.manifests import Manifest, record_state, step_states, write_manifest
from tickets.progress import silent
from tickets.run_lock import lock_holder
from tickets.tables import SPLITS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 3, 2)


def steps(workspace: Workspace, as_of: date = DAY) -> dict[str, StepStatus]:
    return {step.step: step for step in pipeline_status(workspace, as_of=as_of).steps}


def test_an_empty_workspace_says_where_to_start(workspace: Workspace) -> None:
    found = pipeline_status(workspace, as_of=DAY)
    assert (found.well, found.lock, found.tables) == (False, None, ())
    assert "Start with `triage import`" in found.verdict
    assert {step.condition for step in found.steps} == {"never run"}


@pytest.mark.slow
def test_a_night_is_fresh_until_something_it_read_changes(
    workspace: Workspace,
    spark: SparkSession,
    dataset_file: Path,
    *,
    make_row: Callable[..., dict[str, str]],
    write_csv: Callable[..., Path],
) -> None:
    rows = [make_row(number) for number in range(19)] + [make_row(19, opened="soon")]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)
    assert "Not run yet: clean" in pipeline_status(workspace, as_of=DAY).verdict
    run_pipeline(workspace, as_of=DAY, spark=spark)

    found = pipeline_status(workspace, as_of=DAY)

    assert found.verdict.startswith("Everything is fresh as of 2026-03-02."), found.steps
    assert found.well
    cleaned = steps(workspace)["clean"]
    assert (cleaned.condition, cleaned.rows_in, cleaned.quarantined) == ("fresh", 20, 0.05)
    assert cleaned.rows_per_second is not None
    assert {table.table: table.files for table in found.tables}["outcomes"] == 1
    assert found.left_behind == 0

    import_files(workspace, [write_csv([make_row(30)], name="more.csv")], dataset_file, as_of=DAY)
    stale = pipeline_status(workspace, as_of=DAY)
    assert not stale.well
    assert "changed since: clean" in stale.verdict
    assert steps(workspace)["clean"].why == (f"raw/arrived={DAY}",)
    run_pipeline(workspace, as_of=DAY, spark=spark)
    assert pipeline_status(workspace, as_of=DAY).well

    tomorrow = DAY + timedelta(days=1)
    import_files(workspace, [write_csv([make_row(40)], name="next.csv")], dataset_file, as_of=tomorrow)
    assert pipeline_status(workspace, as_of=DAY).well
    assert not pipeline_status(workspace, as_of=tomorrow).well
    assert steps(workspace, tomorrow)["clean"].why == (f"raw/arrived={tomorrow}",)


def test_a_run_that_failed_is_told_with_its_words_and_forgotten_after_the_next(workspace: Workspace) -> None:
    with pytest.raises(InputError), run_step(workspace, "label", DAY, silent):
        raise InputError("the tree is no tree.", hint="Mend it.")

    found = pipeline_status(workspace, as_of=DAY)

    assert found.verdict == "`label` failed: InputError the tree is no tree. Mend it. Then run again."
    assert steps(workspace)["label"].condition == "failed"
    assert steps(workspace, DAY - timedelta(days=1))["label"].condition == "never run"
    with run_step(workspace, "label", DAY, silent):
        pass
    assert steps(workspace)["label"].condition == "fresh"


def test_a_step_whose_manifest_cannot_be_written_failed(workspace: Workspace) -> None:
    """Its tables are published, but nothing tells of them: it must not look like a run that was killed."""
    (workspace.manifests / "label" / f"{DAY}.json").mkdir(parents=True)

    with pytest.raises(OSError, match="label"), run_step(workspace, "label", DAY, silent):
        pass

    assert step_states(workspace)["label"].state == "failed"


def hold(root: Path, ready: multiprocessing.synchronize.Event) -> None:
    workspace = Workspace.open(root)
    with workspace.lock("nightly"):
        record_state(workspace, "clean", DAY, "running")
        ready.set()
        signal.pause()


def test_a_run_at_work_and_one_that_was_killed_are_told_apart(workspace: Workspace) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    running = context.Process(target=hold, args=(workspace.root, ready))
    running.start()
    try:
        assert ready.wait(60)
        found = pipeline_status(workspace, as_of=DAY)
        assert found.verdict == f"A run is going on: nightly, process {running.pid}."
        assert steps(workspace)["clean"].condition == "running"
    finally:
        assert running.pid
        os.kill(running.pid, signal.SIGKILL)
        running.join(60)

    assert lock_holder(workspace.root) is None
    found = pipeline_status(workspace, as_of=DAY)
    assert found.verdict.startswith("`clean` killed: the run of 2026-03-02 ended without a word")
    with workspace.lock("status"):
        assert lock_holder(workspace.root) == f"status, process {os.getpid()}"


def test_what_a_run_takes_away_while_we_look_is_passed_over(workspace: Workspace) -> None:
    paths = [workspace.aside_root / f"{number}.parquet" for number in range(3)]
    for path in paths:
        path.write_bytes(b"12")
    found = _files(workspace.aside_root)
    first, size = next(found)
    for path in paths:
        path.unlink()
    assert (first in paths, size, list(found)) == (True, 2, [])


def test_many_small_files_are_worth_a_word(workspace: Workspace) -> None:
    for step in CORE:
        write_manifest(workspace, Manifest(step=step, as_of=DAY.isoformat()))
    workspace.table_path(SPLITS).mkdir()
    for number in range(8):
        (workspace.table_path(SPLITS) / f"part-{number:04d}.parquet").write_bytes(b"1")

    found = pipeline_status(workspace, as_of=DAY)

    assert found.verdict.endswith("Many small files in splits: run `triage pipeline compact`.")
    (table,) = found.tables
    assert (table.files, table.bytes, table.crowded) == (8, 8, ("splits",))
    assert replace(table, crowded=()).partitions == 1
