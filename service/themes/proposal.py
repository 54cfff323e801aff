"""The contact type that a theme would be: a form filled with a name, the nearest branch and a description.

Models read the text of a contact type, so the description is what the next one knows of it before its first labels.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated

from pydantic import BaseModel, Field

from service.choices import Choices
from tickets.contact_types import ContactTypeTree
from tickets.theme_log import Theme

MOST_TICKETS = 50  # asked for unless somebody wants more: more than that teach little before the next training
_QUOTED = 3  # examples in a description
_QUOTE = 90  # characters
_MASK = re.compile(r"<[A-Z_]{2,20}>")


class Proposal(BaseModel):
    """What the form holds. `parent` is the id of a branch, empty for the top level; `tickets` are sent to be
    labelled."""

    name: Annotated[str, Field(max_length=100)] = ""
    parent: Annotated[str, Field(max_length=1000)] = ""
    description: Annotated[str, Field(max_length=2000)] = ""
    tickets: Annotated[int, Field(ge=0, le=5000)] = MOST_TICKETS


def proposed(theme: Theme, choices: Choices) -> Proposal:
    """What the form holds at first."""
    return Proposal(
        name=theme.name,
        parent=nearest_branch(theme, choices.tree()) or "",
        description=description(theme),
        tickets=min(MOST_TICKETS, len(theme.ticket_ids)),
    )


def nearest_branch(theme: Theme, tree: ContactTypeTree) -> str | None:
    """The branch that holds most of the contact types its tickets got; None where that is the top level."""
    shares: Counter[str | None] = Counter()
    for contact_type, share in theme.nearest.items():
        for current in tree.migrate(contact_type)[:1]:
            shares[tree[current].parent] += share  # type: ignore[assignment]  # Counter knows whole numbers alone
    return max(shares, key=lambda branch: (shares[branch], branch or "")) if shares else None


def description(theme: Theme) -> str:
    """Its words and the beginnings of its most typical tickets; people make a sentence of it."""
    quotes = [_quote(example["text"]) for example in theme.examples[:_QUOTED]]
    about = f"About {', '.join(theme.words)}." if theme.words else ""
    wrote = f"Customers write: {' '.join(f'“{quote}”' for quote in quotes if quote)}" if any(quotes) else ""
    return f"{about} {wrote}".strip()


def _quote(text: str) -> str:
    plain = " ".join(_MASK.sub(" ", text).split()).strip("… ")
    return plain if len(plain) <= _QUOTE else plain[:_QUOTE].rsplit(" ", 1)[0] + " …"
