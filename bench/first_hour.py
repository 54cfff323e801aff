"""The first hour with a stopwatch: docs/getting-started.md from clone to suggestions for one's own tickets, as written.

    python bench/first_hour.py [--quick] [--tickets tickets.csv --dataset dataset.toml]

Clones this repository as it is committed and runs the shell blocks of the page one after another, with a home directory
of its own, so that packages are fetched anew. Own tickets are the public complaints (docs/experiments.md), or those of
a file and a dataset.toml of yours. It ends with the answer to the page's own request. --quick leaves the demonstration
out, as the page allows. Reading is counted at 200 words a minute. Not run: the installation of Java and Python as root,
and what the page tells about nights. What was typed and said goes to bench/out/first_hour.log.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from bench_record import OUT, record
from public_data import COMPLAINTS

ROOT = Path(__file__).resolve().parents[1]
PAGE = "docs/getting-started.md"
OWN_TICKETS, OWN_DATASET = "tickets.csv", "dataset.toml"  # as the page calls them
WORDS_A_MINUTE = 200
_SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LEFT_OUT = ("sudo ", "git clone ", "triage nightly", "triage doctor")
_ENDED = "-- the block has ended --"
_SERVICE = "http://127.0.0.1:8000"
_STARTED_WITHIN = 60.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="without the demonstration")
    parser.add_argument("--tickets", type=Path, help="a CSV file instead of the complaints")
    parser.add_argument("--dataset", type=Path, default=ROOT / "pipeline" / "datasets" / "cfpb.toml")
    asked = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "ticket-triage"
        took = {"git clone": _timed(lambda: subprocess.run(["git", "clone", "-q", ROOT, clone], check=True))}
        page = (clone / PAGE).read_text(encoding="utf-8")
        (clone / OWN_TICKETS).write_bytes(asked.tickets.read_bytes() if asked.tickets else _complaints())
        (clone / OWN_DATASET).write_bytes(asked.dataset.read_bytes())
        with Terminal(clone, home=Path(folder) / "home") as terminal:
            OUT.mkdir(exist_ok=True)
            with (OUT / "first_hour.log").open("w", encoding="utf-8") as log:
                for block in _blocks(page, demonstration=not asked.quick):
                    took[_name(block)] = _timed(lambda block=block: terminal.type(block))
                    print(f"{took[_name(block)]:8.1f} s  {_name(block)}", flush=True)
                    log.write(f"$ {block}{terminal.said}\n({took[_name(block)]:.1f} s)\n\n")
            answer = json.loads(terminal.said.strip().splitlines()[-1])
    machine, reading = sum(took.values()), len(page.split()) / WORDS_A_MINUTE
    figures: dict[str, float | int | str | bool] = {
        "machine_minutes": round(machine / 60, 1),
        "reading_minutes": round(reading, 1),
        "minutes": round(machine / 60 + reading, 1),
        "first_contact_type": answer["contact_types"][0]["path"],
        **{f"{name}_seconds": round(seconds, 1) for name, seconds in took.items()},
    }
    record("first_hour", {**figures, "quick": asked.quick}, seconds=time.perf_counter() - began)


class Terminal:
    """A shell in the clone that a newcomer types the page into; what blocks export and source lasts."""

    def __init__(self, clone: Path, *, home: Path) -> None:
        home.mkdir()
        ours = ("VIRTUAL_ENV", "PYTHONPATH", "XDG_CACHE_HOME")
        kept = {
            name: value for name, value in os.environ.items() if name not in ours and not name.startswith("TRIAGE_")
        }
        self.said = ""  # by the block before
        self._shell = subprocess.Popen(
            ["bash", "-e"], cwd=clone, env={**kept, "HOME": str(home)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        """End the shell and what it left running."""
        os.killpg(self._shell.pid, signal.SIGTERM)
        with self._shell:  # closes its pipes
            self._shell.wait()

    def type(self, block: str) -> None:
        """Run a block to its end; one that serves, until it is ready. Raises RuntimeError with what was said."""
        serves = re.search(r"^triage serve", block, re.MULTILINE)
        if serves:
            self.stop_service()
            block = block[: serves.start()] + block[serves.start() :].rstrip() + " > serve.log 2>&1 & service=$!\n"
        self._run(block)
        if serves:
            _wait_for_service()

    def stop_service(self) -> None:
        self._run("[ -z $service ] || { kill $service; wait $service || true; service=; }")

    def _run(self, text: str) -> None:
        """To its end; what it says is in `said`. A command that fails ends the shell: that raises RuntimeError."""
        stdin, stdout = self._shell.stdin, self._shell.stdout
        assert stdin is not None and stdout is not None
        stdin.write(f"{text}\nprintf '\\n%s\\n' '{_ENDED}'\n")
        stdin.flush()
        lines: list[str] = []
        for line in stdout:
            if line.startswith(_ENDED):
                self.said = "".join(lines)
                return
            lines.append(line)
        raise RuntimeError(f"a command failed; it said:\n{''.join(lines[-30:])}")


def _wait_for_service() -> None:
    until = time.monotonic() + _STARTED_WITHIN
    while time.monotonic() < until:
        try:
            if httpx.get(f"{_SERVICE}/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"nothing is ready at {_SERVICE} within {_STARTED_WITHIN:.0f} s.")


def _blocks(page: str, *, demonstration: bool) -> Iterator[str]:
    """The page's shell blocks in order, up to the request; without the demonstration, from its own set-up on."""
    begin = 0 if demonstration else page.index("## Your own tickets")
    for block in _SHELL_BLOCK.findall(page[begin:]):
        if not block.startswith(_LEFT_OUT):
            yield block
        if block.startswith("curl "):
            return
    raise RuntimeError(f"{PAGE} has no request to the service any more.")


def _name(block: str) -> str:
    """Its first command, as short as tells it from the others: `triage_serve_demo`, `triage_import_tickets.csv`."""
    lines = [line for line in block.splitlines() if not line.startswith("source ")]
    return "_".join(re.findall(r"(?<!\S)\w[\w.-]*(?!\S)", re.split(r'[#"]', lines[0])[0])[:3])


def _timed(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _complaints() -> bytes:
    return gzip.decompress(COMPLAINTS.read_bytes())


if __name__ == "__main__":
    main()
