"""Chatwoot: a conversation's first customer message in; labels, a custom attribute and a private message out.

Events: https://www.chatwoot.com/hc/user-guide/articles/1677693021-how-to-use-webhooks
API: https://developers.chatwoot.com/api-reference/messages/create-new-message and .../conversations/add-labels
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

_JUDGING = frozenset({"conversation_updated", "conversation_status_changed"})


def delivery_id(payload: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """X-Chatwoot-Delivery; a Chatwoot that sends none is known by event, id and time."""
    given = headers.get("x-chatwoot-delivery", "")
    told = [label(payload.get(name)) for name in ("event", "id", "updated_at", "created_at", "timestamp")]
    return given or "-".join(one for one in told if one)


def read(payload: Mapping[str, Any], options: HelpdeskOptions, now: datetime) -> Told:
    """Raises Unreadable for a customer's message without what it needs."""
    event = label(payload.get("event"))
    if not event:
        raise Unreadable("event is missing.")
    if event in _JUDGING:
        return Told(judged=_judged(payload, options), otherwise="a change that says nothing of the contact type")
    if event != "message_created":
        return Told(otherwise="another event")
    if payload.get("message_type") not in ("incoming", 0) or payload.get("private") is True:
        return Told(otherwise="no customer's message")
    conversation = needed_part(payload, "conversation")
    if conversation.get("first_reply_created_at"):
        return Told(otherwise="a message after the first answer")
    return Told(arrived=_arrived(payload, conversation, options, now))


def _arrived(
    payload: Mapping[str, Any], conversation: Mapping[str, Any], options: HelpdeskOptions, now: datetime
) -> Arrived:
    sender, extra = part(payload, "sender"), part(conversation, "additional_attributes")
    return Arrived(
        ticket_id=identifier(conversation, "id"),
        created_at=moment(payload.get("created_at"), now),
        subject=text(extra.get("mail_subject")),
        body=needed_text(payload, "content"),
        channel=label(conversation.get("channel")).removeprefix("Channel::").casefold(),
        customer=label(sender.get("id")) or None,
        attributes=attributes(payload, options.attributes),
    )


def _judged(payload: Mapping[str, Any], options: HelpdeskOptions) -> Judged | None:
    """The conversation's custom attribute and its labels."""
    field = part(payload, "custom_attributes").get(options.contact_type_field) if options.contact_type_field else None
    values = (*labels([field]), *labels(payload.get("labels")))
    if not values:
        return None
    assignee = label(part(part(payload, "meta"), "assignee").get("id"))
    return Judged(
        ticket_id=identifier(payload, "id"),
        values=values,
        final=label(payload.get("status")) == "resolved",
        agent=f"Chatwoot user {assignee}" if assignee else None,
    )


def credentials(options: HelpdeskOptions) -> dict[str, str]:
    return {"api_access_token": options.token.get_secret_value() if options.token else ""}


def _conversation(ticket_id: str, options: HelpdeskOptions) -> str:
    return f"/api/v1/accounts/{options.account}/conversations/{ticket_id}"


async def noted(api: HelpdeskApi, ticket_id: str, reference: str, options: HelpdeskOptions) -> bool:
    """Whether the note is there already."""
    found = await api.send("GET", f"{_conversation(ticket_id, options)}/messages")
    messages = found.get("payload") if isinstance(found, dict) else None
    return any(reference in text(one.get("content")) for one in messages or () if isinstance(one, dict))


async def write_back(api: HelpdeskApi, ticket_id: str, written: Written, options: HelpdeskOptions) -> None:
    """A private message; then the attribute and labels. Both calls replace, so what is there is read and kept."""
    at = _conversation(ticket_id, options)
    if written.note is not None:
        message = {"content": written.note, "message_type": "outgoing", "private": True}
        await api.send("POST", f"{at}/messages", message)
    if written.value is not None:
        found = await api.send("GET", at)
        kept = part(found, "custom_attributes") if isinstance(found, dict) else {}
        attributes_now = {**kept, options.contact_type_field: written.value}
        await api.send("POST", f"{at}/custom_attributes", {"custom_attributes": attributes_now})
    if written.tags:
        found = await api.send("GET", f"{at}/labels")
        there = labels(found.get("payload")) if isinstance(found, dict) else ()
        await api.send("POST", f"{at}/labels", {"labels": list(dict.fromkeys((*there, *written.tags)))})
