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


def told(error: Exception) -> TriageError | None:
    """The error as one line says it; None for what is no fault of the world."""
    if isinstance(error, TriageError):
        return error
    if isinstance(error, OSError):
        return _of_files(error)
    if _is_of_database(error):
        return MachineError(
            f"the database stopped answering ({type(error).__name__}).",
            hint="`triage doctor` looks at it. Run the command again: what was done stays done.",
        )
    return None


def _of_files(error: OSError) -> TriageError | None:
    if error.errno in _FULL:
        return MachineError("the disk is full.", hint="Free some space and run again; what was there is as it was.")
    if error.errno in _PLACE and error.filename is not None:
        return MachineError(
            f"cannot use {error.filename}: {error.strerror}.",
            hint="Check that path, its rights and its disk; `triage doctor` looks at the workspace's.",
        )
    return None


def _is_of_database(error: Exception) -> bool:
    """Asked without importing SQLAlchemy, which a command may have done without."""
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    return sqlalchemy is not None and isinstance(error, tuple(getattr(sqlalchemy, name) for name in _DATABASE))
