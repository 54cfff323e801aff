"""Freshdesk: what an automation rule sends in; tags, a custom field and a private note out.

Webhooks: https://support.freshdesk.com/support/solutions/articles/132589-using-webhooks-in-automation-rules
API: https://developers.freshdesk.com/api/#add_note_to_a_ticket and #update_ticket
"""

from __future__ import annotations

import base64
import html
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
    needed_text,
    part,
    text,
)

_DONE = frozenset({"resolved", "closed", "4", "5"})


def delivery_id(_payload: Mapping[str, Any], _headers: Mapping[str, str]) -> str:
    """Freshdesk names no delivery: it is known by its content."""
    return ""


def read(payload: Mapping[str, Any], options: HelpdeskOptions, now: datetime) -> Told:
    """The rule's content in simple form stands under `freshdesk_webhook`; one written by hand may stand by itself.
    Raises Unreadable."""
    told = part(payload, "freshdesk_webhook") or payload
    happened = label(told.get("triggered_event"))
    new = "ticket_action:created" in happened if happened else bool(text(told.get("ticket_description")))
    return Told(
        arrived=_arrived(told, options, now) if new else None,
        judged=_judged(told, options),
        otherwise="neither a new ticket nor a contact type",
    )


def _arrived(told: Mapping[str, Any], options: HelpdeskOptions, now: datetime) -> Arrived:
    return Arrived(
        ticket_id=identifier(told, "ticket_id"),
        created_at=moment(told.get("ticket_created_at"), now),
        subject=text(told.get("ticket_subject")),
        body=needed_text(told, "ticket_description"),
        channel=label(told.get("ticket_source")).casefold(),
        customer=label(told.get("ticket_contact_email")) or label(told.get("ticket_requester_email")) or None,
        attributes=attributes(told, options.attributes),
    )


def _judged(told: Mapping[str, Any], options: HelpdeskOptions) -> Judged | None:
    """The field `cf_reason` is sent as `ticket_cf_reason`."""
    value = told.get(f"ticket_{options.contact_type_field}") if options.contact_type_field else None
    values = (*labels([value]), *labels(told.get("ticket_tags")))
    if not values:
        return None
    return Judged(
        ticket_id=identifier(told, "ticket_id"),
        values=values,
        final=label(told.get("ticket_status")).casefold() in _DONE,
        agent=None,
    )


def credentials(options: HelpdeskOptions) -> dict[str, str]:
    key = options.token.get_secret_value() if options.token else ""
    return {"authorization": "Basic " + base64.b64encode(f"{key}:X".encode()).decode()}


async def noted(api: HelpdeskApi, ticket_id: str, reference: str, _options: HelpdeskOptions) -> bool:
    """Whether the note is there already."""
    found = await api.send("GET", f"/api/v2/tickets/{ticket_id}/conversations?per_page=100")
    return any(reference in text(one.get("body_text")) for one in found or () if isinstance(one, dict))


async def write_back(api: HelpdeskApi, ticket_id: str, written: Written, options: HelpdeskOptions) -> None:
    """A private note; then field and tags in one update. It replaces tags, so those there are read and kept."""
    if written.note is not None:
        body = "<br>".join(html.escape(line) for line in written.note.split("\n"))
        await api.send("POST", f"/api/v2/tickets/{ticket_id}/notes", {"body": body, "private": True})
    change: dict[str, Any] = {}
    if written.value is not None:
        change["custom_fields"] = {options.contact_type_field: written.value}
    if written.tags:
        found = await api.send("GET", f"/api/v2/tickets/{ticket_id}")
        there = labels(found.get("tags")) if isinstance(found, dict) else ()
        change["tags"] = list(dict.fromkeys((*there, *written.tags)))
    if change:
        await api.send("PUT", f"/api/v2/tickets/{ticket_id}", change)
