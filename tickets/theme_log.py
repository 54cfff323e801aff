"""New themes in the operational database: what people write about that no contact type stands for.

Monitoring writes what a night found; people accept a theme as a contact type or dismiss it. A theme that is found again
on later nights keeps its id, its first day and what was decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

import sqlalchemy as sa

from tickets.database import suggestions, themes
from tickets.errors import InputError
from tickets.records import Suggestion, Ticket, suggestion_from_json, ticket_from_json

ThemeStatus = Literal["open", "accepted", "dismissed"]
_DECIDED = ("status", "contact_type", "decided_by", "decided_at")  # what people said of it
_AT_ONCE = 500  # ids in one query
_DAYS_KEPT = 60
_GROWTH_DAYS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """A theme as it was last found. `tickets` and `share` are of that window; `days` counts by day since it was first
    seen; `nearest` holds the contact types that its tickets got, with their shares, greatest first."""

    theme_id: str
    name: str
    words: Sequence[str]
    tickets: int
    share: float
    days: Mapping[str, int]
    examples: Sequence[Mapping[str, str]]
    ticket_ids: Sequence[str]
    nearest: Mapping[str, float]
    centroid: Sequence[float]
    model_version: str
    first_seen: datetime
    last_seen: datetime
    run_id: str
    status: ThemeStatus = "open"
    contact_type: str | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def a_day(self) -> float:
        """Tickets a day, from the first day on which it was seen to the last."""
        if not self.days:
            return 0.0
        first, last = date.fromisoformat(min(self.days)), date.fromisoformat(max(self.days))
        return sum(self.days.values()) / ((last - first).days + 1)

    @property
    def growth(self) -> float | None:
        """The later half of its last two weeks against the earlier, 1.0 being as many; None before it has two days, or
        when the earlier half has no ticket."""
        if len(self.days) < 2:
            return None
        counts = [count for _, count in sorted(self.days.items())][-_GROWTH_DAYS:]
        half = len(counts) // 2
        before, after = sum(counts[:half]) / half, sum(counts[-half:]) / half
        return after / before if before else None


def record(engine: sa.Engine, found: Sequence[Theme]) -> None:
    """Commit a night's themes. One that is known keeps what people decided about it."""
    with engine.begin() as connection:
        for theme in found:
            values = asdict(theme)
            decided = {name: values.pop(name) for name in _DECIDED}
            known = sa.select(themes.c.theme_id).where(themes.c.theme_id == theme.theme_id)
            if connection.execute(known).first():
                connection.execute(sa.update(themes).where(themes.c.theme_id == theme.theme_id).values(**values))
            else:
                connection.execute(sa.insert(themes).values(**values, **decided))


def open_themes(engine: sa.Engine, *, limit: int = 50) -> list[Theme]:
    """Those that nobody has decided about, with most tickets first."""
    order = (themes.c.tickets.desc(), themes.c.theme_id)
    return _read(engine, sa.select(themes).where(themes.c.status == "open").order_by(*order).limit(limit))


def decided_themes(engine: sa.Engine, *, limit: int = 10) -> list[Theme]:
    """Accepted and dismissed ones, what was decided last first."""
    order = (themes.c.decided_at.desc(), themes.c.theme_id)
    return _read(engine, sa.select(themes).where(themes.c.status != "open").order_by(*order).limit(limit))


def latest_themes(engine: sa.Engine, *, limit: int = 200) -> list[Theme]:
    """All, last seen first."""
    order = (themes.c.last_seen.desc(), themes.c.theme_id)
    return _read(engine, sa.select(themes).order_by(*order).limit(limit))


def _read(engine: sa.Engine, query: sa.Select[Any]) -> list[Theme]:
    with engine.connect() as connection:
        return [Theme(**row) for row in connection.execute(query).mappings()]


def find_theme(engine: sa.Engine, theme_id: str) -> Theme:
    """Raises InputError when there is none under this id."""
    row = None
    if "\x00" not in theme_id:  # PostgreSQL takes no such text
        with engine.connect() as connection:
            row = connection.execute(sa.select(themes).where(themes.c.theme_id == theme_id)).mappings().first()
    if row is None:
        raise InputError("there is no theme under this id.", hint="Reload the list of themes.")
    return Theme(**row)


def decide(
    engine: sa.Engine, theme_id: str, status: ThemeStatus, *, by: str, at: datetime, contact_type: str | None = None
) -> bool:
    """Accept or dismiss an open theme, or open a dismissed one again; False when somebody decided otherwise before."""
    before = "dismissed" if status == "open" else "open"
    decided = (None, None) if status == "open" else (by, at)
    with engine.begin() as connection:
        changed = connection.execute(
            sa.update(themes)
            .where(themes.c.theme_id == theme_id, themes.c.status == before)
            .values(status=status, contact_type=contact_type, decided_by=decided[0], decided_at=decided[1])
        )
    return changed.rowcount == 1


def tickets_of(engine: sa.Engine, ticket_ids: Sequence[str]) -> list[tuple[Ticket, Suggestion]]:
    """Tickets with their newest suggestion, in the order of the ids; those that are gone are left out."""
    rows: dict[str, sa.Row[Any]] = {}
    with engine.connect() as connection:
        for start in range(0, len(ticket_ids), _AT_ONCE):
            some = list(ticket_ids[start : start + _AT_ONCE])
            query = (
                sa.select(suggestions)
                .where(suggestions.c.ticket_id.in_(some))
                .order_by(suggestions.c.created_at, suggestions.c.suggestion_id)
            )
            rows.update({row.ticket_id: row for row in connection.execute(query)})
    there = [rows[ticket_id] for ticket_id in ticket_ids if ticket_id in rows]
    return [(ticket_from_json(row.ticket), suggestion_from_json(row.suggestion)) for row in there]


def seen_again(known: Theme, found: Theme) -> Theme:
    """What is known of a theme after a night that found it again: its id, its first day, its days so far, the name
    that people have read; all else is tonight's. A day that both looked at counts as tonight saw it."""
    days = {**known.days, **found.days}
    kept = dict(sorted(days.items())[-_DAYS_KEPT:])
    return Theme(
        **{
            **asdict(found),
            **{name: getattr(known, name) for name in ("theme_id", "name", *_DECIDED)},
            "days": kept,
            "first_seen": min(known.first_seen, found.first_seen),
            "last_seen": max(known.last_seen, found.last_seen),
        }
    )
