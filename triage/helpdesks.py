"""From settings to what the service is told of helpdesks."""

from __future__ import annotations

import dataclasses
from typing import cast

from service.helpdesks.options import HelpdeskOptions, Helpdesks, WrittenBack
from tickets.errors import InputError
from triage.settings import HelpdeskSettings, Settings

_SHORTEST_SECRET = 16


def connected(settings: Settings) -> Helpdesks:
    """Every helpdesk as it is configured. Raises InputError for a setting that lacks its other half, and for a
    secret that is too short."""
    zendesk = dataclasses.replace(_options(settings.zendesk), user=settings.zendesk.email)
    chatwoot = dataclasses.replace(
        _options(settings.chatwoot),
        account=settings.chatwoot.account,
        url_token=settings.chatwoot.url_token,
    )
    if chatwoot.connected and chatwoot.writes and not chatwoot.account.isdecimal():
        raise InputError(
            "TRIAGE_CHATWOOT__ACCOUNT is no number.",
            hint="It is the number after /app/accounts/ in Chatwoot's addresses.",
        )
    zammad, freshdesk = _options(settings.zammad), _options(settings.freshdesk)
    for name, options in (("ZENDESK", zendesk), ("ZAMMAD", zammad), ("CHATWOOT", chatwoot), ("FRESHDESK", freshdesk)):
        _check(name, options)
    return Helpdesks(zendesk=zendesk, zammad=zammad, chatwoot=chatwoot, freshdesk=freshdesk)


def _check(name: str, options: HelpdeskOptions) -> None:
    """Raises InputError for a secret that can be guessed, and for a field without a name."""
    for setting, secret in (("WEBHOOK_SECRET", options.webhook_secret), ("URL_TOKEN", options.url_token)):
        if secret is not None and len(secret.get_secret_value()) < _SHORTEST_SECRET:
            raise InputError(
                f"TRIAGE_{name}__{setting} is shorter than {_SHORTEST_SECRET} characters, so it could be guessed.",
                hint="Take the helpdesk's own, or make one: openssl rand -hex 32. Unset it where none is connected.",
            )
    if options.connected and "field" in options.write_back and not options.contact_type_field:
        raise InputError(
            f"TRIAGE_{name}__WRITE_BACK has `field`, but no field is named.",
            hint=f"Set TRIAGE_{name}__CONTACT_TYPE_FIELD, or leave `field` out.",
        )


def _options(given: HelpdeskSettings) -> HelpdeskOptions:
    return HelpdeskOptions(
        webhook_secret=given.webhook_secret,
        max_age_seconds=given.max_age_seconds,
        url=given.url or "",
        token=given.token,
        write_back=frozenset(cast("tuple[WrittenBack, ...]", given.ways())),
        tag_prefix=given.tag_prefix,
        contact_type_field=given.contact_type_field,
        field_values=given.field_values,
        attributes=given.attributes,
        ticket_prefix=given.ticket_prefix,
    )
