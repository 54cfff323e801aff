"""The log of a service process: one JSON object a line, ours and the libraries' alike, or lines for a person.

A line costs the thread that answers some fifteen microseconds. It waits with others up to a fifth of a second before a
thread of its own writes them, so a slow reader holds up no request. Warnings and worse are written at once, and so is
everything when the process ends. Of an exception only its kind and its place are told: its message may repeat what a
customer wrote.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from service.access.log_masking import mask_secrets
from service.options import LogOptions

Render = Callable[[EventDict], bytes]
_FRAMES = 8
_MANY = 64 * 1024  # bytes that are written without further waiting


class LogStream:
    """Writes whole lines to a file descriptor, many at once, from a thread of its own. Safe from several threads.

    Nobody waits for a reader that is slow: beyond `most_bytes` lines are dropped, and their number is told.
    """

    def __init__(self, descriptor: int, *, seconds: float = 0.2, most_bytes: int = 8 << 20) -> None:
        self._descriptor = descriptor
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._changed = threading.Condition()
        self._lines: list[bytes] = []
        self._size = self._dropped = 0
        self._added = self._written = 0  # lines, from the beginning
        self._hurry = self._late = False
        threading.Thread(target=self._work, name="triage-log", daemon=True).start()
        atexit.register(self.flush, patience=1.0)

    def add(self, line: bytes) -> None:
        """Keep a line until the next write."""
        with self._changed:
            if self._size > self._most_bytes:
                self._dropped += 1
                return
            self._lines.append(line)
            self._added += 1
            self._size += len(line)
            if len(self._lines) == 1 or self._size > _MANY:
                self._changed.notify_all()

    def add_now(self, line: bytes) -> None:
        """A line that is written, with those that wait before it, when this returns; later when the reader is slow."""
        self.add(line)
        self.flush()

    # What structlog calls, by level.
    debug = info = msg = add
    warning = error = critical = exception = fatal = add_now

    def flush(self, *, patience: float = 0.1) -> None:
        """Wait until everything is written, so many seconds at most, and not again while that was not enough."""
        with self._changed:
            wanted, self._hurry = self._added, True
            self._changed.notify_all()
            if not self._late:
                self._late = not self._changed.wait_for(lambda: self._written >= wanted, patience)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                self._changed.wait_for(lambda: self._hurry or self._size > _MANY, self._seconds)
                waiting, added, dropped = b"".join(self._lines), self._added, self._dropped
                self._lines, self._size, self._dropped, self._hurry = [], 0, 0, False
            if dropped:
                waiting += orjson.dumps({"event": "log lines dropped", "lines": dropped, "level": "warning"}) + b"\n"
            self._write(waiting)
            with self._changed:
                self._written, self._late = added, False
                self._changed.notify_all()

    def _write(self, waiting: bytes) -> None:
        while waiting:
            try:
                waiting = waiting[os.write(self._descriptor, waiting) :]
            except BlockingIOError:
                time.sleep(0.01)  # a descriptor that does not block, and a reader that is slow
            except OSError:
                return  # nobody reads any more; the service goes on


def configure_logs(options: LogOptions | None = None, *, descriptor: int | None = None) -> LogStream:
    """Send structlog's events and the standard library's through one stream. For a process that does nothing but serve.

    `descriptor` is where lines go, standard error when not given. Returns the stream, to be flushed at the end.
    """
    options = options or LogOptions()
    descriptor = sys.stderr.fileno() if descriptor is None else descriptor
    stream = LogStream(descriptor)
    level = logging.getLevelName(options.level.upper())
    render = _as_json if options.format == "json" else _for_a_person(coloured=os.isatty(descriptor))
    before = [structlog.contextvars.merge_contextvars, _stamp, without_messages, mask_secrets]
    structlog.configure(
        processors=[*before, lambda _logger, _method, event: render(event)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: stream,
        context_class=dict,
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_Library(stream, render))
    root.setLevel(level)
    for noisy in ("alembic", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    return stream


class _Library(logging.Handler):
    """A library's record as an event of ours. Only the first line: those after it repeat exceptions."""

    def __init__(self, stream: LogStream, render: Render) -> None:
        super().__init__()
        self._stream, self._render = stream, render

    def emit(self, record: logging.LogRecord) -> None:
        try:
            first, _, _ = record.getMessage().strip().partition("\n")
            event: EventDict = {"event": first, "logger": record.name, "exc_info": record.exc_info}
            event = structlog.contextvars.merge_contextvars(None, "", event)
            line = self._render(
                mask_secrets(None, "", without_messages(None, "", _stamp(None, record.levelname.lower(), event)))
            )
            (self._stream.add_now if record.levelno >= logging.WARNING else self._stream.add)(line)
        except Exception:  # as logging.Handler asks: a line that cannot be written never ends who wrote it, and is told
            self.handleError(record)


def without_messages(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """An exception as its kind and its last frames. A structlog processor."""
    given = event.pop("exc_info", None)
    if not given:
        return event
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    if error is not None:
        event["kind"] = type(error).__qualname__
        event["at"] = where(error)
    return event


def where(error: BaseException) -> list[str]:
    """The last frames of an exception, outermost first, without its message."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-_FRAMES:]]


def _stamp(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    event["level"] = "error" if method == "exception" else method
    event["timestamp"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return event


def _as_json(event: EventDict) -> bytes:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # text that is no Unicode, a number beyond 64 bits
        return orjson.dumps({name: ascii(value) for name, value in event.items()}, option=orjson.OPT_APPEND_NEWLINE)


def _for_a_person(*, coloured: bool) -> Render:
    renderer = structlog.dev.ConsoleRenderer(colors=coloured)

    def render(event: EventDict) -> bytes:
        shown: Any = renderer(None, event["level"], event)
        return f"{shown}\n".encode(errors="replace")

    return render
