"""A workspace is one folder that holds everything of one tenant: lake, catalogue, manifests, models, releases, reports.

Nothing here is half-written, ever: a step writes aside, then renames. One run at a time holds the lock, and the next
one that takes it mends what a killed run left behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.compute as pc

from tickets.errors import LockedError, MachineError, MissingStepError, WorkspaceError
from tickets.exchange import exchange
from tickets.run_lock import LOCK
from tickets.tables import Table

_MARKER = "workspace.json"
_RIGHTS = "Check the path, its rights and the space on its disk."
_REPLACED = "replaced-"  # .aside/replaced-<number>-<path>: what stood at that path before


@dataclass(frozen=True, slots=True)
class Workspace:
    """The paths of a workspace. Make one with `Workspace.create`, open one with `Workspace.open`."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> Workspace:
        """Make the folder (or open it if it is a workspace already). Raises MachineError."""
        workspace = cls(root.resolve())
        try:
            for folder in (
                workspace.lake,
                workspace.catalogue,
                workspace.models,
                workspace.releases,
                workspace.aside_root,
            ):
                folder.mkdir(parents=True, exist_ok=True)
            if not (workspace.root / _MARKER).exists():
                write_text(workspace.root / _MARKER, json.dumps({"format": 1, "id": uuid.uuid4().hex}))
        except OSError as error:
            raise MachineError(f"cannot make the workspace {root}: {error.strerror}.", hint=_RIGHTS) from error
        return workspace

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Open a workspace made earlier. Raises WorkspaceError."""
        if not (root / _MARKER).exists():
            raise WorkspaceError(
                f"{root} is not a workspace.", hint="Start with `triage import`, or set TRIAGE_WORKSPACE."
            )
        return cls(root.resolve())

    def identity(self) -> str:
        """What tells this workspace from others wherever it lies; a copy of the folder shares it. A workspace made
        before there was one is given it now, so call this under the lock. Raises OSError when it cannot be written,
        WorkspaceError when it is damaged."""
        marker = self.root / _MARKER
        try:
            told = {**json.loads(marker.read_text(encoding="utf-8") or "{}")}
        except (ValueError, TypeError) as error:
            raise WorkspaceError(
                f"cannot read {marker}: {error}.", hint="Restore it from a backup, or write {} into it."
            ) from error
        if "id" not in told:
            told["id"] = uuid.uuid4().hex
            write_text(marker, json.dumps(told))
        return str(told["id"])

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def catalogue(self) -> Path:
        """dataset.toml, contact_types.json, templates.json; read and written by tickets.catalogue."""
        return self.root / "catalogue"

    @property
    def manifests(self) -> Path:
        return self.root / "manifests"

    @property
    def models(self) -> Path:
        """models/<version>: model directories as training leaves them."""
        return self.root / "models"

    @property
    def releases(self) -> Path:
        """releases/<version>, and releases/current naming the one that is served."""
        return self.root / "releases"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def experiments(self) -> Path:
        """runs.jsonl (tickets.experiment_log), studies, TensorBoard's files."""
        return self.root / "experiments"

    @property
    def aside_root(self) -> Path:
        return self.root / ".aside"

    @property
    def default_database_url(self) -> str:
        return f"sqlite:///{self.root / 'triage.db'}"

    @property
    def default_tracking_uri(self) -> str:
        return f"sqlite:///{self.root / 'mlflow.db'}"

    def table_path(self, table: Table) -> Path:
        return self.lake / table.name

    def partitions(self, table: Table) -> list[str]:
        """The values of the table's partition column that are there, sorted."""
        prefix = f"{table.partition}="
        folder = self.table_path(table)
        return sorted(path.name.removeprefix(prefix) for path in folder.glob(f"{prefix}*")) if folder.is_dir() else []

    def read(
        self, table: Table, columns: Sequence[str] | None = None, *, where: pc.Expression | None = None
    ) -> pa.Table:
        """The table in Arrow, its partition column (text) included. Empty when the table is; raises MissingStepError
        when no step has written it."""
        import pyarrow.dataset as ds  # takes half a second: it brings pandas along, which the service never needs

        schema = table.schema
        if table.partition is not None:
            schema = schema.append(pa.field(table.partition, pa.string(), nullable=False))
        if not self.table_path(table).is_dir():
            raise MissingStepError(
                f"the table `{table.name}` has not been written yet.", hint="Run `triage features` first."
            )
        files = ds.dataset(
            self.table_path(table), schema=schema, format="parquet", partitioning="hive", exclude_invalid_files=False
        )
        return files.to_table(columns=list(columns) if columns is not None else None, filter=where)

    @contextlib.contextmanager
    def aside(self, name: str) -> Iterator[Path]:
        """A fresh folder on the same disk to write into, gone at the end whatever happens."""
        path = self.aside_root / f"{name}-{uuid.uuid4().hex[:12]}"
        path.mkdir(parents=True)
        try:
            yield path
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise MachineError(
                    f"the disk of {self.root} is full.", hint="Free some space and run again; nothing was lost."
                ) from error
            raise
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def publish(self, written: Path, table: Table, partition_values: Sequence[str] | None = None) -> None:
        """Put `written` (made inside `aside`) in place of the table, or of the given partitions of it.

        `written` has the table's layout: `<partition>=<value>/*.parquet`, or files for a table without partitions.
        A given partition that `written` lacks becomes empty.
        """
        target = self.table_path(table)
        if partition_values is None:
            self.replace_folder(written, target)
            return
        target.mkdir(parents=True, exist_ok=True)
        for value in partition_values:
            name = f"{table.partition}={value}"
            if (written / name).is_dir():
                self.replace_folder(written / name, target / name)
            elif (target / name).is_dir():
                self._discard(target / name)

    def replace_folder(self, new: Path, target: Path) -> None:
        """Put `new` in the place of `target`; what stood there goes only once `new` is in place. They trade places in
        one step; where the disk cannot, by two renames, and a run killed between them is undone by whoever next takes
        the lock."""
        target.parent.mkdir(parents=True, exist_ok=True)
        replaced: Path | None = None
        if target.exists():
            if exchange(new, target):
                self._discard(new)
                return
            place = quote(str(target.relative_to(self.root)), safe="")
            replaced = self.aside_root / f"{_REPLACED}{uuid.uuid4().hex[:12]}-{place}"
            target.rename(replaced)
        try:
            new.rename(target)
        except OSError:
            if replaced is not None:
                replaced.rename(target)
            raise
        if replaced is not None:
            self._discard(replaced)

    def _discard(self, folder: Path) -> None:
        trash = self.aside_root / f"trash-{uuid.uuid4().hex[:12]}"
        folder.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Hold the workspace for one run: everything that writes to it does. The system frees it if the holder dies.

        Raises LockedError, naming the holder; MachineError when the workspace cannot be written.
        """
        with _opened(self.root / LOCK) as file:
            if not _taken(file):
                raise LockedError(f"another run holds this workspace: {_holder(file)}.", hint="Wait for it to end.")
            file.truncate(0)
            file.write(f"{purpose}, process {os.getpid()}")
            file.flush()
            self._mend()
            try:
                yield
            finally:
                file.truncate(0)

    @contextlib.contextmanager
    def releases_lock(self) -> Iterator[None]:
        """Hold `releases/` while the champion changes, a second at most; waits for its turn. It is not the run lock, so
        that a person can roll back while a night's run goes on. Raises MachineError."""
        self.releases.mkdir(exist_ok=True)  # a copy of a workspace may have come without
        with _opened(self.releases / ".lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def catalogue_lock(self) -> Iterator[None]:
        """Hold the catalogue while the tree is read, changed and written, a second at most; waits for its turn. It is
        not the run lock, so that a person can add a contact type while a long run goes on. Raises MachineError."""
        with _opened(self.root / "catalogue.lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _mend(self) -> None:
        """Put back what was moved away and not replaced, remove the rest. Whoever left it under the run lock is dead; a
        challenger is copied under the lock of the releases alone, so that is waited for."""
        if not any(self.aside_root.glob("*")):
            return
        with self.releases_lock():
            for left in sorted(self.aside_root.glob("*")):
                if left.name.startswith(_REPLACED):
                    target = self.root / unquote(left.name.removeprefix(_REPLACED).partition("-")[2])
                    if not target.exists():
                        left.rename(target)
                        continue
                shutil.rmtree(left, ignore_errors=True)


def _opened(lock: Path) -> TextIO:
    """A file to be locked, which keeps what is in it. Raises MachineError when it cannot be written."""
    try:
        return open(lock, "a+", encoding="utf-8")
    except OSError as error:
        raise MachineError(f"cannot write to {lock.parent}: {error.strerror}.", hint=_RIGHTS) from error


def _taken(file: TextIO) -> bool:
    """Whether the lock could be taken. Who only asks who holds it has it for a moment (`lock_holder`), so it is tried
    for a third of a second."""
    for patience in (0.02, 0.03, 0.05, 0.2, None):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if patience is not None:
                time.sleep(patience)
        else:
            return True
    return False


def _holder(file: TextIO) -> str:
    """Who holds the lock. A run that has just taken it has not said so yet: it is given a moment."""
    for _ in range(20):
        file.seek(0)
        if said := file.read().strip():
            return said
        time.sleep(0.02)
    return "unknown"


def write_text(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the new one, whole, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with open(aside, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
