"""From settings to what the service is told of helpdesks."""

from __future__ import annotations

import dataclasses
from typing import cast

from service.helpdesks.options import HelpdeskOptions, Helpdesks, WrittenBack
from tickets.errors import InputError
from triage.settings import HelpdeskSettings, Settings


def connected(settings: Settings) -> Helpdesks:
    """Every helpdesk as it is configured. Raises InputError for a setting that lacks its other half."""
    zendesk = dataclasses.replace(_options("ZENDESK", settings.zendesk), user=settings.zendesk.email)
    chatwoot = dataclasses.replace(
        _options("CHATWOOT", settings.chatwoot),
        account=settings.chatwoot.account,
        url_token=settings.chatwoot.url_token,
    )
    if chatwoot.connected and chatwoot.writes and not chatwoot.account.isdecimal():
        raise InputError(
            "TRIAGE_CHATWOOT__ACCOUNT is no number.",
            hint="It is the number after /app/accounts/ in Chatwoot's addresses.",
        )
    return Helpdesks(
        zendesk=zendesk,
        zammad=_options("ZAMMAD", settings.zammad),
        chatwoot=chatwoot,
        freshdesk=_options("FRESHDESK", settings.freshdesk),
    )


def _options(name: str, given: HelpdeskSettings) -> HelpdeskOptions:
    ways = frozenset(cast("tuple[WrittenBack, ...]", given.ways()))
    if given.webhook_secret is not None and "field" in ways and not given.contact_type_field:
        raise InputError(
            f"TRIAGE_{name}__WRITE_BACK has `field`, but no field is named.",
            hint=f"Set TRIAGE_{name}__CONTACT_TYPE_FIELD, or leave `field` out.",
        )
    return HelpdeskOptions(
        webhook_secret=given.webhook_secret,
        max_age_seconds=given.max_age_seconds,
        url=given.url or "",
        token=given.token,
        write_back=ways,
        tag_prefix=given.tag_prefix,
        contact_type_field=given.contact_type_field,
        field_values=given.field_values,
        attributes=given.attributes,
        ticket_prefix=given.ticket_prefix,
    )
