"""The helpdesks there are, each by what the rest of this room asks of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from service.helpdesks import chatwoot, freshdesk, signatures, zammad, zendesk
from service.helpdesks.calls import HelpdeskApi
from service.helpdesks.note import Written
from service.helpdesks.options import HelpdeskOptions
from service.helpdesks.payloads import Told
from service.helpdesks.signatures import Sent


@dataclass(frozen=True, slots=True)
class Kind:
    """One make of helpdesk. `delivery_id` may be empty: then a delivery is known by its content."""

    prove: Callable[[Sent, HelpdeskOptions, datetime], None]
    delivery_id: Callable[[Mapping[str, Any], Mapping[str, str]], str]
    read: Callable[[Mapping[str, Any], HelpdeskOptions, datetime], Told]
    credentials: Callable[[HelpdeskOptions], dict[str, str]]
    noted: Callable[[HelpdeskApi, str, str, HelpdeskOptions], Awaitable[bool]]
    write_back: Callable[[HelpdeskApi, str, Written, HelpdeskOptions], Awaitable[None]]


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "zendesk": Kind(
            signatures.prove_zendesk,
            zendesk.delivery_id,
            zendesk.read,
            zendesk.credentials,
            zendesk.noted,
            zendesk.write_back,
        ),
        "zammad": Kind(
            signatures.prove_zammad,
            zammad.delivery_id,
            zammad.read,
            zammad.credentials,
            zammad.noted,
            zammad.write_back,
        ),
        "chatwoot": Kind(
            signatures.prove_chatwoot,
            chatwoot.delivery_id,
            chatwoot.read,
            chatwoot.credentials,
            chatwoot.noted,
            chatwoot.write_back,
        ),
        "freshdesk": Kind(
            signatures.prove_freshdesk,
            freshdesk.delivery_id,
            freshdesk.read,
            freshdesk.credentials,
            freshdesk.noted,
            freshdesk.write_back,
        ),
    }
)
