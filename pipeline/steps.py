"""What every step of the pipeline does around its work: time it, write its manifest, say one line, name the machine's
limits, and leave a record also when it fails."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from pipeline.session import machine_limits
from tickets.errors import WorkspaceError
from tickets.manifests import (
    Manifest,
    Output,
    fingerprint,
    manifests,
    output_of,
    partition_name,
    record_state,
    write_manifest,
)
from tickets.progress import Report, under_way, watcher
from tickets.tables import Table
from tickets.workspace import Workspace


@dataclass
class Step:
    """A step while it runs: it fills in what it read, wrote and counted, and one line of `summary`."""

    workspace: Workspace
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    rows_in: int = 0
    rows_out: int = 0
    summary: str = ""
    manifest: Manifest | None = None

    def reads(self, *names: str) -> None:
        """Note inputs (see tickets.manifests) as they are now; those that are not there are not noted."""
        for name in names:
            if (content := fingerprint(self.workspace, name)) is not None:
                self.inputs[name] = content

    def reads_days(self, table: Table, days: Iterable[str]) -> None:
        """Note partitions of a table as inputs."""
        self.reads(*(partition_name(table, day) for day in days))

    def wrote(self, table: Table, value: str | None = None, *, made_from: Iterable[str] = ()) -> None:
        """Note a partition that was published, or a whole table."""
        output = output_of(self.workspace, table, value, made_from=tuple(made_from))
        self.outputs[partition_name(table, value)] = output
        self.rows_out += output.rows

    def follows_from(self, *more: object) -> str:
        """A fingerprint of all that was read, and of `more`, such as a version of the rules."""
        return follows_from(self.inputs, *more)

    @property
    def done(self) -> Manifest:
        """The manifest, once the step has ended."""
        if self.manifest is None:
            raise RuntimeError("the step has not ended yet.")
        return self.manifest


@contextmanager
def run_step(workspace: Workspace, name: str, as_of: date, report: Report) -> Iterator[Step]:
    """Run a step's body; when it succeeds, write the manifest and report. Raises MachineError when disk or memory is
    full."""
    step = Step(workspace)
    started_at, clock = datetime.now(UTC), time.perf_counter()
    record_state(workspace, name, as_of, "running")
    under_way(name, took=_took_last(workspace, name))
    try:
        with machine_limits(workspace.root):
            yield step
            seconds = time.perf_counter() - clock
            step.manifest = Manifest(
                step=name,
                as_of=as_of.isoformat(),
                inputs=dict(sorted(step.inputs.items())),
                outputs=dict(sorted(step.outputs.items())),
                counts={count: int(step.counts[count]) for count in sorted(step.counts)},
                rows_in=step.rows_in,
                rows_out=step.rows_out,
                started_at=started_at.isoformat(),
                seconds=round(seconds, 3),
            )
            write_manifest(workspace, step.manifest)
    except BaseException as error:
        with suppress(OSError):  # a full disk takes no record either; the error itself is the one to read
            record_state(workspace, name, as_of, "failed", error=error)
        raise
    record_state(workspace, name, as_of, "done")
    report(f"{name}: {step.summary} in {seconds:.1f} s")


def _took_last(workspace: Workspace, name: str) -> float | None:
    """Seconds of the step's last run; a run over other days may take another time."""
    runs: list[Manifest] = []
    with suppress(WorkspaceError):  # a damaged one is for who reads it; here it only costs the estimate
        runs = list(manifests(workspace, name)) if watcher() else []
    return max(runs, key=lambda run: run.started_at).seconds if runs else None


def follows_from(inputs: Mapping[str, str], *more: object) -> str:
    """A fingerprint of inputs (name -> fingerprint) and of `more`."""
    said = [*(f"{name} {content}" for name, content in sorted(inputs.items())), *map(repr, more)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
