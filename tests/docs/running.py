"""Runs the blocks of a page that ask for it: for real, in one folder, each going on from the one before.

A block is a process of its own that begins with the variables and the folder the block before left, so `export` and
`cd` last, and that ends at the first command that fails. What it leaves running is ended after the page.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.pages import ROOT, Block, Page

ADDRESS = "127.0.0.1:8000"  # what pages say; each run has a port of its own
_LONGEST_SECONDS = 300
_KEPT_LINES = 30  # of what a failing block said
_PASSED_ON = ("JAVA_HOME", "LD_LIBRARY_PATH", "TMPDIR")


class BlockError(AssertionError):
    """A block ended with an error, or did not print what the page shows."""


@dataclass
class Running:
    """One page under way."""

    folder: Path
    port: int
    sessions: list[int] = field(default_factory=list)  # process groups of the blocks so far
    said: str = ""  # what the block before printed

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def run_page(page: Page, folder: Path) -> int:
    """Run every block that asks for it and look at what is shown beside them; how many ran. Raises BlockError."""
    ran = 0
    with _under_way(folder) as running:
        for block in page.blocks():
            if block.steer == "run":
                running.said = _run(block, running)
                ran += 1
            elif block.steer == "output":
                _compare(block, running.said)
            elif block.steer.startswith("file:"):
                path = folder / block.steer.removeprefix("file:").strip()
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text + "\n", encoding="utf-8")
    return ran


def shows(shown: str, said: str) -> bool:
    """Whether what a page shows stands in what was said: spaces count as one, `…` stands for anything."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in shown.split("…")]
    return re.search(r"\s*.*?\s*".join(parts), said, re.DOTALL) is not None


@contextlib.contextmanager
def _under_way(folder: Path) -> Iterator[Running]:
    (folder / ".bin").mkdir()
    command = folder / ".bin" / "triage"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m triage "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    running = Running(folder, _free_port())
    try:
        yield running
    finally:
        for group in running.sessions:
            _end(group)


def _run(block: Block, running: Running) -> str:
    text = block.text.replace(ADDRESS, running.address)
    script = running.folder / ".block"
    script.write_text(_shell(text) if block.language != "python" else text, encoding="utf-8")
    command = ["bash", str(script)] if block.language != "python" else ["bash", "-c", _PYTHON]
    with open(running.folder / ".said", "w+", encoding="utf-8") as printed:
        started = subprocess.Popen(
            command,
            cwd=running.folder,
            env=_environment(running),
            stdin=subprocess.DEVNULL,
            stdout=printed,  # a file: what is left running in the background would keep a pipe open
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        running.sessions.append(started.pid)
        try:
            code: int | str = started.wait(timeout=_LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            code = f"nothing within {_LONGEST_SECONDS} s"
        printed.seek(0)
        said = printed.read().replace(running.address, ADDRESS)
    if code != 0:
        told = "\n".join(said.splitlines()[-_KEPT_LINES:])
        raise BlockError(f"{block.place} ended with {code}:\n{block.text}\n--- it said:\n{told}")
    return said


_STATE = 'if [ -f "$DOCS_STATE" ]; then source "$DOCS_STATE"; fi\n'
_PYTHON = f'set -e\n{_STATE}exec "{sys.executable}" "$(dirname "$DOCS_STATE")/.block"'


def _shell(text: str) -> str:
    leave = '\n{ export -p; printf "cd %q\\n" "$PWD"; } > "$DOCS_STATE"\n'
    return f"{_STATE}set -eo pipefail\n{text}\nset +e{leave}"


def _environment(running: Running) -> dict[str, str]:
    """Little of ours, so that a page cannot lean on it: paths, one thread, and a port that nobody else has."""
    path = f"{running.folder / '.bin'}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "HOME": str(running.folder),
        "LANG": "C.UTF-8",
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TRIAGE_PORT": str(running.port),
        "DOCS_STATE": str(running.folder / ".state"),
    }


def _compare(block: Block, said: str) -> None:
    if not shows(block.text, said):
        raise BlockError(f"{block.place} shows\n{block.text}\n--- and the block before it said\n{said}")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _end(group: int) -> None:
    """End what a block left running, politely first."""
    for told in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, told)
        except ProcessLookupError:
            return
        for _ in range(50):
            time.sleep(0.1)
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return
