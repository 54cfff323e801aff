"""The knobs of access. triage/settings.py fills them from TRIAGE_ACCESS__*, TRIAGE_OIDC__* and TRIAGE_PRIVACY__*."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tickets.api_keys import Role

KeepText = Literal["masked", "none"]
WhoReadsMetrics = Literal["open", "agent", "labeler", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcOptions:
    """The identity provider whose tokens are taken, and which role each value of the role claim gives."""

    issuer: str
    audience: str
    jwks_url: str | None = None  # None: asked of the issuer's openid-configuration
    role_claim: str = "roles"
    roles: Mapping[str, Role] = field(
        default_factory=lambda: {"agent": "agent", "labeler": "labeler", "admin": "admin"}
    )
    leeway_seconds: float = 30.0  # clocks differ
    refresh_seconds: float = 60.0  # between two looks at the provider's keys, whatever ids tokens name


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """Who is let in, how often, and how large and slow requests may be."""

    require_keys: bool = True
    metrics: WhoReadsMetrics = "agent"
    session_hours: float = 12.0
    fresh_seconds: float = 5.0  # a key is looked up again after so long: a revoked one works so long at most
    outage_seconds: float = 600.0  # with the database away, a key seen within that time goes on
    lookup_seconds: float = 2.0  # a database that does not answer in that time counts as away
    requests_per_minute: int = 30_000  # of one key
    failures_per_minute: int = 30  # wrong keys from one address
    max_json_depth: int = 32
    body_seconds: float = 30.0  # for a request's body to arrive
    max_requests: int = 500  # under way at once
    max_connections: int = 2_000
    max_header_bytes: int = 32_768  # request line and headers together
    max_headers: int = 100
    header_seconds: float = 20.0  # for a request's headers to arrive
    trusted_proxies: tuple[str, ...] = ()  # addresses whose X-Forwarded-* are believed
    oidc: OidcOptions | None = None
