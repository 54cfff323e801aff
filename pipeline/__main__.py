"""The pipeline from raw to pairs as one program, for `spark-submit` (deploy/spark/run_pipeline.py) and `python -m
pipeline`. Spark comes as it was submitted, all else by argument; it reads no settings and no operational database."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from tickets.errors import TriageError
from tickets.workspace import Workspace


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the pipeline on a workspace and say each step; returns the exit code, as `triage` has them."""
    asked = _parser().parse_args(arguments)
    try:
        _run(asked)
    except TriageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _run(asked: argparse.Namespace) -> None:
    from pipeline.nightly import run_pipeline
    from pipeline.session import machine_limits, open_spark
    from pipeline.split import SplitPlan

    plan = SplitPlan(validation_from=asked.validation_from, test_from=asked.test_from, test_until=asked.test_until)
    workspace = Workspace.open(asked.workspace)
    with workspace.lock("pipeline"), open_spark(master=asked.master) as spark, machine_limits(workspace.root):
        run_pipeline(workspace, as_of=asked.as_of, spark=spark, plan=plan, report=_say)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipeline", description="Raw rows to features and pairs, on Spark.")
    parser.add_argument("workspace", type=Path, help="the workspace; every executor sees it under this path")
    parser.add_argument(
        "--as-of",
        type=_past,
        default=datetime.now(UTC).date(),
        help="the night to run; today when not given",
    )
    parser.add_argument("--master", help="a Spark master, where spark-submit does not name one")
    for name, what in (
        ("--validation-from", "first day of validation"),
        ("--test-from", "first day of test"),
        ("--test-until", "the day after test"),
    ):
        parser.add_argument(name, type=date.fromisoformat, help=what)
    return parser


def _past(written: str) -> date:
    """A day until today (UTC): what is done for a later one would stay the newest for all that follows."""
    day, today = date.fromisoformat(written), datetime.now(UTC).date()
    if day > today:
        raise argparse.ArgumentTypeError(f"{day} has not come yet; today is {today} (UTC)")
    return day


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()  # spark-submit reads it through a pipe


if __name__ == "__main__":
    sys.exit(main())
