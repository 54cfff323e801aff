"""How every bench leaves its figures: one flat JSON object under bench/out/, with the machine and the seconds."""

from __future__ import annotations

import json
import os
import platform
import resource
from collections.abc import Mapping
from pathlib import Path

OUT = Path(__file__).with_name("out")


def record(name: str, figures: Mapping[str, float | int | str | bool], *, seconds: float) -> None:
    """Write bench/out/<name>.json and print it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"
    whole = {**figures, "machine": machine, "seconds": round(seconds, 1)}
    OUT.mkdir(exist_ok=True)
    text = json.dumps(whole, indent=1)
    (OUT / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(text)


def peak_mb() -> int:
    """The largest resident size so far: of this process, or of any child that has ended."""
    largest = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(largest / 1024)
