"""API keys and access as functions: each opens the workspace's database, changes a key, and writes the audit log."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tickets import api_keys
from tickets.api_keys import ApiKey
from tickets.audit import AuditEntry, entries, machine_user, record
from tickets.errors import InputError
from tickets.workspace import Workspace
from triage.settings import Settings, database

if TYPE_CHECKING:
    import sqlalchemy as sa

    from service.access.options import AccessOptions


def check_reach(settings: Settings) -> None:
    """Raises InputError for a host that other machines reach while no keys are required, unless that was said to be
    meant."""
    access = settings.access
    if access.require_keys or access.open_to_network or is_loopback(settings.host):
        return
    raise InputError(
        f"the service would listen on {settings.host} for everybody, without keys.",
        hint="Leave TRIAGE_ACCESS__REQUIRE_KEYS on, listen on 127.0.0.1, or set TRIAGE_ACCESS__OPEN_TO_NETWORK=true.",
    )


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def address_here(host: str, port: int) -> str:
    """Where a browser on this machine finds a service that listens on `host`; what means every address is none."""
    host = host.strip("[]")
    try:
        found = ipaddress.ip_address(host or "0.0.0.0")
    except ValueError:
        return f"http://{host}:{port}"
    if found.is_unspecified:
        found = ipaddress.ip_address("127.0.0.1" if found.version == 4 else "::1")
    return f"http://[{found}]:{port}" if found.version == 6 else f"http://{found}:{port}"


def access_options(settings: Settings) -> AccessOptions:
    """The settings as the service takes them."""
    from service.access.options import AccessOptions, OidcOptions

    given = settings.access.model_dump(exclude={"open_to_network"})
    asked = settings.oidc
    oidc = None
    if asked.issuer is not None:
        oidc = OidcOptions(
            issuer=asked.issuer,
            audience=asked.audience,
            jwks_url=asked.jwks_url,
            role_claim=asked.role_claim,
            roles=asked.roles,
        )
    return AccessOptions(**given, oidc=oidc)


def make_first_key(settings: Settings) -> str | None:
    """The key of the first start, where keys are required and there never was an administrator's."""
    if not settings.access.require_keys:
        return None
    with database(settings, Workspace.create(settings.workspace)) as engine:
        written = api_keys.first_key(engine, at=_now())
        if written is not None:
            _note(engine, "key created", api_keys.FIRST_KEY, role="admin", key=api_keys.id_of(written))
        return written


def create(settings: Settings, name: str, role: str, *, days: float | None, shared: bool) -> str:
    """The new key as it is written. Raises InputError."""
    with database(settings, Workspace.create(settings.workspace)) as engine:
        made, written = api_keys.create_key(engine, name, role, at=_now(), days=days, shared=shared)
        _note(engine, "key created", name, role=role, key=made.key_id, days=days)
        return written


def rotate(settings: Settings, name: str, *, grace_hours: float) -> str:
    """The key that takes the place of the one of that name. Raises InputError."""
    with database(settings, Workspace.open(settings.workspace)) as engine:
        grace = dt.timedelta(hours=grace_hours)
        made, written = api_keys.rotate_key(engine, name, at=_now(), grace=grace)
        _note(engine, "key rotated", name, key=made.key_id, grace_hours=grace_hours)
        return written


def revoke(settings: Settings, name_or_id: str) -> Sequence[ApiKey]:
    """The keys that ended. Raises InputError when there was none."""
    with database(settings, Workspace.open(settings.workspace)) as engine:
        ended = api_keys.revoke_keys(engine, name_or_id, at=_now())
        for key in ended:
            _note(engine, "key revoked", key.name, key=key.key_id)
        return ended


def listed(settings: Settings) -> Sequence[ApiKey]:
    with database(settings, Workspace.open(settings.workspace)) as engine:
        return api_keys.list_keys(engine)


def audited(settings: Settings, since: dt.datetime | None) -> Sequence[AuditEntry]:
    """The newest thousand events since then, oldest first."""
    with database(settings, Workspace.open(settings.workspace)) as engine:
        return entries(engine, since=since)


def _note(engine: sa.Engine, action: str, target: str, **details: Any) -> None:
    record(engine, at=_now(), actor=machine_user(), action=action, target=target, details=details)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
