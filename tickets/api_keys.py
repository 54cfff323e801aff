"""API keys: made, listed, rotated, revoked, and recognised again. The database holds their hashes, never the keys.

A key is `triage_<key id>_<secret>`. The secret is 256 random bits, so one SHA-256 is enough: nobody can try them out,
and whoever reads the table cannot sign in with what it holds.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import shlex
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import sqlalchemy as sa

from tickets.database import alone, api_keys
from tickets.errors import InputError

Role = Literal["agent", "labeler", "admin"]
ROLES: tuple[Role, ...] = ("agent", "labeler", "admin")  # each may do what those before it may
FIRST_KEY = "first-start"
_LOCK = 7418529631  # names stay unique, and the first key is made once

_WRITTEN = re.compile(r"triage_([0-9a-f]{12})_[0-9a-f]{64}")
_NAME = re.compile(r"[\w.@+-][\w .@+-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as the database knows it. A shared one is used by several people, who say their names themselves."""

    key_id: str
    name: str
    role: Role
    shared: bool
    hash: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def works(self, at: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def is_written(self, key: str) -> bool:
        """Whether `key` is this one, compared in constant time."""
        return hmac.compare_digest(self.hash, hash_of(key))


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def id_of(written: str) -> str | None:
    """The key id in a key as it is written; None for what cannot be a key."""
    found = _WRITTEN.fullmatch(written)
    return found[1] if found else None


def create_key(
    engine: sa.Engine, name: str, role: str, *, at: datetime, days: float | None = None, shared: bool = False
) -> tuple[ApiKey, str]:
    """A new key, and how it is written: the only time that this is known. Raises InputError for a role that does not
    exist, a name that cannot be one, and a name that a working key has."""
    _check(name, role, days)
    with alone(engine, _LOCK) as connection:
        if any(key.works(at) for key in _named(connection, name)):
            raise InputError(
                f"there is a working key named {name!r} already.",
                hint=f"Choose another name, or `triage keys rotate {shlex.quote(name)}` for a new secret.",
            )
        expires = at + timedelta(days=days) if days is not None else None
        return _insert(connection, name, cast(Role, role), at=at, expires_at=expires, shared=shared)


def first_key(engine: sa.Engine, *, at: datetime) -> str | None:
    """A key for the administrator of a service that has none and never had; None where there is or was one.

    Of several processes that start at once, one makes it.
    """
    with alone(engine, _LOCK) as connection:
        admins = sa.select(api_keys.c.key_id).where(api_keys.c.role == "admin").limit(1)
        if connection.execute(admins).first() is not None:
            return None
        _, written = _insert(connection, FIRST_KEY, "admin", at=at, expires_at=None, shared=True)
        return written


def rotate_key(engine: sa.Engine, name: str, *, at: datetime, grace: timedelta = timedelta(0)) -> tuple[ApiKey, str]:
    """A new key in the place of the working one of that name, with its role and as long a life; the old one goes on for
    the grace time. Raises InputError when no key of that name works."""
    with alone(engine, _LOCK) as connection:
        old = [key for key in _named(connection, name) if key.works(at)]
        if not old:
            raise InputError(f"no working key is named {name!r}.", hint="`triage keys list` shows those there are.")
        ends = at + grace
        soon = sa.update(api_keys).where(
            api_keys.c.key_id.in_([key.key_id for key in old]),
            sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > ends),
        )
        connection.execute(soon.values(expires_at=ends))
        newest = old[-1]
        life = newest.expires_at - newest.created_at if newest.expires_at else None
        expires = at + life if life is not None else None
        return _insert(connection, name, newest.role, at=at, expires_at=expires, shared=newest.shared)


def revoke_keys(engine: sa.Engine, name_or_id: str, *, at: datetime) -> list[ApiKey]:
    """End the working keys of that name, or the one with that id, for good. Raises InputError when there is none."""
    with alone(engine, _LOCK) as connection:
        asked = sa.or_(api_keys.c.name == name_or_id, api_keys.c.key_id == name_or_id)
        found = [key for key in _select(connection, asked) if key.works(at)]
        if not found:
            raise InputError(
                f"no working key has the name or id {name_or_id!r}.", hint="`triage keys list` shows those there are."
            )
        ids = [key.key_id for key in found]
        connection.execute(sa.update(api_keys).where(api_keys.c.key_id.in_(ids)).values(revoked_at=at))
    return found


def list_keys(engine: sa.Engine) -> list[ApiKey]:
    """Every key, those that work no more too, oldest first."""
    with engine.connect() as connection:
        return _select(connection, sa.true())


def find_key(engine: sa.Engine, key_id: str) -> ApiKey | None:
    """The key of that id, whether it works or not."""
    with engine.connect() as connection:
        return next(iter(_select(connection, api_keys.c.key_id == key_id)), None)


def note_used(engine: sa.Engine, key_id: str, *, at: datetime) -> None:
    """Keep when a key was last used, by somebody who knew its secret."""
    with engine.begin() as connection:
        connection.execute(sa.update(api_keys).where(api_keys.c.key_id == key_id).values(last_used_at=at))


def _check(name: str, role: str, days: float | None) -> None:
    if role not in ROLES:
        raise InputError(f"{role!r} is no role.", hint=f"Roles are {', '.join(ROLES)}.")
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot name a key.", hint="Letters, digits, spaces and . _ @ + - do, up to 100.")
    if days is not None and not 0 < days <= 36_500:
        raise InputError(f"a key cannot last {days} days.", hint="Give between a part of a day and 36500.")


def _insert(
    connection: sa.Connection, name: str, role: Role, *, at: datetime, expires_at: datetime | None, shared: bool
) -> tuple[ApiKey, str]:
    key_id = secrets.token_hex(6)
    written = f"triage_{key_id}_{secrets.token_hex(32)}"
    facts: dict[str, Any] = {
        **{"key_id": key_id, "name": name, "role": role, "shared": shared, "hash": hash_of(written)},
        **{"created_at": at, "expires_at": expires_at, "revoked_at": None, "last_used_at": None},
    }
    connection.execute(sa.insert(api_keys).values(**facts))
    return ApiKey(**facts), written


def _named(connection: sa.Connection, name: str) -> list[ApiKey]:
    return _select(connection, api_keys.c.name == name)


def _select(connection: sa.Connection, where: sa.ColumnElement[bool]) -> list[ApiKey]:
    query = sa.select(api_keys).where(where).order_by(api_keys.c.created_at, api_keys.c.key_id)
    return [ApiKey(**row) for row in connection.execute(query).mappings()]
