"""Who may do what: keys, roles, sessions, limits. The guard in front of every route decides by path.

`caller_of(request)` says who asks; the guard has put it there before any route runs.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

from fastapi import Request
from starlette.types import Scope

from tickets.api_keys import ROLES, Role

CALLER = "triage.caller"  # in the ASGI scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks. `id` is a key's id, or the subject of an OIDC token; `shared` means that several people use it."""

    id: str
    name: str
    role: Role
    how: Literal["key", "session", "oidc", "open"]
    shared: bool = False

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


# Everybody, where the service asks for no keys.
ANYBODY = Caller(id="anybody", name="anybody", role="admin", how="open", shared=True)


def caller_of(request: Request) -> Caller | None:
    """Who asks; None on the addresses that are open to all."""
    caller: Caller | None = request.scope.get(CALLER)
    return caller


def address_of(scope: Scope) -> str:
    """Where a request comes from: the client's address, or the one a trusted proxy names. An IPv6 address stands for
    its /64, which is what one customer has at least: who may choose among so many is counted once."""
    client = scope.get("client")
    address = str(client[0]) if client else "unknown"
    return _network(address) if ":" in address else address


def _network(address: str) -> str:
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:  # a proxy may name anything
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(found), 64), strict=False))


def is_inside(path: str) -> bool:
    """Whether a redirect to `path` stays on this service: `//elsewhere` and `/\\elsewhere` would leave it."""
    return path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
