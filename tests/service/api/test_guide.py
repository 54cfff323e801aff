"""Every code block of docs/http-api.md, run as it stands against a real service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import Page
from tests.service.conftest import KEY

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs" / "http-api.md"
ADDRESS = "http://127.0.0.1:8000"


def blocks() -> list[str]:
    page = Page(GUIDE.name, GUIDE.read_text(encoding="utf-8"))
    return [block.text for block in page.blocks()]


def run(block: str, address: str, folder: Path) -> str:
    shell = block.startswith(("curl", "printf"))
    command = ["bash", "-e", "-c"] if shell else [sys.executable, "-c"]
    ended = subprocess.run(
        [*command, block.replace(ADDRESS, address)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "TRIAGE_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, f"{block}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@pytest.mark.parametrize("number", range(len(blocks())))
def test_a_block_of_the_guide_does_what_the_guide_says(answering: httpx.Client, tmp_path: Path, number: int) -> None:
    block = blocks()[number]
    said = run(block, str(answering.base_url).rstrip("/"), tmp_path)
    assert said
    if block.startswith(("curl", "printf")):
        told = [json.loads(text) for text in re.split(r"(?<=\})\s*(?=\{)", said)]
        assert "/v1/suggestions/stream" in block or not any("code" in one for one in told), said
        assert told
    else:
        assert "Traceback" not in said


def test_the_guide_shows_every_way_in(answering: httpx.Client) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    paths = [path for path in answering.get("/openapi.json").json()["paths"] if path.startswith("/v1/")]
    missing = [path for path in paths if path not in text]
    assert missing == []
    assert len(blocks()) == 7
