"""`triage doctor`: what this machine and workspace lack, and the command that mends it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tickets.database import probe_database
from tickets.errors import TriageError
from tickets.workspace import Workspace
from triage.settings import Settings, database_url

_PACKAGES = {"pipeline": "pyspark", "models": "torch", "service": "fastapi", "monitoring": "evidently"}
_MIN_DISK_GB, _MIN_MEMORY_GB = 2, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: `ok`, what was found, and what to do when it is not."""

    name: str
    ok: bool
    found: str
    advice: str = ""


def examine(settings: Settings) -> list[Check]:
    """Every check, in the order in which a newcomer meets them. Never raises for what it is there to find."""
    return [*_packages(), _java(), _disk(settings), _memory(), _port(settings), *_workspace(settings)]


def _packages() -> Iterator[Check]:
    for extra, package in _PACKAGES.items():
        found = importlib.util.find_spec(package) is not None
        advice = f"pip install -c constraints.txt -e '.[{extra}]'"
        yield Check(name=f"packages for {extra}/", ok=found, found=package if found else f"no {package}", advice=advice)


def _java() -> Check:
    from pipeline.session import java_version

    return _attempt("Java for Spark", lambda: f"version {java_version()}")


def _disk(settings: Settings) -> Check:
    folder = settings.workspace.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 1e9
    return Check(
        name="disk",
        ok=free >= _MIN_DISK_GB,
        found=f"{free:.0f} GB free at {folder}",
        advice=f"Free some space: {_MIN_DISK_GB} GB are wanted, more for long histories.",
    )


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    advice = f"{_MIN_MEMORY_GB} GB are wanted for Spark and training."
    return Check(name="memory", ok=total >= _MIN_MEMORY_GB, found=f"{total:.0f} GB", advice=advice)


def _port(settings: Settings) -> Check:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        try:
            taken = probe.connect_ex((settings.host, settings.port)) == 0
        except OSError as error:  # a host name that nobody knows
            found, advice = f"{settings.host}: {error}", "Set TRIAGE_HOST to an address of this machine."
            return Check(name="port", ok=False, found=found, advice=advice)
    return Check(
        name="port",
        ok=not taken,
        found=f"{settings.port} is {'taken' if taken else 'free'} on {settings.host}",
        advice="If that is not a running `triage serve`, choose another with TRIAGE_PORT.",
    )


def _workspace(settings: Settings) -> Iterator[Check]:
    from models.release import current_release

    opened = _attempt("workspace", lambda: str(Workspace.open(settings.workspace).root))
    yield opened
    if not opened.ok:
        return
    workspace = Workspace.open(settings.workspace)

    yield _attempt("database", lambda: probe_database(database_url(settings, workspace)))
    yield _attempt("release", lambda: current_release(workspace).version)


def _attempt(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name=name, ok=True, found=look())
    except TriageError as error:
        return Check(name=name, ok=False, found=error.message, advice=error.hint)
