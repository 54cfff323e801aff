"""The suggestion log's way to the database: first a line on disk, then, a moment later, a row.

An answer goes out when its line is written, so the database may be slow or away. One thread takes the lines in order
and commits them together; while the database is away it tries again, and the lines wait on disk. A process that was
killed leaves its file behind, and the next one to start on this workspace takes it up. A line that is sent to the
database twice becomes one row: its id is the row's key.

What is kept: suggestions with their tickets, and what a challenger in shadow said of them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import orjson
import sqlalchemy as sa
import structlog

from service.logs import where
from tickets.database import challenger_answers, suggestions
from tickets.errors import MachineError
from tickets.feedback_log import insert_new, suggestion_columns
from tickets.records import Suggestion, Ticket

log = structlog.get_logger()

GATHER_SECONDS = 0.05  # rows that come within this time are committed together
MOST_BYTES = 2 << 30  # of lines that wait for the database: a million suggestions
_REMEMBERED = 10_000  # suggestions that can be found before the database has them
_CHUNK = 1 << 20  # bytes of lines committed at once
_FAREWELL_SECONDS = 5.0
_WORTH_EMPTYING = 8 << 20  # bytes of committed lines after which the file starts anew
_PATIENCE = (0.25, 0.5, 1.0, 2.0)  # seconds between attempts while the database is away; the last goes on
_TABLES = {table.name: table for table in (suggestions, challenger_answers)}
_TIMES = {table.name: [c.name for c in table.columns if c.name in ("created_at", "at")] for table in _TABLES.values()}


class Gauge(Protocol):
    """What the spool tells of itself; service.telemetry.Metrics shows it."""

    def spooled(self, *, rows: int, size: int, oldest_seconds: float) -> None: ...
    def replayed(self, rows: int) -> None: ...


class Spool:
    """Append with `keep`, from any thread, inside `running()`; `settle` waits until all that was kept is in the
    database."""

    def __init__(self, folder: Path, engine: sa.Engine, gauge: Gauge, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder, self._engine, self._gauge = folder, engine, gauge
        self._path, self._file = folder, -1
        self._most_bytes = most_bytes
        self._lock = threading.Condition()
        self._waiting: dict[str, tuple[Ticket, Suggestion]] = {}
        self._written, self._committed = 0, 0  # bytes of the file
        self._kept, self._done = 0, 0  # rows
        self._oldest: float | None = None  # when the oldest row that is not in the database was kept
        self._hurry, self._stop, self._away, self._taking_up = False, False, False, True
        self._forgot = False  # a suggestion that the database lacks is no more among those remembered

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Open a file of its own, take up what dead processes left, and commit while the block lasts; at its end what
        is left, if the database lets it. What it does not take stays on disk. Raises MachineError when the folder
        cannot be written."""
        self._path, self._file = _new_file(self._folder)
        thread = threading.Thread(target=self._work, name="suggestion-log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.settle(seconds=_FAREWELL_SECONDS)
            with self._lock:
                self._stop = True
                self._lock.notify_all()
            thread.join(timeout=_FAREWELL_SECONDS)
            if not thread.is_alive():  # one that waits for the database still reads the file; the process ends anyway
                if self._committed == self._written:
                    self._path.unlink(missing_ok=True)
                os.close(self._file)

    def keep(self, pairs: Sequence[tuple[Ticket, Suggestion]]) -> None:
        """Write suggestions with their cleaned tickets. Raises MachineError when the disk takes no more."""
        if not pairs:
            return
        rows = ({**suggestion_columns(ticket, made), "ticket": ticket, "suggestion": made} for ticket, made in pairs)
        lines = b"".join(_line(suggestions, row) for row in rows)
        self._append(lines, len(pairs), {made.suggestion_id: (ticket, made) for ticket, made in pairs})

    def keep_challenger_answers(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows of challenger_answers, after the suggestions they belong to."""
        self._append(b"".join(_line(challenger_answers, row) for row in rows), len(rows), {})

    def find(self, suggestion_id: str) -> tuple[Ticket, Suggestion] | None:
        """A suggestion that is not in the database yet; None when it is there or unknown here."""
        return self._waiting.get(suggestion_id)

    @property
    def knows_all(self) -> bool:
        """Whether each suggestion is either found here or in the database."""
        return not (self._taking_up or self._forgot)

    @property
    def away(self) -> bool:
        """Whether the last attempt to reach the database failed."""
        return self._away

    def settle(self, *, seconds: float) -> bool:
        """Wait until everything kept before this call, here or by a process that ended, is in the database; False when
        it took longer, or it is away."""
        with self._lock:
            target, self._hurry = self._kept, True
            self._lock.notify_all()

            def there() -> bool:
                return self._done >= target and not self._taking_up

            self._lock.wait_for(lambda: there() or self._away or self._stop, timeout=seconds)
            return there()

    def _append(self, lines: bytes, rows: int, waiting: Mapping[str, tuple[Ticket, Suggestion]]) -> None:
        with self._lock:
            begun = self._written
            try:
                if begun - self._committed + len(lines) > self._most_bytes:
                    raise OSError(errno.EDQUOT, f"{self._most_bytes:,} bytes wait for the database")
                written = os.write(self._file, lines)
                if written != len(lines):
                    raise OSError(errno.ENOSPC, "the disk is full")
            except OSError as error:
                os.ftruncate(self._file, begun)  # half a line would spoil the next
                raise MachineError(
                    f"the suggestion log cannot be written: {error.strerror}.",
                    hint="Free some disk space, or bring the database back.",
                ) from error
            self._written += written
            self._kept += rows
            self._waiting.update(waiting)
            while len(self._waiting) > _REMEMBERED:
                del self._waiting[next(iter(self._waiting))]
                self._forgot = True
            self._oldest = self._oldest or time.time()
            self._lock.notify_all()

    def _work(self) -> None:
        self._take_up_orphans()
        with self._lock:
            self._taking_up = False
            self._lock.notify_all()
        failures = 0
        while self._wait_for_lines():
            try:
                self._commit_lines()
                failures, self._away = 0, False
            except Exception as error:  # whatever it is, a thread that ended would bring nothing in any more
                failures = self._give_way(error, failures)
            self._tell()

    def _wait_for_lines(self) -> bool:
        """Wait until there are lines, and a moment more so that several are committed together; False at the end."""
        with self._lock:
            self._lock.wait_for(lambda: self._written > self._committed or self._stop)
            if self._stop:
                return False
            if not self._hurry:
                self._lock.wait_for(lambda: self._hurry or self._stop, timeout=GATHER_SECONDS)
            self._hurry = False
            return True

    def _commit_lines(self) -> None:
        """Bring what stands in the file into the database, a chunk at a time."""
        while self._committed < self._written and not self._stop:
            lines = _whole_lines(self._file, self._committed)
            rows = self._insert(lines)
            with self._lock:
                self._committed += len(lines)
                self._done += len(rows)
                for row in rows:
                    self._waiting.pop(row["row"].get("suggestion_id"), None)
                if self._committed == self._written:
                    self._oldest = None
                self._forgot = self._forgot and self._committed < self._written
                self._start_anew()
                self._lock.notify_all()

    def _start_anew(self) -> None:
        """Go on in a new file when most of this one is in the database; the little that is not goes along."""
        left = self._written - self._committed
        if self._committed < _WORTH_EMPTYING or left > _WORTH_EMPTYING:
            return
        old, old_file = self._path, self._file
        try:
            path, file = _new_file(self._folder)
        except MachineError:  # the disk takes no more files: go on in the old one
            return
        copied = 0
        with contextlib.suppress(OSError):
            for at in range(self._committed, self._written, _CHUNK):
                copied += os.write(file, os.pread(old_file, min(_CHUNK, self._written - at), at))
        if copied != left:  # the disk is full: go on in the old one
            path.unlink()
            os.close(file)
            return
        self._path, self._file = path, file
        self._written, self._committed = left, 0
        old.unlink(missing_ok=True)
        os.close(old_file)

    def _give_way(self, error: Exception, failures: int) -> int:
        """The database is away, or lines cannot be brought in: tell once, make them safe on disk, wait before the next
        attempt."""
        if failures == 0:
            _tell_why(error)
        with contextlib.suppress(OSError):  # a disk that cannot do it is told when the next line is written
            os.fdatasync(self._file)
        self._tell()
        with self._lock:
            self._away = True
            self._lock.notify_all()
            pause = _PATIENCE[min(failures, len(_PATIENCE) - 1)]
            self._lock.wait_for(lambda: self._stop, timeout=pause)
        return failures + 1

    def _tell(self) -> None:
        oldest = time.time() - self._oldest if self._oldest else 0.0
        self._gauge.spooled(rows=self._kept - self._done, size=self._written - self._committed, oldest_seconds=oldest)

    def _take_up_orphans(self) -> None:
        """Commit the files of processes that ended without doing so."""
        for path in sorted(self._folder.glob("*.jsonl")):
            if path == self._path:
                continue
            with _locked(path) as file:
                if file is not None:
                    self._take_up(path, file)

    def _take_up(self, path: Path, file: int) -> None:
        """Commit all whole lines of a file. What stands after the last line break was never acknowledged."""
        failures, at, taken = 0, 0, 0
        while not self._stop:
            try:
                while lines := _whole_lines(file, at):
                    taken += len(self._insert(lines))
                    at += len(lines)
            except Exception as error:  # as in _work
                failures = self._give_way(error, failures)
                continue
            self._away = False
            path.unlink(missing_ok=True)
            self._gauge.replayed(taken)
            if taken:
                log.warning("suggestions of an ended process kept", rows=taken)
            return

    def _insert(self, lines: bytes) -> list[dict[str, Any]]:
        """Commit whole lines; the rows that they were. Lines that are none are refused once the others are committed:
        each try while the database is away would refuse them again."""
        rows, unreadable = _read(lines)
        insert_rows(self._engine, rows, self._refuse)
        for line in unreadable:
            self._refuse({"line": line.decode("utf-8", "replace")}, "no row of a table that is known")
        return rows

    def _refuse(self, row: Mapping[str, Any], reason: str) -> None:
        """Set a row aside, whole, that the database will never take."""
        log.error("a row of the suggestion log refused", table=row.get("table"), reason=reason)
        with (self._folder / "refused.ndjson").open("ab") as file:
            file.write(orjson.dumps({**row, "reason": reason}) + b"\n")


def insert_rows(
    engine: sa.Engine, rows: Sequence[Mapping[str, Any]], refuse: Callable[[Mapping[str, Any], str], None]
) -> None:
    """Commit lines of the spool, `{"table", "row"}`, in order; those that are there already stay as they are.

    A row that the database refuses for what it holds goes to `refuse`, and the others are committed. Raises
    SQLAlchemyError when the database is away.
    """
    try:
        with engine.begin() as connection:
            for name, table in _TABLES.items():
                if given := [_timed(row) for row in rows if row["table"] == name]:
                    connection.execute(insert_new(engine, table), given)
    except (sa.exc.StatementError, KeyError, TypeError, ValueError) as error:  # the last three: a time that is none
        # Rights that are missing, a table that is being restored, a standby: those pass, and the rows wait for it.
        if isinstance(error, sa.exc.DBAPIError) and not isinstance(error, sa.exc.IntegrityError | sa.exc.DataError):
            raise
        if len(rows) == 1:
            refuse(rows[0], type(error).__qualname__)
            return
        for row in rows:
            insert_rows(engine, [row], refuse)


def _tell_why(error: Exception) -> None:
    kind, waits = type(error).__qualname__, "the suggestion log, on disk"
    if isinstance(error, sa.exc.SQLAlchemyError):
        log.error("database unavailable", kind=kind, waits=waits)
    else:  # a fault of ours, or of the disk: whoever looks for it at the database looks in vain
        log.error("suggestion log not committed", kind=kind, at=where(error), waits=waits)


def _read(lines: bytes) -> tuple[list[dict[str, Any]], list[bytes]]:
    """The rows that the lines are, `{"table", "row"}`, and the lines that are none: a disk that lost power may hold
    anything."""
    rows, unreadable = list[dict[str, Any]](), list[bytes]()
    for line in lines.split(b"\n")[:-1]:
        try:
            read = orjson.loads(line)
            known = read["table"] in _TABLES and isinstance(read["row"], dict)
        except (orjson.JSONDecodeError, TypeError, KeyError):
            known = False
        if known:
            rows.append(read)
        else:
            unreadable.append(line)
    return rows, unreadable


def _whole_lines(file: int, at: int) -> bytes:
    """A chunk of the file from there on, up to its last line break; read on where a single line is longer."""
    chunk = os.pread(file, _CHUNK, at)
    end = chunk.rfind(b"\n") + 1
    while not end and len(chunk) >= _CHUNK:
        more = os.pread(file, _CHUNK, at + len(chunk))
        if not more:
            break
        chunk += more
        end = chunk.rfind(b"\n") + 1
    return chunk[:end]


def _new_file(folder: Path) -> tuple[Path, int]:
    """A file of this process alone. It gets its name when it is locked, so nobody takes it for a dead one's."""
    path = folder / f"{uuid.uuid4().hex}.jsonl"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        opening = path.with_suffix(".opening")
        file = os.open(opening, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        opening.rename(path)
    except OSError as error:
        raise MachineError(
            f"cannot write to {folder}: {error.strerror}.", hint="The suggestion log needs it; mend its rights."
        ) from error
    return path, file


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """The file, opened and locked; None when another process holds it or it is gone."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        yield None
        return
    try:
        yield file if _lock_now(file) else None
    finally:
        os.close(file)


def _lock_now(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _line(table: sa.Table, row: Mapping[str, Any]) -> bytes:
    return orjson.dumps({"table": table.name, "row": row}, option=orjson.OPT_APPEND_NEWLINE)


def _timed(line: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its times read back."""
    row = dict(line["row"])
    for name in _TIMES[line["table"]]:
        row[name] = datetime.fromisoformat(row[name])
    return row
