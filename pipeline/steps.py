"""What every step of the pipeline does around its work: time it, write its manifest, say one line, name the machine's
limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from pipeline.session import machine_limits
from tickets.manifests import Manifest, write_manifest
from tickets.workspace import Workspace

Report = Callable[[str], None]


def silent(_line: str) -> None:
    """For callers who want no progress."""


@dataclass
class Step:
    """A step while it runs: it fills in what it read and counted, and one line of `summary`."""

    inputs: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    summary: str = ""
    manifest: Manifest | None = None

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
    step = Step()
    started_at, clock = datetime.now(UTC), time.perf_counter()
    with machine_limits(workspace.root):
        yield step
        seconds = time.perf_counter() - clock
        step.manifest = Manifest(
            step=name,
            as_of=as_of.isoformat(),
            inputs=dict(sorted(step.inputs.items())),
            counts=_named(step.counts),
            started_at=started_at.isoformat(),
            seconds=round(seconds, 3),
        )
        write_manifest(workspace, step.manifest)
    report(f"{name}: {step.summary} in {seconds:.1f} s")


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: int(counts[name]) for name in sorted(counts)}
