"""The log of `triage serve`: JSON lines, a line a request, libraries included, never what customers wrote."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog

from service.logs import LogStream, configure_logs
from service.options import LogOptions

if TYPE_CHECKING:
    from tests.service.operations.conftest import Serve

TICKET = {"ticket": {"body": "Hello, I cannot sign in. My name is Quetzalcoatl."}}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@contextmanager
def configured(options: LogOptions, file: Path) -> Iterator[LogStream]:
    """The service's log in this process, into a file; undone at the end."""
    root = logging.getLogger()
    handlers, level, before = list(root.handlers), root.level, structlog.get_config()
    with file.open("wb") as out:
        stream = configure_logs(options, descriptor=out.fileno())
        try:
            yield stream
        finally:
            stream.flush()
            root.handlers[:] = handlers
            root.setLevel(level)
            logging.captureWarnings(False)
            structlog.configure(**before)


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_every_request_is_one_json_line_without_what_the_customer_wrote(serve: Serve) -> None:
    process = serve()
    headers = {"X-Request-ID": "abc-1", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    assert httpx.post(f"{process.address}/v1/suggestions", json=TICKET, headers=headers).status_code == 200
    assert httpx.get(f"{process.address}/nowhere?text=Quetzalcoatl").status_code == 404
    assert process.end() == 0
    lines = lines_of(process.log)
    (asked,) = [line for line in lines if line.get("request_id") == "abc-1"]
    assert asked["event"] == "request"
    assert (asked["method"], asked["route"], asked["status"]) == ("POST", "/v1/suggestions", 200)
    assert (asked["level"], asked["trace_id"]) == ("info", TRACE)
    assert 0 < asked["milliseconds"] < 10_000
    assert [line["route"] for line in lines if line.get("status") == 404] == ["other"]
    assert "Quetzalcoatl" not in process.log.read_text(encoding="utf-8")


def test_the_level_and_the_format_are_settings(serve: Serve) -> None:
    quiet = serve(TRIAGE_LOG__LEVEL="warning")
    assert quiet.end() == 0
    assert quiet.log.read_text(encoding="utf-8") == ""
    shown = serve(TRIAGE_LOG__FORMAT="console")
    assert shown.end() == 0
    assert "release loaded" in shown.log.read_text(encoding="utf-8")
    assert "{" not in shown.log.read_text(encoding="utf-8")


def test_a_library_logs_through_the_same_lines_and_its_exceptions_lose_their_message(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with configured(LogOptions(), file):
        structlog.contextvars.bind_contextvars(request_id="r-1")
        try:
            raise ValueError("Quetzalcoatl wants a refund")
        except ValueError:
            logging.getLogger("some.package").exception("it failed %s\nValueError: Quetzalcoatl", "here")
            structlog.get_logger().exception("ours failed")
        finally:
            structlog.contextvars.clear_contextvars()
        logging.getLogger("some.package").debug("too small to tell")
    library, ours = lines_of(file)
    assert (library["event"], library["logger"], library["level"]) == ("it failed here", "some.package", "error")
    assert library["request_id"] == ours["request_id"] == "r-1"
    for line in (library, ours):
        assert line["kind"] == "ValueError"
        assert "test_logs.py" in line["at"][-1]
    assert ours["level"] == "error"
    assert "Quetzalcoatl" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1: b"bytes"}, Path("/x")])
def test_a_value_that_json_does_not_know_is_written_all_the_same(tmp_path: Path, value: object) -> None:
    file = tmp_path / "log"
    with configured(LogOptions(), file):
        structlog.get_logger().info("odd", value=value)
    (line,) = lines_of(file)
    assert "odd" in line["event"]
    assert line["value"]


def test_a_warning_is_written_at_once_with_what_waits_before_it(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("wb") as out:
        stream = LogStream(out.fileno(), seconds=60)
        stream.info(b"first\n")
        assert file.read_bytes() == b""
        stream.warning(b"second\n")
        assert file.read_bytes() == b"first\nsecond\n"


def test_lines_do_not_wait_longer_than_a_moment(tmp_path: Path) -> None:
    file = tmp_path / "log"
    with file.open("wb") as out:
        stream = LogStream(out.fileno(), seconds=0.01)
        for number in range(3):
            stream.info(b"%d\n" % number)
            deadline = time.monotonic() + 5
            while not file.read_bytes().endswith(b"%d\n" % number) and time.monotonic() < deadline:
                time.sleep(0.005)
        assert file.read_bytes() == b"0\n1\n2\n"


def test_a_reader_that_went_away_does_not_stop_the_service() -> None:
    reading, writing = os.pipe()
    stream = LogStream(writing, seconds=60)
    os.close(reading)
    stream.warning(b"nobody reads this\n")
    stream.warning(b"nor this\n")
    os.close(writing)


def test_a_slow_reader_holds_up_nobody_and_what_was_dropped_is_told() -> None:
    reading, writing = os.pipe()
    stream = LogStream(writing, seconds=0.01, most_bytes=300_000)
    line = b"x" * 999 + b"\n"
    started = time.monotonic()
    for _ in range(2000):  # two megabytes; a pipe holds 64 KB
        stream.info(line)
    stream.warning(line)
    assert time.monotonic() - started < 2
    received = b""
    while b"log lines dropped" not in received:
        received += os.read(reading, 1 << 20)
        stream.info(line)  # what wakes the writer once there is room
    told = json.loads(next(one for one in received.splitlines() if one.startswith(b"{")))
    assert told["lines"] > 1000
    os.close(reading)
