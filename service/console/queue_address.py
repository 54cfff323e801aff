"""The queue's filters as they stand in an address, so that a view can be bookmarked, shared and gone back to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from urllib.parse import urlencode

from service.choices import Choices
from service.query_values import Day, Word, begins, read_day, read_word
from tickets.ticket_queue import Order, QueueFilter

_NAMES = ("text", "type", "sureness", "language", "channel", "since", "until", "order")


@dataclass(frozen=True)
class QueueAddress:
    """What the address says, as it is written; empty means all. `since` and `until` are days in UTC, both included;
    `type` may name a whole branch of the tree. Read by FastAPI from the query string."""

    text: Word = ""
    type: Word = ""
    sureness: Literal["", "high", "medium", "low", "unsure"] = ""
    language: Word = ""
    channel: Word = ""
    since: Day = ""
    until: Day = ""
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
        since, until = read_day("since", self.since), read_day("until", self.until)
        order: Order = self.order or "newest"
        return QueueFilter(
            contact_types=_branch(choices, self.type) if self.type else None,
            sureness=self.sureness or None,
            language=read_word(self.language) or None,
            channel=read_word(self.channel) or None,
            since=begins(since) if since else None,
            until=begins(until + timedelta(days=1)) if until else None,
            text=read_word(self.text),
            order=order,
        )


def _branch(choices: Choices, contact_type: str) -> tuple[str, ...]:
    """The ids of a contact type and of all below it, retired ones and those they came from included."""
    tree = choices.tree()
    if contact_type not in tree:
        return (read_word(contact_type),)
    branch = tree[contact_type]
    inside = {node.id for node in tree.nodes if branch in tree.ancestors(node.id)}
    return tuple(sorted(inside | {retired for retired, now in tree.mapping.items() if inside.issuperset(now)}))
