"""Zendesk's API as this product uses it: one polite GET, and lists that come in pages.

Limits (developer.zendesk.com, Rate limits): 429 with `Retry-After` in seconds; 10 requests a minute on incremental
exports, 200 to 2,500 on the rest, by plan.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import structlog

from tickets.errors import InputError, SourceError
from tickets.progress import under_way

if TYPE_CHECKING:
    import httpx

_log = structlog.get_logger(__name__)

ATTEMPTS = 8  # with waits of 1, 2, 4 ... seconds between them: two minutes of a network that is down
LONGEST_WAIT = 600.0  # seconds; whoever asks for more is asked again then
_LATER = "Run it again later: it goes on where it stopped."
_DEFAULT_WAIT = 60.0  # seconds, when 429 names none: the limits are per minute


@dataclass(frozen=True, slots=True, kw_only=True)
class ZendeskAccount:
    """Where an account is and who reads it: an admin's mail with an API token, or an OAuth token without a mail."""

    url: str
    token: str
    email: str | None = None

    def __repr__(self) -> str:
        return f"ZendeskAccount(url={self.url!r})"


class ZendeskApi:
    """An open connection. Requests may come from several threads. `wait` sleeps; tests count its seconds instead."""

    def __init__(self, account: ZendeskAccount, *, wait: Callable[[float], None] = time.sleep) -> None:
        import httpx

        self._wait = wait
        self.url = account.url.rstrip("/")
        basic = (f"{account.email}/token", account.token) if account.email else None
        headers = {"accept": "application/json"} | ({} if basic else {"authorization": f"Bearer {account.token}"})
        self._client = httpx.Client(base_url=self.url, auth=basic, headers=headers, timeout=60.0)

    def __enter__(self) -> ZendeskApi:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._client.close()

    def get(self, path: str, parameters: Mapping[str, str | int] | None = None) -> dict[str, Any] | None:
        """The JSON object at a path; None when it is gone (404).

        Waits as long as 429 asks, and tries again when the server or the connection fails. Raises InputError when the
        account refuses us, SourceError when nothing helped.
        """
        import httpx

        failed = ""
        for attempt in range(ATTEMPTS):
            pause = float(2**attempt)
            try:
                response = self._client.get(path, params=dict(parameters or {}))
            except httpx.TransportError as error:
                failed = f"{type(error).__name__}: {error}"
            else:
                status = response.status_code
                if status == HTTPStatus.NOT_FOUND:
                    return None
                self._refuse(response, path)
                if status == HTTPStatus.OK and (found := _object(response)) is not None:
                    return found
                failed = f"status {status}" if status != HTTPStatus.OK else "an answer that is no JSON object"
                if status == HTTPStatus.TOO_MANY_REQUESTS:
                    pause = _asked_for(response.headers.get("retry-after"))
            _log.warning("zendesk_waits", path=path, failed=failed, seconds=pause)
            if attempt < ATTEMPTS - 1:
                under_way(f"waiting for Zendesk ({failed})", took=pause)
                self._wait(pause)
        raise SourceError(
            f"Zendesk failed {ATTEMPTS} times at {path}: {failed}.",
            hint=_LATER,
        )

    def listed(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        """Every entry of a list, page by page (cursor pagination, 100 entries each); none when it is gone. Raises what
        `get` raises, and SourceError when the pages have no end."""
        cursor: str | None = None
        while True:
            page = self.get(path, {"page[size]": 100} | ({"page[after]": cursor} if cursor else {}))
            if page is None:
                return
            yield from page.get(name) or ()
            meta = page.get("meta") or {}
            following = meta.get("after_cursor")
            if not meta.get("has_more") or not following:
                return
            if following == cursor:
                raise SourceError(f"Zendesk's list at {path} does not move on from its cursor.", hint=_LATER)
            cursor = following

    def _refuse(self, response: httpx.Response, path: str) -> None:
        """Raise for what trying again cannot mend."""
        status = response.status_code
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise InputError(
                f"Zendesk at {self.url} refuses us ({status}).",
                hint="Check TRIAGE_ZENDESK__EMAIL and TRIAGE_ZENDESK__TOKEN; incremental exports need an admin.",
            )
        if response.is_redirect:
            raise InputError(
                f"{self.url} sends us elsewhere ({status}).",
                hint="Set TRIAGE_ZENDESK__URL to the account's own address, such as https://company.zendesk.com.",
            )
        tolerable = status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT)
        if response.is_client_error and not tolerable:
            raise SourceError(
                f"Zendesk does not understand {path} ({status}).", hint="Is it a Zendesk Support account?"
            )


def _object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _asked_for(header: str | None) -> float:
    """Seconds that `Retry-After` asks for; a minute when it asks for none that can be read."""
    try:
        seconds = float(header) if header else _DEFAULT_WAIT
    except ValueError:
        seconds = _DEFAULT_WAIT
    return min(max(seconds, 1.0), LONGEST_WAIT)
