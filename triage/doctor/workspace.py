"""What `triage doctor` looks at in the workspace: its settings, rights, database, and the model that is served."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import stat
import tempfile
import time
from pathlib import Path

from tickets.database import probe_database
from tickets.errors import ReleaseError, WorkspaceError
from tickets.workspace import Workspace
from triage.doctor.check import Check, nearest
from triage.settings import Settings, database_url, frame_ancestors

_FIRST = "triage import tickets.csv --dataset dataset.toml"
_SECRETS = ("session.secret", "spool/*.jsonl")
_ASKED = "I cannot sign in any more, the app says that my password is wrong."


def settings_fit(settings: Settings) -> Check:
    """What `triage serve` refuses to start with. Raises InputError."""
    from triage.keys import check_reach

    check_reach(settings)
    frame_ancestors(settings)
    return Check(name="settings", found=f"read; `triage serve` listens on {settings.host}:{settings.port}")


def workspace(settings: Settings) -> Check:
    try:
        opened = Workspace.open(settings.workspace)
    except WorkspaceError as error:
        return Check(name="workspace", state="warning", found=error.message, mend=_FIRST)
    return Check(name="workspace", found=str(opened.root))


def rights(settings: Settings) -> Check:
    """The workspace can be written, and nobody else reads what signs sessions or waits to be committed."""
    root = settings.workspace.resolve()
    place = nearest(root)
    quoted = shlex.quote(str(root))
    owner = f"sudo chown -R $(id -un) {quoted}" if place == root else f"sudo install -d -o $(id -un) {quoted}"
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        found = f"{place} cannot be written: {error.strerror}"
        return Check(name="rights", state="wrong", found=found, mend=owner)
    closed = [path for path in _inside(root) if not os.access(path, os.W_OK)]
    if closed:
        return Check(name="rights", state="wrong", found=f"{closed[0]} cannot be written", mend=owner)
    secrets = [path for pattern in _SECRETS for path in root.glob(pattern)]
    open_ones = [path for path in secrets if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if open_ones:
        found = f"others may read {', '.join(path.name for path in open_ones)}"
        return Check(name="rights", state="wrong", found=found, mend=f"chmod 600 {shlex.join(map(str, open_ones))}")
    kept = f"; {len(secrets)} secret files are ours alone" if secrets else ""
    return Check(name="rights", found=f"{place} can be written{kept}")


def _inside(root: Path) -> list[Path]:
    """The parts that commands write to, those that are there."""
    made = ("lake", "catalogue", "manifests", "models", "releases", "reports", "nightly", "experiments", "spool")
    names = (*made, ".aside", "triage.db")
    return [path for name in names if (path := root / name).exists()]


def database(settings: Settings) -> Check:
    """Changes nothing in it. Raises MachineError."""
    if settings.database_url is None and not (settings.workspace / "workspace.json").exists():
        return Check(name="database", found="SQLite in the workspace, made when it is first needed")
    url = settings.database_url or database_url(settings, Workspace.open(settings.workspace))
    found = probe_database(url)
    told = {"sqlite": "SQLite, for one machine", "postgresql": "PostgreSQL"}.get(found.kind, found.kind)
    if not found.there:
        return Check(name="database", found=f"{told}, made when it is first needed")
    if found.revision == found.newest:
        return Check(name="database", found=f"{told}, reachable, schema {found.revision} as needed")
    if found.revision is not None and found.revision > found.newest:
        said = f"{told}: its schema {found.revision} was made by a newer version; this one knows {found.newest}"
        return Check(name="database", state="wrong", found=said, mend="git pull && ./setup.sh")
    state = f"schema {found.revision}" if found.revision else "no tables yet"
    return Check(
        name="database",
        state="warning",
        found=f"{told}, reachable, {state}; {found.newest} is needed",
        mend="triage keys list  # as any command that opens it, brings it up to date; back it up first",
    )


def model(settings: Settings) -> Check:
    """The release opens, every file has its hash, and it answers a ticket. Raises ReleaseError."""
    from models.release import current_release, current_version, versions

    try:
        opened = Workspace.open(settings.workspace)
    except WorkspaceError:
        return Check(name="model", state="warning", found="none: there is no workspace yet", mend=_FIRST)
    if current_version(opened) is None:
        known = versions(opened)
        found = f"none is served; {len(known)} are trained" if known else "none is trained yet"
        mend = f"triage promote {known[-1]}" if known else "triage train --promote"
        return Check(name="model", state="warning", found=found, mend=mend)
    release = current_release(opened)
    from models.suggest import Suggester
    from tickets.records import Ticket

    suggester = Suggester.load(release)
    clock = time.perf_counter()
    asked = Ticket(ticket_id="doctor", created_at=dt.datetime.now(dt.UTC), body=_ASKED)
    (answer,) = suggester.suggest([asked])
    took = 1000 * (time.perf_counter() - clock)
    if not answer.contact_types:
        raise ReleaseError(f"{release.version} answered a ticket without a contact type.", hint="triage rollback")
    return Check(name="model", found=f"{release.version} opens and answered a ticket in {took:.0f} ms")
