"""What was told to whom: every subject once a channel, and what could not be sent.

Monitoring writes, the dashboard shows. A subject is an alarm or an event of the model's timeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from tickets.database import alerts

Channel = Literal["webhook", "e-mail"]
AlertStatus = Literal["sent", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The last attempt to tell of a subject; `reason` says why it failed."""

    subject: str
    channel: Channel
    status: AlertStatus
    at: datetime
    attempts: int
    reason: str | None


def sent_subjects(engine: sa.Engine, channel: Channel) -> frozenset[str]:
    """What this channel was told already."""
    query = sa.select(alerts.c.subject).where(alerts.c.channel == channel, alerts.c.status == "sent")
    with engine.connect() as connection:
        return frozenset(connection.scalars(query))


def record_attempt(
    engine: sa.Engine, subjects: Sequence[str], channel: Channel, *, at: datetime, failed: str | None
) -> None:
    """One message was tried that told of these subjects; `failed` says why it did not get through."""
    of = (alerts.c.subject, alerts.c.channel)
    status = "sent" if failed is None else "failed"
    with engine.begin() as connection:
        for subject in subjects:
            here = sa.and_(of[0] == subject, of[1] == channel)
            changed = connection.execute(
                sa.update(alerts)
                .where(here)
                .values(status=status, at=at, attempts=alerts.c.attempts + 1, reason=failed)
            )
            if changed.rowcount == 0:
                facts = {"subject": subject, "channel": channel, "status": status, "at": at, "reason": failed}
                connection.execute(sa.insert(alerts).values(**facts, attempts=1))


def newest_alerts(engine: sa.Engine, *, limit: int = 60) -> list[Alert]:
    """Newest attempt first."""
    query = sa.select(alerts).order_by(alerts.c.at.desc(), alerts.c.subject, alerts.c.channel).limit(limit)
    with engine.connect() as connection:
        return [Alert(**row) for row in connection.execute(query).mappings()]
