"""Manifests: what a step read, wrote and counted, so that any table can be traced to its sources; and how each step's
last run went, also one that failed or was killed.

Inputs and outputs go by name: `tickets/arrived=2026-03-02`, `outcomes`, `catalogue/dataset.toml`, or a source file with
its hash. Beside each name stands a fingerprint. It tells what a partition was made from, not which bytes it became, so
that merging small files changes none.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow.parquet as pq

from tickets.errors import TriageError, WorkspaceError
from tickets.tables import SCHEMA_VERSION, SERVICE, Table
from tickets.workspace import Workspace, write_text

MADE_FROM = "_made_from.json"  # in a partition: the fingerprint of what it was made from, and counts
CATALOGUE = "catalogue/"
_STATES = "_state"
_NUMBER = re.compile(r"\d+\.parquet$")
_SAID_AT_MOST = 500  # characters of an error's message

State = Literal["running", "done", "failed"]
Record = TypeVar("Record")


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A partition (or a whole table) that a step wrote. `made_from` names the manifest's inputs that it came from; ()
    means all of them."""

    rows: int
    content: str  # its fingerprint
    made_from: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One run of one step. `inputs` maps a name to a fingerprint, `counts` a table or reason to rows, `outputs` a name
    to what was written. `rows_in` and `rows_out` are what this run handled: days that had not changed are not in
    them."""

    step: str
    as_of: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    rows_in: int = 0
    rows_out: int = 0
    started_at: str = ""
    seconds: float = 0.0
    schema_version: int = SCHEMA_VERSION  # for people and other tools; nothing here reads it


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """How the last run of a step went. One that still says `running` while nobody holds the lock was killed."""

    step: str
    as_of: str
    state: State
    at: str  # UTC, ISO 8601
    error: str = ""  # the kind of error
    message: str = ""  # what it said and advised; empty for errors that nobody raised on purpose, which may quote rows


def write_manifest(workspace: Workspace, manifest: Manifest) -> None:
    """Keep it at manifests/<step>/<as_of>.json; a rerun of the same date replaces it."""
    path = workspace.manifests / manifest.step / f"{manifest.as_of}.json"
    write_text(path, json.dumps(dataclasses.asdict(manifest), indent=1, sort_keys=True))


def read_manifest(workspace: Workspace, step: str, as_of: str) -> Manifest | None:
    """None when the step did not run for that date. Raises WorkspaceError for a file that is damaged."""
    path = workspace.manifests / step / f"{as_of}.json"
    return _load(path) if path.exists() else None


def manifests(workspace: Workspace, step: str) -> Iterator[Manifest]:
    """All manifests of a step, oldest date first."""
    for path in sorted((workspace.manifests / step).glob("*.json")):
        yield _load(path)


def steps_run(workspace: Workspace) -> list[str]:
    """The steps that have a manifest, sorted by name."""
    return sorted({path.parent.name for path in workspace.manifests.glob("[!_]*/*.json")})


def record_state(
    workspace: Workspace, step: str, as_of: date, state: State, *, error: BaseException | None = None
) -> None:
    """Remember how the step's run goes. Of errors that were not raised on purpose only the kind is kept."""
    message = str(error)[:_SAID_AT_MOST] if isinstance(error, TriageError) else ""
    said = StepState(
        step=step,
        as_of=as_of.isoformat(),
        state=state,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        error=type(error).__name__ if error is not None else "",
        message=message,
    )
    path = workspace.manifests / _STATES / f"{step}.json"
    write_text(path, json.dumps(dataclasses.asdict(said), indent=1, sort_keys=True))


def step_states(workspace: Workspace) -> dict[str, StepState]:
    """The last recorded state of each step."""
    paths = sorted((workspace.manifests / _STATES).glob("*.json"))
    states = (_read(path, lambda told: StepState(**told)) for path in paths)
    return {said.step: said for said in states}


def partition_name(table: Table, value: str | None = None) -> str:
    """`tickets/arrived=2026-03-02`; of a table without partitions, its name."""
    return table.name if value is None else f"{table.name}/{table.partition}={value}"


def output_of(workspace: Workspace, table: Table, value: str | None = None, *, made_from: Sequence[str] = ()) -> Output:
    """A published partition, or a whole table, as a manifest tells of it. Rows are read from the files' footers."""
    name = partition_name(table, value)
    rows = sum(pq.read_metadata(path).num_rows for path in (workspace.lake / name).glob("*.parquet"))
    return Output(rows=rows, content=fingerprint(workspace, name) or "", made_from=tuple(made_from))


def fingerprint(workspace: Workspace, name: str) -> str | None:
    """What an input or output is made of now; None when it is not there.

    Of a file of the catalogue, its hash. Of a partition, what its `_made_from.json` says; without one, a hash of its
    files' names up to their number (they hold hashes of what was imported), and of the content of files that are made
    anew under one name.
    """
    if name.startswith(CATALOGUE):
        path = workspace.root / name
        return file_hash(path) if path.is_file() else None
    folder = workspace.lake / name
    return folder_fingerprint(folder) if folder.is_dir() else None


def folder_fingerprint(folder: Path) -> str:
    """What `fingerprint` says of a partition that lies in this folder."""
    if (said := folder / MADE_FROM).exists():
        return str(json.loads(said.read_text(encoding="utf-8"))["fingerprint"])
    prefixes: set[str] = set()
    contents: list[str] = []
    for path in folder.rglob("*.parquet"):
        prefix = _NUMBER.sub("", str(path.relative_to(folder)))
        if _made_anew(prefix):
            contents.append(f"{prefix} {file_hash(path)}")
        else:
            prefixes.add(prefix)
    return hashlib.sha256("\n".join(sorted([*prefixes, *contents])).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _made_anew(prefix: str) -> bool:
    """The name says who wrote the file and nothing of what is in it."""
    return prefix.startswith(SERVICE) or not any(character.isdigit() for character in prefix.rpartition("/")[2])


def _load(path: Path) -> Manifest:
    return _read(path, _manifest)


def _manifest(data: dict[str, Any]) -> Manifest:
    outputs = {
        name: Output(**{**said, "made_from": tuple(said["made_from"])})
        for name, said in data.pop("outputs", {}).items()
    }
    return Manifest(**data, outputs=outputs)


def _read(path: Path, as_record: Callable[[dict[str, Any]], Record]) -> Record:
    """Raises WorkspaceError for a file that is damaged."""
    try:
        return as_record(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise WorkspaceError(
            f"cannot read {path}: {error!r}.",
            hint="Restore it from a backup, or remove it: the step's next run writes it anew.",
        ) from error
