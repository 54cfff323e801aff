"""Bearer tokens of an identity provider (OpenID Connect): who signed, for whom, until when, and which role they give.

Algorithms are pinned by the kind of key, RS256 for RSA and ES256 for P-256; what the token's own header says decides
nothing. The provider's keys are kept, and asked for again when a token names one that is not known, at most once in
`refresh_seconds`, so that made-up ids cannot make us ask without end.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import anyio
import httpx
import jwt
import structlog

from service.access import Caller
from service.access.options import OidcOptions
from tickets.api_keys import ROLES, Role

log = structlog.get_logger()

_ALGORITHMS = {"RSA": "RS256", "EC": "ES256"}
_REMEMBERED_SECONDS = 60.0  # a token is checked again after that
_MOST = 10_000


class ProviderAway(Exception):  # noqa: N818  # reads as what it says
    """The provider's keys cannot be fetched, and none are kept."""


class Provider:
    """One identity provider, as this process knows it."""

    def __init__(self, options: OidcOptions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked = -inf
        self._asking: anyio.Lock | None = None
        self._verified: dict[bytes, tuple[Caller, float, float]] = {}  # digest -> (caller, checked, expires)

    def remembered(self, token: str) -> Caller | None:
        """Who a token speaks for that was looked at a moment ago."""
        known = self._verified.get(_digest(token))
        if known is not None and self._clock() - known[1] < _REMEMBERED_SECONDS and time.time() < known[2]:
            return known[0]
        return None

    async def caller(self, token: str) -> Caller | None:
        """Who the token speaks for; None for one that is not valid here. Raises ProviderAway."""
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                return None
            claims = self._verify(token, key)
        except jwt.InvalidTokenError as error:
            log.info("token refused", kind=type(error).__qualname__)
            return None
        role = self._role(claims.get(self._options.role_claim))
        if role is None:
            log.info("token refused", kind="no role")
            return None
        name = str(claims.get("preferred_username") or claims.get("email") or claims["sub"])
        printable = "".join(letter for letter in name if letter.isprintable())[:100]
        # Told apart from a key of the same name, whose owner's feedback it could take back otherwise.
        caller = Caller(id=f"oidc:{claims['sub']}"[:200], name=f"{printable} (oidc)", role=role, how="oidc")
        if len(self._verified) >= _MOST:
            self._verified.pop(next(iter(self._verified)))
        self._verified[_digest(token)] = (caller, self._clock(), float(claims["exp"]))
        return caller

    def _verify(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[_ALGORITHMS[str(key.key_type)]],
            audience=self._options.audience,
            issuer=self._options.issuer,
            leeway=self._options.leeway_seconds,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return claims

    def _role(self, given: Any) -> Role | None:
        """The highest role that the claim's values give."""
        values = given if isinstance(given, list) else str(given or "").split()
        roles = {
            self._options.roles[value] for value in values if isinstance(value, str) and value in self._options.roles
        }
        return max(roles, key=ROLES.index, default=None)

    async def _key(self, kid: str) -> jwt.PyJWK | None:
        if kid not in self._keys:
            if self._asking is None:
                self._asking = anyio.Lock()
            async with self._asking:
                if kid not in self._keys and self._clock() - self._asked >= self._options.refresh_seconds:
                    await self._fetch()
        if not self._keys:
            raise ProviderAway
        return self._keys.get(kid)

    async def _fetch(self) -> None:
        """Bring in the provider's keys; where that fails, those that are kept stay."""
        self._asked = self._clock()
        try:
            async with httpx.AsyncClient(timeout=5.0, follow_redirects=False) as client:
                address = self._options.jwks_url or await self._discover(client)
                told = (await client.get(address)).raise_for_status().json()
            self._keys = dict(_signing_keys(told))
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("keys of the identity provider not fetched", kind=type(error).__qualname__)

    async def _discover(self, client: httpx.AsyncClient) -> str:
        well_known = self._options.issuer.rstrip("/") + "/.well-known/openid-configuration"
        return str((await client.get(well_known)).raise_for_status().json()["jwks_uri"])


def _signing_keys(told: Mapping[str, Any]) -> list[tuple[str, jwt.PyJWK]]:
    """The provider's RSA and P-256 keys by id. Symmetric ones are passed over: whoever read the list could sign."""
    keys = []
    for entry in told["keys"]:
        usable = entry.get("kty") == "RSA" or (entry.get("kty") == "EC" and entry.get("crv") == "P-256")
        if usable and entry.get("use", "sig") == "sig" and "kid" in entry:
            try:
                keys.append((str(entry["kid"]), jwt.PyJWK(entry, algorithm=_ALGORITHMS[entry["kty"]])))
            except jwt.PyJWTError as error:
                log.warning("a key of the identity provider cannot be read", kind=type(error).__qualname__)
    return keys


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
