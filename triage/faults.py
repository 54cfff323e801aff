"""What went wrong in the world, told as an error that a person can mend: a full disk, missing rights, a database that
went away in the middle of the work. Whatever else nobody raised on purpose is a fault of ours and stays a traceback."""

from __future__ import annotations

import errno
import sys

from tickets.errors import MachineError, TriageError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_PLACE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EIO, errno.EMFILE, errno.ESTALE),
)
_DATABASE = ("OperationalError", "InterfaceError", "TimeoutError")
_OURS = ("no such table", "no such column", "syntax error", "has no column")
_SQLITE = (
    ("is full", "the disk of the database is full.", "Free some space and run again; what was there is as it was."),
    ("readonly", "the database cannot be written.", "`triage doctor` says whose it is and how to change that."),
    (
        "locked",
        "the database is held by another process.",
        "Wait for it and run again; SQLite has one writer at a time.",
    ),
)


def told(error: Exception) -> TriageError | None:
    """The error as one line says it; None for what is no fault of the world."""
    if isinstance(error, TriageError):
        return error
    if isinstance(error, OSError):
        return _of_files(error)
    return _of_database(error)


def _of_files(error: OSError) -> TriageError | None:
    if error.errno in _FULL:
        return MachineError("the disk is full.", hint="Free some space and run again; what was there is as it was.")
    if error.errno in _PLACE and error.filename is not None:
        return MachineError(
            f"cannot use {error.filename}: {error.strerror}.",
            hint="Check that path, its rights and its disk; `triage doctor` looks at the workspace's.",
        )
    return None


def _of_database(error: Exception) -> TriageError | None:
    """Asked without importing SQLAlchemy, which a command may have done without. SQLite tells a wrong statement, which
    is a fault of ours, and a full disk by the same class as a database that went away."""
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    if sqlalchemy is None or not isinstance(error, tuple(getattr(sqlalchemy, name) for name in _DATABASE)):
        return None
    cause = str(getattr(error, "orig", "")).casefold()
    if any(sign in cause for sign in _OURS):
        return None
    for sign, said, hint in _SQLITE:
        if sign in cause:
            return MachineError(said, hint=hint)
    return MachineError(
        f"the database stopped answering ({type(error).__name__}).",
        hint="`triage doctor` looks at it. Run the command again: what was done stays done.",
    )
