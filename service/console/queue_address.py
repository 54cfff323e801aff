"""The queue's filters as they stand in an address, so that a view can be bookmarked, shared and gone back to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Query

from service.choices import Choices
from service.wire import query_day
from tickets.ticket_queue import Order, QueueFilter

_NAMES = ("text", "type", "sureness", "language", "channel", "since", "until", "order")
Word = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True)
class QueueAddress:
    """What the address says, as it is written; empty means all. `since` and `until` are days in UTC, both included;
    `type` may name a whole branch of the tree. Read by FastAPI from the query string."""

    text: Word = ""
    type: Word = ""
    sureness: Literal["", "high", "medium", "low", "unsure"] = ""
    language: Word = ""
    channel: Word = ""
    since: Annotated[str, Query(max_length=10)] = ""
    until: Annotated[str, Query(max_length=10)] = ""
    order: Literal["", "newest", "oldest", "unsure"] = ""

    @property
    def filtered(self) -> bool:
        return any(getattr(self, name) for name in _NAMES if name != "order")

    def query(self, **more: str | None) -> str:
        """`?type=payments&after=...`, or nothing at all; what is empty is left out."""
        given = {name: getattr(self, name) for name in _NAMES} | more
        if given["order"] == "newest":
            given["order"] = ""
        written = urlencode({name: value for name, value in given.items() if value})
        return f"?{written}" if written else ""

    def wanted(self, choices: Choices) -> QueueFilter:
        """What the database is asked. Raises Problem for a day that is none."""
        until = _day("until", self.until)
        order: Order = self.order or "newest"
        return QueueFilter(
            contact_types=_branch(choices, self.type) if self.type else None,
            sureness=self.sureness or None,
            language=_clean(self.language) or None,
            channel=_clean(self.channel) or None,
            since=_day("since", self.since),
            until=until + timedelta(days=1) if until else None,
            text=_clean(self.text),
            order=order,
        )


def _clean(text: str) -> str:
    """PostgreSQL takes no null characters, and holds no ticket that has one."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _branch(choices: Choices, contact_type: str) -> tuple[str, ...]:
    """The ids of a contact type and of all below it, retired ones and those they came from included."""
    tree = choices.tree()
    if contact_type not in tree:
        return (_clean(contact_type),)
    inside = {contact_type}
    grown = True
    while grown:
        more = {node.id for node in tree.nodes if node.parent in inside} - inside
        inside |= more
        grown = bool(more)
    return tuple(sorted(inside | {retired for retired, now in tree.mapping.items() if inside.issuperset(now)}))


def _day(name: str, written: str) -> datetime | None:
    day = query_day(name, written)
    return datetime.combine(day, time(), tzinfo=UTC) if day else None
