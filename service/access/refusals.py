"""What those are told who are not let in. Nothing here says whether a key exists, is revoked or has ended."""

from __future__ import annotations

from service.access.rates import Rates
from service.access.roles import Needed
from service.problems import Problem
from tickets.api_keys import Role


def no_key(*, wrong: bool = False) -> Problem:
    challenge = 'Bearer realm="triage"' + (', error="invalid_token"' if wrong else "")
    return Problem(
        401,
        "wrong-key" if wrong else "no-key",
        "the key or token is not valid here." if wrong else "this address asks for a key.",
        hint="Send `Authorization: Bearer KEY`; an administrator makes one with `triage keys create`.",
        headers={"WWW-Authenticate": challenge},
    )


def wrong_role(role: Role, needed: Needed) -> Problem:
    return Problem(
        403,
        "wrong-role",
        f"this address asks for the role {needed}; the key has the role {role}.",
        hint="Ask an administrator for a key of that role.",
    )


def cross_site() -> Problem:
    return Problem(
        403,
        "cross-site",
        "this request was made by a page of another site, or does not say by which.",
        hint="Use the pages of this service; programs send their key as `Authorization: Bearer KEY`.",
    )


def strange() -> Problem:
    return Problem(404, "not-found", "there is no such address.", hint="The page /docs lists the addresses there are.")


def too_often(rates: Rates, name: str, *, what: str) -> Problem:
    _, seconds = rates.remaining(name)
    given = {key.decode(): value.decode() for key, value in rate_headers(rates, name)}
    return Problem(
        429,
        "too-often",
        f"there were more than {rates.per_minute:,} {what} within a minute.",
        hint="Wait as long as Retry-After says.",
        retry_after=max(seconds, 1),
        headers=given,
    )


def too_many(limit: int) -> Problem:
    return Problem(
        503,
        "too-busy",
        f"{limit} requests are under way already.",
        hint="Send it again in a moment.",
        retry_after=1,
    )


def no_look_up() -> Problem:
    return Problem(
        503,
        "database-unavailable",
        "the database does not answer, so the key cannot be looked up.",
        hint="Send it again; keys that were used a moment ago go on.",
        retry_after=5,
    )


def no_provider() -> Problem:
    return Problem(
        503,
        "provider-unavailable",
        "the identity provider's keys cannot be fetched.",
        hint="Send it again, or use an API key.",
        retry_after=5,
    )


def rate_headers(rates: Rates, name: str) -> list[tuple[bytes, bytes]]:
    """RateLimit-Limit, -Remaining and -Reset (seconds), as the IETF's draft 07 has them."""
    left, seconds = rates.remaining(name)
    return [
        (b"ratelimit-limit", b"%d" % rates.per_minute),
        (b"ratelimit-remaining", b"%d" % left),
        (b"ratelimit-reset", b"%d" % seconds),
    ]
