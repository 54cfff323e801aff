"""The machine that a process runs on: the cores that it may use, its memory, and both in words."""

from __future__ import annotations

import os
import platform
import resource
import sys


def cores() -> int:
    """Cores that this process may use; a container may have fewer than its machine."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable is not None else os.cpu_count() or 1


def memory_mb() -> float:
    """Main memory of the machine, in millions of bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6


def peak_mb(told: int | None = None, system: str = sys.platform) -> float:
    """The most memory that this process has held, in millions of bytes. `told` is what the system says of it: Linux
    counts in units of 1,024 bytes, macOS in bytes."""
    said = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss if told is None else told
    return said * (1 if system == "darwin" else 1024) / 1e6


def machine() -> str:
    """What costs are measured on, in words."""
    count = cores()
    told = "1 core" if count == 1 else f"{count} cores"
    return f"{platform.machine()}, {told}, {memory_mb() / 1000:.0f} GB, Python {platform.python_version()}"
