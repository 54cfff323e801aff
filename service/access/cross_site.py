"""Whether a request that changes something comes from a page of ours.

Browsers send cookies by themselves, so a page elsewhere could post a form here in the name of whoever is signed in
(CSRF). Browsers also say where a request comes from, in headers that no page can forge; that is what is looked at
(OWASP, "Cross-Site Request Forgery Prevention", Fetch Metadata).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


def only_reads(scope: Scope) -> bool:
    return scope["method"] in _READING


def comes_from_here(headers: Headers, *, must_say: bool) -> bool:
    """Whether the request was made by a page of this service, or by the person. A request that does not say where it
    comes from counts as made by the person, unless it `must_say`: whatever a cookie lets in must."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin") or headers.get("referer")
    if origin is None:
        return not must_say
    return urlsplit(origin).netloc == headers.get("host")
