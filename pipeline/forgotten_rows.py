"""Source rows that were forgotten, so that no import of a file that still holds them brings them back.

What is kept is a hash of each row, whole. Only who has the very row can tell that it is among them; the person, their
ticket and their words cannot be told from it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path

from tickets.workspace import Workspace, write_text

FILE = "forgotten.txt"  # in the workspace: a hash a line, sorted


def row_hash(fields: str, *, salt: str) -> str:
    """32 hexadecimal characters, different in every dataset (the salt). `fields` is RAW.fields."""
    return hashlib.sha256(f"{salt}\x00{fields}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def keep_out(workspace: Workspace, hashes: Collection[str]) -> None:
    """Have no import take these rows again; the caller holds the lock."""
    known = _known(workspace)
    if not known.issuperset(hashes):
        write_text(_path(workspace), "".join(f"{one}\n" for one in sorted(known.union(hashes))))


def kept_out(workspace: Workspace, *, salt: str) -> Callable[[str], bool] | None:
    """Tells whether a source row, by its `fields`, was forgotten; None when none ever was."""
    known = _known(workspace)
    return (lambda fields: row_hash(fields, salt=salt) in known) if known else None


def _known(workspace: Workspace) -> set[str]:
    path = _path(workspace)
    return set(path.read_text(encoding="utf-8").split()) if path.exists() else set()


def _path(workspace: Workspace) -> Path:
    return workspace.root / FILE
