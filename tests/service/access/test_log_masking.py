"""The last guard of the log, on lines that no code of ours should write."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest
import structlog

from service.access.log_masking import mask_line
from service.logs import configure_logs

KEY = f"triage_0123456789ab_{'5eed' * 16}"


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("mail ana.lucia@example.com now", "mail <EMAIL> now"),
        ("card 4111 1111 1111 1111", "card <CARD>"),
        ("card 4111\n1111\n1111\n1111", "card <CARD>"),
        ("call +351 912 345 678", "call <PHONE>"),
        (f"key {KEY} refused", "key <SECRET> refused"),
        (f"Authorization: Bearer {KEY}", "Authorization: <SECRET>"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln", "token <SECRET>"),
        ("GET /login?key=" + KEY, "GET /login?key=<SECRET>"),
        ("20261130-090000-a1b2c3 promoted", "20261130-090000-a1b2c3 promoted"),
        ("took 1234 ms on 127.0.0.1:8000", "took 1234 ms on 127.0.0.1:8000"),
        ("/v1/suggestions", "/v1/suggestions"),
    ],
)
def test_what_identifies_or_lets_in_is_masked_and_the_rest_stays(line: str, masked: str) -> None:
    assert mask_line(line) == masked


def test_the_service_log_masks_every_string_at_any_depth(tmp_path: Path) -> None:
    file = (tmp_path / "log").open("wb")
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = configure_logs(descriptor=file.fileno())
    request_id = "41111111111111114111111111111111"
    structlog.get_logger().error(
        "failed for ana@example.com",
        request_id=request_id,
        details={"to": ["bob@example.com", {"key": KEY}], "count": 3},
        tried=("4111 1111 1111 1111",),
    )
    try:
        raise ValueError("no such user eve@example.com")
    except ValueError:
        structlog.get_logger().exception("unexpected")
    stream.flush()
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    file.close()
    written = (tmp_path / "log").read_text(encoding="utf-8")
    first = json.loads(written.splitlines()[0])
    assert first["event"] == "failed for <EMAIL>"
    assert first["details"] == {"to": ["<EMAIL>", {"key": "<SECRET>"}], "count": 3}
    assert first["tried"] == ["<CARD>"]
    assert first["request_id"] == request_id
    assert "example.com" not in written
    assert "5eed" not in written


def test_a_long_line_is_masked_in_little_time() -> None:
    started = time.process_time()
    for text in ("a@" * 50_000, "1 " * 50_000, "triage_" * 20_000, "eyJ" * 40_000, "Bearer " * 20_000, "a." * 50_000):
        mask_line(text)
    assert time.process_time() - started < 3.0
