"""The audit log: what administrators did, who signed in, what was refused to whom. Rows are added, never changed; they
leave by age alone, which is an event itself."""

from __future__ import annotations

import os
import pwd
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from tickets.database import audit_log


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One event. `actor` is a key's name, or the user of the machine for what was done on the command line."""

    at: datetime
    actor: str
    action: str
    target: str | None = None
    request_id: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def record(
    engine: sa.Engine,
    *,
    at: datetime,
    actor: str,
    action: str,
    target: str | None = None,
    request_id: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Commit an event. Details are ids, names and roles: neither keys nor what customers wrote."""
    with engine.begin() as connection:
        connection.execute(
            sa.insert(audit_log).values(
                event_id=uuid.uuid4().hex,
                at=at,
                actor=actor,
                action=action,
                target=target,
                request_id=request_id,
                details=dict(details or {}),
            )
        )


def entries(engine: sa.Engine, *, since: datetime | None = None, limit: int = 1000) -> list[AuditEntry]:
    """The newest events since then, oldest first."""
    columns = [column for column in audit_log.columns if column is not audit_log.c.event_id]
    query = sa.select(*columns).order_by(audit_log.c.at.desc(), audit_log.c.event_id).limit(limit)
    if since is not None:
        query = query.where(audit_log.c.at >= since)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    return [AuditEntry(**row._mapping) for row in reversed(rows)]


def count_older(engine: sa.Engine, *, before: datetime) -> int:
    """How many events `prune` would forget."""
    with engine.connect() as connection:
        counted = sa.select(sa.func.count()).select_from(audit_log).where(audit_log.c.at < before)
        return int(connection.execute(counted).scalar_one())


def prune(engine: sa.Engine, *, before: datetime) -> int:
    """Forget what happened before a time; how many events that were."""
    with engine.begin() as connection:
        return connection.execute(sa.delete(audit_log).where(audit_log.c.at < before)).rowcount


def machine_user() -> str:
    """Who runs this process, as an actor: `root@machine`."""
    user = os.getuid()
    try:
        return f"{pwd.getpwuid(user).pw_name}@machine"
    except KeyError:  # a container may run as a user without a name
        return f"{user}@machine"
