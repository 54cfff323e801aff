"""Requests made up from the description of the API: no fault, no undocumented status, every answer as described."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.service.conftest import KEY

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
)
# A wrong request that is also too large is told the latter. A line that is no ticket is answered in its own line, so a
# stream as a whole is not refused for it.
EXCEPTIONS = """
[checks]
negative_data_rejection.expected-statuses = ["400", "404", "405", "413", "415", "422"]

[[operations]]
include-name = "POST /v1/suggestions/stream"
checks.negative_data_rejection.expected-statuses = ["200", "400", "405", "415", "422"]
"""


@pytest.mark.slow
def test_the_service_does_what_its_description_says(answering: httpx.Client, tmp_path: Path) -> None:
    command = [
        *(Path(sys.executable).with_name("schemathesis"), "run", f"{answering.base_url}/openapi.json"),
        *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--max-examples", "40"),
        *("--header", f"Authorization: Bearer {KEY}"),
        *("--seed", "1", "--no-shrink", "--continue-on-failure", "--no-color", "--warnings", "off"),
    ]
    (tmp_path / "schemathesis.toml").write_text(EXCEPTIONS, encoding="utf-8")
    told = {**os.environ, "SCHEMATHESIS_HOOKS": str(Path(__file__).with_name("schemathesis_hooks.py"))}
    ended = subprocess.run(command, cwd=tmp_path, env=told, capture_output=True, text=True, timeout=300, check=False)
    report = "\n".join(line[:400] for line in (ended.stdout + ended.stderr).splitlines() if line.strip())
    assert ended.returncode == 0, report[-20_000:]
