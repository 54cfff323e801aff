"""What was told to whom: every subject once a channel, and what could not be sent.

Monitoring writes, the dashboard shows. A subject is an alarm or an event of the model's timeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from tickets.database import alerts

Channel = Literal["webhook", "e-mail"]
AlertStatus = Literal["sent", "failed"]
TRIED_FOR = timedelta(days=7)  # what is older is news no more


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """The last attempt to tell of a subject; `reason` says why it failed, or whom it did not reach."""

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
    engine: sa.Engine,
    subjects: Sequence[str],
    channel: Channel,
    *,
    at: datetime,
    status: AlertStatus,
    reason: str | None,
) -> None:
    """One message was tried that told of these subjects; `reason` says why it failed, or whom it did not reach. Two
    processes may try at once: what one of them sent stays sent."""
    tried = {"status": status, "at": at, "reason": reason}
    make = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
    with engine.begin() as connection:
        for subject in sorted(subjects):
            row = make(alerts).values(subject=subject, channel=channel, attempts=1, **tried)
            again = row.on_conflict_do_update(
                index_elements=[alerts.c.subject, alerts.c.channel],
                set_={**tried, "attempts": alerts.c.attempts + 1},
                where=alerts.c.status != "sent",
            )
            connection.execute(again)


def newest_alerts(engine: sa.Engine, *, limit: int = 60) -> list[Alert]:
    """Newest attempt first."""
    query = sa.select(alerts).order_by(alerts.c.at.desc(), alerts.c.subject, alerts.c.channel).limit(limit)
    with engine.connect() as connection:
        return [Alert(**row) for row in connection.execute(query).mappings()]
