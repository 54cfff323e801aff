"""Proof that a webhook is the helpdesk's own, on the raw bytes and before anything is parsed.

Comparisons take the same time whatever they find. A secret that is not configured proves nothing and never agrees.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import SecretStr

from service.helpdesks.options import HelpdeskOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A delivery as it came over the wire. Header names are in lower case; `token` is the address's."""

    raw: bytes
    headers: Mapping[str, str]
    token: str = ""


class NotProven(Exception):  # noqa: N818  # it is answered, not an error of ours
    """A delivery that cannot be shown to be the helpdesk's, or is too old to be its first sending."""

    def __init__(self, why: Literal["forged", "stale"], detail: str) -> None:
        super().__init__(detail)
        self.why = why
        self.detail = detail


def prove_zendesk(sent: Sent, options: HelpdeskOptions, now: datetime) -> None:
    """`X-Zendesk-Webhook-Signature` is base64(HMAC-SHA256(timestamp + body)).

    https://developer.zendesk.com/documentation/webhooks/verifying/
    """
    written = sent.headers.get("x-zendesk-webhook-signature-timestamp", "")
    expected = base64.b64encode(_digest(options.webhook_secret, written.encode() + sent.raw, "sha256")).decode()
    _agree(options.webhook_secret, expected, sent.headers.get("x-zendesk-webhook-signature", ""))
    try:
        _fresh(datetime.fromisoformat(written), options, now)
    except ValueError as error:
        raise NotProven("stale", "the signed time is no ISO 8601 time.") from error


def prove_zammad(sent: Sent, options: HelpdeskOptions, _now: datetime) -> None:
    """`X-Hub-Signature` is `sha1=` and the HMAC-SHA1 of the body, hexadecimal. There is no time in it.

    https://admin-docs.zammad.org/en/latest/manage/webhook/payload.html
    """
    expected = "sha1=" + _digest(options.webhook_secret, sent.raw, "sha1").hex()
    _agree(options.webhook_secret, expected, sent.headers.get("x-hub-signature", ""))


def prove_chatwoot(sent: Sent, options: HelpdeskOptions, now: datetime) -> None:
    """From 4.11.2 on, `X-Chatwoot-Signature` is `sha256=` and the HMAC-SHA256 of `timestamp.body`, hexadecimal, with
    the time in seconds in `X-Chatwoot-Timestamp`. Before, nothing was signed, so the address carries a token.

    https://github.com/chatwoot/chatwoot/pull/13573
    """
    if options.url_token is not None:
        _agree(options.url_token, options.url_token.get_secret_value(), sent.token)
    if options.webhook_secret is None and options.url_token is not None:
        return
    written = sent.headers.get("x-chatwoot-timestamp", "")
    expected = "sha256=" + _digest(options.webhook_secret, written.encode() + b"." + sent.raw, "sha256").hex()
    _agree(options.webhook_secret, expected, sent.headers.get("x-chatwoot-signature", ""))
    try:
        _fresh(datetime.fromtimestamp(int(written), UTC), options, now)
    except (ValueError, OverflowError, OSError) as error:
        raise NotProven("stale", "the signed time is no number of seconds.") from error


def prove_freshdesk(sent: Sent, options: HelpdeskOptions, _now: datetime) -> None:
    """Freshdesk signs nothing. Its automation rule sends a header of one's own, `X-Triage-Secret`.

    https://support.freshdesk.com/support/solutions/articles/132589-using-webhooks-in-automation-rules
    """
    expected = options.webhook_secret.get_secret_value() if options.webhook_secret else ""
    _agree(options.webhook_secret, expected, sent.headers.get("x-triage-secret", ""))


def _digest(secret: SecretStr | None, message: bytes, kind: str) -> bytes:
    return hmac.new(secret.get_secret_value().encode() if secret else b"", message, getattr(hashlib, kind)).digest()


def _agree(secret: SecretStr | None, expected: str, given: str) -> None:
    same = hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogateescape"))
    if secret is None or not secret.get_secret_value() or not same:
        raise NotProven("forged", "the delivery is not signed with the secret that is configured here.")


def _fresh(sent: datetime, options: HelpdeskOptions, now: datetime) -> None:
    """Raises ValueError for a time that carries no zone."""
    if sent.tzinfo is None:
        raise ValueError("a time without a zone")
    if abs((now - sent).total_seconds()) > options.max_age_seconds:
        raise NotProven("stale", f"the delivery was signed more than {options.max_age_seconds:g} seconds ago or ahead.")
