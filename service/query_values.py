"""Values of an address's query, as people and bookmarks write them: days, and words that the database is asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Annotated

from fastapi import Query

from service.problems import FieldError, Problem

Word = Annotated[str, Query(max_length=200)]
Day = Annotated[str, Query(max_length=10)]


def read_word(written: str) -> str:
    """The word as a database may be asked for it: PostgreSQL takes no null characters, and holds no ticket with one."""
    return written.replace("\x00", "").encode("utf-8", "replace").decode()


def read_day(name: str, written: str) -> date | None:
    """The day that stands under a name; None where nothing is written. Raises Problem (422)."""
    if not written:
        return None
    try:
        day = date.fromisoformat(written)
        if not 1990 <= day.year <= 2200:
            raise ValueError
    except ValueError:
        error = FieldError(where="query", pointer=f"/{name}", detail="is no day")
        hint = "Write a day such as 2026-03-31."
        raise Problem(422, "invalid", f"`{name}` is no day between 1990 and 2200.", hint=hint, errors=[error]) from None
    return day


def begins(day: date) -> datetime:
    """The first moment of a day, in UTC."""
    return datetime.combine(day, time(), tzinfo=UTC)
