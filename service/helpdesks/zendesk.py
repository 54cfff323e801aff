"""Zendesk: ticket events in; tags, a custom field and an internal comment out.

Events: https://developer.zendesk.com/api-reference/webhooks/event-types/ticket-events
API: https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/#update-ticket and .../ticket-management/tags
"""

from __future__ import annotations

import base64
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
    Unreadable,
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

_TICKET_EVENT = "zen:event-type:ticket."
_JUDGING = frozenset({"custom_field_changed", "status_changed", "tags_changed"})
_DONE = frozenset({"solved", "closed"})


def delivery_id(payload: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The event's id, which is signed; the header X-Zendesk-Webhook-Invocation-Id, which is not, where it has none."""
    return label(payload.get("id")) or headers.get("x-zendesk-webhook-invocation-id", "")


def read(payload: Mapping[str, Any], options: HelpdeskOptions, now: datetime) -> Told:
    """Raises Unreadable for a ticket event without what it needs."""
    kind = label(payload.get("type"))
    if not kind:
        raise Unreadable("type is missing: subscribe the webhook to Zendesk events.")
    if kind == f"{_TICKET_EVENT}created":
        return Told(arrived=_arrived(payload, options, now))
    if kind.removeprefix(_TICKET_EVENT) in _JUDGING:
        return Told(judged=_judged(payload, options), otherwise="a change that says nothing of the contact type")
    return Told(otherwise="another event")


def _arrived(payload: Mapping[str, Any], options: HelpdeskOptions, now: datetime) -> Arrived:
    detail = needed_part(payload, "detail")
    return Arrived(
        ticket_id=identifier(detail, "id"),
        created_at=moment(detail.get("created_at"), now),
        subject=text(detail.get("subject")),
        body=needed_text(detail, "description"),
        channel=label(part(detail, "via").get("channel")),
        customer=label(detail.get("requester_id")) or None,
        attributes=attributes(payload, options.attributes),
    )


def _judged(payload: Mapping[str, Any], options: HelpdeskOptions) -> Judged | None:
    """A changed field tells its value. Other events carry no fields, but a drop-down's option is among the tags."""
    detail, event = needed_part(payload, "detail"), part(payload, "event")
    if label(payload.get("type")).endswith("custom_field_changed"):
        changed = part(event, "custom_field") or part(event, "field")
        if not options.contact_type_field or label(changed.get("id")) != options.contact_type_field:
            return None
        current = event.get("current")
        values = labels([current.get("value") if isinstance(current, dict) else current])
    else:
        values = labels(detail.get("tags"))
    actor = label(detail.get("actor_id"))
    return Judged(
        ticket_id=identifier(detail, "id"),
        values=values,
        final=label(detail.get("status")).casefold() in _DONE,
        agent=f"Zendesk user {actor}" if actor else None,
    )


def credentials(options: HelpdeskOptions) -> dict[str, str]:
    token = options.token.get_secret_value() if options.token else ""
    if options.user is None:
        return {"authorization": f"Bearer {token}"}
    return {"authorization": "Basic " + base64.b64encode(f"{options.user}/token:{token}".encode()).decode()}


async def noted(api: HelpdeskApi, ticket_id: str, reference: str, _options: HelpdeskOptions) -> bool:
    """Whether the note is there already."""
    found = await api.send("GET", f"/api/v2/tickets/{ticket_id}/comments.json?sort=-created_at&page%5Bsize%5D=100")
    comments = found.get("comments") if isinstance(found, dict) else None
    return any(reference in text(one.get("body")) for one in comments or () if isinstance(one, dict))


async def write_back(api: HelpdeskApi, ticket_id: str, written: Written, options: HelpdeskOptions) -> None:
    """An internal comment and the field in one update; then tags, by the call that adds and replaces none."""
    change: dict[str, Any] = {}
    if written.note is not None:
        change["comment"] = {"body": written.note, "public": False}
    if written.value is not None:
        number = (
            int(options.contact_type_field) if options.contact_type_field.isdecimal() else options.contact_type_field
        )
        change["custom_fields"] = [{"id": number, "value": written.value}]
    if change:
        await api.send("PUT", f"/api/v2/tickets/{ticket_id}.json", {"ticket": change})
    if written.tags:
        await api.send("PUT", f"/api/v2/tickets/{ticket_id}/tags.json", {"tags": list(written.tags)})
