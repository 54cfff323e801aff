"""What every answer tells the browser: run no script but ours, show us in no frame, keep to https."""

from __future__ import annotations

from starlette.types import Message, Scope

_POLICY = (
    b"default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    b"frame-ancestors 'none'"
)
_FEATURES = ("camera", "display-capture", "geolocation", "microphone", "midi", "payment", "serial", "usb")
_FIXED = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", ", ".join(f"{feature}=()" for feature in _FEATURES).encode()),
)
_TWO_YEARS = b"max-age=63072000"


def add_security_headers(scope: Scope, message: Message, request_id: str) -> None:
    """Into an `http.response.start`. What the answer says itself stays, so a page may have a policy of its own."""
    path: str = scope["path"]
    # Scripts and styles may be kept but are asked about each time, so a new version is seen at once; tickets may not.
    kept = b"no-cache" if path.startswith("/static/") else b"no-store"
    headers = message.setdefault("headers", [])
    there = {name for name, _ in headers}
    wanted = [(b"cache-control", kept), *_FIXED]
    if scope["scheme"] == "https":
        wanted.append((b"strict-transport-security", _TWO_YEARS))
    headers.append((b"x-request-id", request_id.encode("ascii")))
    headers.extend(header for header in wanted if header[0] not in there)
