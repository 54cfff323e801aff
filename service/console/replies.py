"""A reply made from a template: {{placeholders}} filled from what is known of the ticket, others left to the agent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.pages.shown_text import plain_text
from tickets.records import AttributeValue, ReplyTemplate, Ticket

PLACEHOLDER = re.compile(r"\{\{([^{}]{1,120})\}\}")  # one bounded run: texts of any shape are read in linear time
# What helpdesks and people call the same thing. Zendesk's macros say {{ticket.requester.first_name}}.
_CUSTOMER = ("customer_name", "name", "first_name", "customer", "requester", "requester_name")
_OF_CUSTOMER = frozenset({*_CUSTOMER, "ticket_requester_name", "ticket_requester_first_name", "requester_first_name"})
_OF_AGENT = frozenset(
    {"agent_name", "agent", "agent_first_name", "current_user_name", "current_user_first_name", "signature"}
)
_OF_TICKET = frozenset({"ticket_id", "ticket", "ticket_number", "id"})


@dataclass(frozen=True, slots=True)
class Reply:
    """The text to send, and the placeholders that still stand in it, in order."""

    text: str
    missing: tuple[str, ...]


def fill(template: ReplyTemplate, ticket: Ticket, *, agent: str | None) -> Reply:
    """The template's text with what is known put in. An HTML template becomes text, as it is copied."""
    known = _known(ticket, agent)
    text = PLACEHOLDER.sub(lambda found: known.get(_plain(found[1]), found[0]), plain_text(template.body))
    return Reply(text, missing(text))


def missing(text: str) -> tuple[str, ...]:
    """The placeholders in a text, as written, each once."""
    return tuple(dict.fromkeys(found[0] for found in PLACEHOLDER.finditer(text)))


def _known(ticket: Ticket, agent: str | None) -> Mapping[str, str]:
    """Plain placeholder name -> what to write for it. An attribute goes before a guess by its name."""
    attributes = {_plain(name): _written(value) for name, value in ticket.attributes.items() if value not in (None, "")}
    customer = next((attributes[name] for name in _CUSTOMER if name in attributes), None)
    known = dict.fromkeys(_OF_TICKET, ticket.ticket_id) | {"subject": ticket.subject, "ticket_title": ticket.subject}
    known |= {"channel": ticket.channel, "language": ticket.language or ""}
    known |= dict.fromkeys(_OF_CUSTOMER, customer or "") | dict.fromkeys(_OF_AGENT, agent or "")
    return {name: value for name, value in (known | attributes).items() if value}


def _plain(name: str) -> str:
    """`Ticket.Requester first-name` and `ticket_requester_first_name` are one name."""
    return re.sub(r"[^\w]+", "_", name.strip().casefold()).strip("_")


def _written(value: AttributeValue) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) and abs(value) < 1e6 else str(value)
