"""What is known of each connected helpdesk, and how patiently it is written to. triage/settings.py fills it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

WrittenBack = Literal["tags", "field", "note"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpdeskOptions:
    """One helpdesk. It is connected when something proves that a webhook is its own: a secret or an address token."""

    webhook_secret: SecretStr | None = None  # signs deliveries; for Freshdesk, the value of a header
    url_token: SecretStr | None = None  # ?token= of the address, for a Chatwoot that does not sign
    max_age_seconds: float = 300  # a signed time further away than this is refused
    url: str = ""  # where its API is, such as https://company.zendesk.com
    token: SecretStr | None = None
    user: str | None = None  # Zendesk: whose API token it is; None for an OAuth token
    account: str = ""  # Chatwoot: the account's number
    write_back: frozenset[WrittenBack] = frozenset({"tags", "note"})
    tag_prefix: str = "triage_"
    contact_type_field: str = ""  # as the API names it: Zendesk's by its number
    # Contact type -> the field's value; the id itself where it has none.
    field_values: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)  # name -> where it stands in the payload, with dots
    ticket_prefix: str = ""  # put before ticket ids, where several helpdesks share one workspace

    @property
    def connected(self) -> bool:
        return self.webhook_secret is not None or self.url_token is not None

    @property
    def writes(self) -> frozenset[WrittenBack]:
        """What is written back: nothing without an address and a token."""
        return self.write_back if self.url and self.token is not None else frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Helpdesks:
    """All helpdesks, and the pace of writing back. Times are in seconds."""

    zendesk: HelpdeskOptions = field(default_factory=HelpdeskOptions)
    zammad: HelpdeskOptions = field(default_factory=HelpdeskOptions)
    chatwoot: HelpdeskOptions = field(default_factory=HelpdeskOptions)
    freshdesk: HelpdeskOptions = field(default_factory=HelpdeskOptions)
    max_waiting: int = 1000  # deliveries not yet written back; more are refused with 503, and helpdesks send them again
    at_once: int = 4  # deliveries worked on at the same time
    attempts: int = 8  # tries of one delivery before it has failed
    first_wait: float = 2.0  # after the first failure; doubled after each further one
    longest_wait: float = 600.0  # also what `Retry-After` may ask for at most
    timeout: float = 10.0  # of one request to a helpdesk
    lease: float = 90.0  # a delivery belongs to the process that took it on for this long; longer than a try can last
    look_every: float = 15.0  # how often the database is asked for deliveries that are due
    stop_within: float = 8.0  # what a stopping service gives the tries under way

    def named(self, name: str) -> HelpdeskOptions | None:
        """The helpdesk of this name; None when there is none such or it is not connected."""
        known = {"zendesk": self.zendesk, "zammad": self.zammad, "chatwoot": self.chatwoot, "freshdesk": self.freshdesk}
        found = known.get(name)
        return found if found is not None and found.connected else None
