"""The dashboard's filters as they stand in an address: a period, a language, a channel.

Without days of its own the period ends today, or, where nothing came in it, on the newest day that has anything: a
dashboard that is opened long after the last night shows that night.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal
from urllib.parse import urlencode

from service.problems import FieldError, Problem
from service.query_values import Day, Word, begins, read_day, read_word
from tickets.traffic import Slice

PERIODS = (7, 30, 90)
_USUAL = 30
_LONGEST = 1096  # days: three years
_BY_WEEK_FROM = 45  # days; drawn by day, more would be a comb
_NAMES = ("days", "since", "until", "language", "channel")


@dataclass(frozen=True, slots=True)
class Period:
    """Days in UTC, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def by_week(self) -> bool:
        return self.days > _BY_WEEK_FROM

    def step_of(self, day: str) -> str:
        """The day itself, or the Monday of its week where the period is drawn by weeks."""
        if not self.by_week:
            return day
        read = date.fromisoformat(day)
        return (read - timedelta(days=read.weekday())).isoformat()

    def steps(self) -> list[str]:
        """Every step of the period, those without anything too."""
        days = (self.first + timedelta(days=number) for number in range(self.days))
        return list(dict.fromkeys(self.step_of(day.isoformat()) for day in days))


@dataclass(frozen=True)
class DashboardAddress:
    """What the address says, as it is written. `since` and `until` are days in UTC, both included, and go before
    `days`. Read by FastAPI from the query string."""

    days: Literal["", "7", "30", "90"] = ""
    since: Day = ""
    until: Day = ""
    language: Word = ""
    channel: Word = ""

    @property
    def split(self) -> bool:
        """Whether only some of the tickets are asked for."""
        return bool(self.language or self.channel)

    @property
    def query(self) -> str:
        """`?days=7&language=de`, or nothing at all."""
        written = urlencode({name: value for name in _NAMES if (value := getattr(self, name))})
        return f"?{written}" if written else ""

    def period(self, *, today: date, newest: Sequence[date]) -> Period:
        """`newest` are the newest days that have anything; in simulated time they may lie ahead. Raises Problem for
        what is no day, and for days that stand the wrong way round."""
        since, until = read_day("since", self.since), read_day("until", self.until)
        length = timedelta(days=int(self.days or _USUAL) - 1)
        if until is None:
            last = max(newest, default=today)
            near = since is not None or today - length <= last
            until = today if near and last <= today else last
        since = since or until - length
        if since > until or (until - since).days >= _LONGEST:
            detail = "the period ends before it begins" if since > until else "the period is longer than three years"
            error = FieldError(where="query", pointer="/since", detail=detail)
            raise Problem(422, "invalid", f"{detail}.", hint="Choose other days.", errors=[error])
        return Period(since, until)

    def slice_of(self, period: Period) -> Slice:
        """What the database is asked."""
        return Slice(
            since=begins(period.first),
            until=begins(period.last + timedelta(days=1)),
            language=read_word(self.language) or None,
            channel=read_word(self.channel) or None,
        )
