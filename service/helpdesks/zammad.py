"""Zammad: the ticket and its article in; tags, an attribute and an internal article out.

Payload: https://admin-docs.zammad.org/en/latest/manage/webhook/payload.html
API: https://docs.zammad.org/en/latest/api/ticket/index.html and .../api/ticket/tags.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.helpdesks.calls import HelpdeskApi
from service.helpdesks.note import Written
from service.helpdesks.options import HelpdeskOptions
from service.helpdesks.payloads import (
    Arrived,
    Judged,
    Told,
    attributes,
    identifier,
    label,
    labels,
    moment,
    needed_part,
    needed_text,
    part,
    text,
)

_DONE = frozenset({"closed", "merged"})


def delivery_id(_payload: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """X-Zammad-Delivery, the same for every sending of one delivery."""
    return headers.get("x-zammad-delivery", "")


def read(payload: Mapping[str, Any], options: HelpdeskOptions, now: datetime) -> Told:
    """Zammad does not say what happened. A customer's first article is a new ticket; a field's value is a judgement;
    which of them it is to be, the database tells. Raises Unreadable."""
    ticket = needed_part(payload, "ticket")
    article = part(payload, "article")
    count = ticket.get("article_count")
    first = label(article.get("sender")) == "Customer" and article.get("internal") is not True and count in (None, 1)
    return Told(
        arrived=_arrived(payload, ticket, article, options, now) if first else None,
        judged=_judged(ticket, options),
        otherwise="neither a customer's first article nor a contact type",
    )


def _arrived(
    payload: Mapping[str, Any],
    ticket: Mapping[str, Any],
    article: Mapping[str, Any],
    options: HelpdeskOptions,
    now: datetime,
) -> Arrived:
    return Arrived(
        ticket_id=identifier(ticket, "id"),
        created_at=moment(ticket.get("created_at"), now),
        subject=text(ticket.get("title")),
        body=needed_text(article, "body"),
        channel=_name(article.get("type")) or _name(ticket.get("create_article_type")),
        customer=label(ticket.get("customer_id")) or None,
        attributes=attributes(payload, options.attributes),
    )


def _judged(ticket: Mapping[str, Any], options: HelpdeskOptions) -> Judged | None:
    """The value of the field, and tags where the payload was written to have them."""
    values = (
        *labels([ticket.get(options.contact_type_field)] if options.contact_type_field else []),
        *labels(ticket.get("tags")),
    )
    if not values:
        return None
    agent = label(ticket.get("updated_by_id"))
    return Judged(
        ticket_id=identifier(ticket, "id"),
        values=values,
        final=_name(ticket.get("state")).casefold() in _DONE,
        agent=f"Zammad user {agent}" if agent else None,
    )


def _name(value: Any) -> str:
    """States and types stand as their names or, by version, as objects that have one."""
    return label(value.get("name")) if isinstance(value, dict) else label(value)


def credentials(options: HelpdeskOptions) -> dict[str, str]:
    return {"authorization": f"Token token={options.token.get_secret_value() if options.token else ''}"}


async def noted(api: HelpdeskApi, ticket_id: str, reference: str, _options: HelpdeskOptions) -> bool:
    """Whether the note is there already."""
    found = await api.send("GET", f"/api/v1/ticket_articles/by_ticket/{ticket_id}")
    return any(reference in text(one.get("body")) for one in found or () if isinstance(one, dict))


async def write_back(api: HelpdeskApi, ticket_id: str, written: Written, options: HelpdeskOptions) -> None:
    """An internal article and the field in one update; then tags, one a call, which adds and replaces none."""
    change: dict[str, Any] = {}
    if written.note is not None:
        change["article"] = {
            "subject": "Triage",
            "body": written.note,
            "content_type": "text/plain",
            "type": "note",
            "internal": True,
        }
    if written.value is not None:
        change[options.contact_type_field] = written.value
    if change:
        await api.send("PUT", f"/api/v1/tickets/{ticket_id}", change)
    for tag in written.tags:
        await api.send("POST", "/api/v1/tags/add", {"item": tag, "object": "Ticket", "o_id": ticket_id})
